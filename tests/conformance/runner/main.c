/* conformance_runner [FILE...]: plays scenarios on libtroupe and prints their traces (../README.md).
 *
 * One file: its trace. Several: "=== FILE" before each, and each in a process of its own, so that one that fails takes no
 * other along. Exit status: 0, 77 when a scenario uses something that the library does not offer, else something else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/runner/controller.h"

static int play_apart(const char *path)
{
    int status;
    printf("=== %s\n", path);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        exit(controller_play(path));
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("conformance_runner");
        return 2;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: conformance_runner FILE...\n");
        return 64;
    }
    if (argc == 2) {
        return controller_play(argv[1]);
    }
    int worst = 0;
    for (int i = 1; i < argc; i++) {
        int status = play_apart(argv[i]);
        worst = status > worst ? status : worst;
    }
    return worst;
}
