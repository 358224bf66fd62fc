#include "server/healthcheck.h"

#include "server/settings_table.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARGS(...) ((const char *const[]){"trouped", ##__VA_ARGS__, NULL})
#define ENV(...)  ((const char *const[]){"HOME=/", ##__VA_ARGS__, NULL})

struct answer {
    int listener;
    const char *text; /* NULL = accept and say nothing */
};

static void *serve_once(void *argument)
{
    const struct answer *answer = argument;
    char request[512];
    int fd = accept(answer->listener, NULL, NULL);
    if (fd >= 0 && answer->text != NULL && recv(fd, request, sizeof request, 0) > 0) {
        (void)!send(fd, answer->text, strlen(answer->text), MSG_NOSIGNAL);
    }
    if (fd >= 0 && answer->text == NULL) {
        while (recv(fd, request, sizeof request, 0) > 0) {
        }
    }
    close(fd);
    return NULL;
}

/* What healthcheck() says about a server that gives this answer. */
static int health_of(const char *family_text, const char *text, char problem[200])
{
    struct settings_listener listener;
    cr_assert_null(settings_parse_listener(family_text, &listener));
    int fd = socket(listener.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, &listener.address.any, listener.address_bytes), 0);
    cr_assert_eq(listen(fd, 1), 0);
    socklen_t bytes = sizeof listener.address;
    cr_assert_eq(getsockname(fd, &listener.address.any, &bytes), 0);
    struct answer answer = {fd, text};
    pthread_t thread;
    pthread_create(&thread, NULL, serve_once, &answer);
    int result = healthcheck(&listener, problem, 200);
    pthread_join(thread, NULL);
    close(fd);
    return result;
}

Test(healthcheck, takes_200_for_healthy_over_tcp_and_unix)
{
    char problem[200] = "";
    cr_assert_eq(health_of("127.0.0.1:0", "HTTP/1.1 200 OK\r\n\r\n", problem), 0, "%s", problem);
    cr_assert_eq(health_of("0.0.0.0:0", "HTTP/1.1 200 OK\r\n\r\n", problem), 0, "%s", problem);
    char folder[] = "/tmp/test_healthcheck.XXXXXX";
    char address[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(address, sizeof address, "unix:%s/socket", folder);
    cr_assert_eq(health_of(address, "HTTP/1.1 200 OK\r\n\r\n", problem), 0, "%s", problem);
    unlink(address + 5);
    rmdir(folder);
}

Test(healthcheck, takes_anything_else_for_unhealthy_and_gives_up_in_time)
{
    char problem[200] = "";
    cr_assert_eq(health_of("127.0.0.1:0", "HTTP/1.1 503 No\r\n\r\n", problem), -1);
    cr_assert_eq(health_of("127.0.0.1:0", "SSH-2.0-x\r\n200 200\r\n", problem), -1);
    cr_assert_eq(health_of("127.0.0.1:0", "HTTP", problem), -1);
    cr_assert_eq(health_of("127.0.0.1:0", NULL, problem), -1);
    cr_assert_not_null(strstr(problem, "timed out"), "%s", problem);
    struct settings_listener nobody;
    settings_parse_listener("unix:/nonexistent/x.sock", &nobody);
    cr_assert_eq(healthcheck(&nobody, problem, sizeof problem), -1);
    settings_parse_listener("127.0.0.1:0", &nobody);
    cr_assert_eq(healthcheck(&nobody, problem, sizeof problem), -1);
    cr_assert_not_null(strstr(problem, "port 0"));
}

Test(healthcheck, verb_exits_1_when_nobody_answers, .init = cr_redirect_stderr)
{
    struct settings *s = NULL;
    int status = -1;
    cr_assert_not(
        settings_main(ARGS("--healthcheck", "--listen=unix:/nonexistent/x.sock"), ENV(), &s, &status));
    cr_assert_eq(status, 1);
    cr_assert_not(settings_main(ARGS("--healthcheck", "--workers=x"), ENV(), &s, &status));
    cr_assert_eq(status, 1);
}
