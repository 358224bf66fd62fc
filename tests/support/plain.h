/* A runner for tests that cannot run under Criterion: concurrency tests that ThreadSanitizer watches.
 *
 *     #include "tests/support/plain.h"
 *
 *     PLAIN_TEST(push_after_close_is_refused)
 *     {
 *         PLAIN_CHECK(push(queue) == REFUSED);
 *     }
 *
 * 1. Including this header makes the file a program: it brings main(). One file, one program.
 * 2. Tests run in the order of the file, each once, all in this process and on its first thread.
 * 3. PLAIN_CHECK may be used on any thread; a failed one is printed, fails its test and lets it go on. Its
 *    value tells whether it held: if (!PLAIN_CHECK(p != NULL)) { return; }
 * 4. A test that takes longer than 60 s (300 s under a sanitizer, PLAIN_TIMEOUT_S overrides both) is named,
 *    counted as failed, and the program ends there.
 * 5. The last line is "N passed, N failed"; the exit status is 0 when none failed and at least one ran.
 * 6. A test that plays at random takes its numbers from plain_seed(): another one each time, printed, and given
 *    back with the argument seed=N.
 * Arguments: only tests whose name contains one of them; --list prints the names. At most 256 tests a file. */
#ifndef TESTS_SUPPORT_PLAIN_H
#define TESTS_SUPPORT_PLAIN_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLAIN_SLOWER 5U
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PLAIN_SLOWER 5U
#endif
#endif
#ifndef PLAIN_SLOWER
#define PLAIN_SLOWER 1U
#endif

enum { PLAIN_TESTS_MAX = 256, PLAIN_TIMEOUT_DEFAULT_S = 60 };

typedef struct plain_case {
    const char *name;
    void (*run)(void);
} plain_case;

static struct plain_state {
    plain_case cases[PLAIN_TESTS_MAX];
    unsigned count;
    unsigned passed;
    unsigned failed;
    unsigned timeout_s;
    unsigned seed;
    bool seeded;
    const char *running;
    atomic_uint failures; /* of the running test; written by any thread */
} plain_state;

/** Defines and registers a test; its body follows. */
#define PLAIN_TEST(test_name)                                                 \
    static void plain_test_##test_name(void);                                 \
    __attribute__((constructor)) static void plain_register_##test_name(void) \
    {                                                                         \
        plain_register(#test_name, plain_test_##test_name);                   \
    }                                                                         \
    static void plain_test_##test_name(void)

/** Checks a condition of the running test; its value is the condition. */
#define PLAIN_CHECK(...) plain_check((__VA_ARGS__) ? true : false, #__VA_ARGS__, __FILE__, __LINE__)

__attribute__((unused)) static void plain_register(const char *name, void (*run)(void))
{
    if (plain_state.count == PLAIN_TESTS_MAX) {
        fprintf(stderr, "more than %d tests in one file\n", PLAIN_TESTS_MAX);
        abort();
    }
    plain_state.cases[plain_state.count] = (plain_case){.name = name, .run = run};
    plain_state.count++;
}

__attribute__((unused)) static bool plain_check(bool holds, const char *text, const char *file, int line)
{
    if (!holds) {
        atomic_fetch_add(&plain_state.failures, 1U);
        fprintf(stderr, "%s:%d: %s: does not hold: %s\n", file, line, plain_state.running, text);
    }
    return holds;
}

/* Where a random test begins. */
__attribute__((unused)) static unsigned plain_seed(void)
{
    if (!plain_state.seeded) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        plain_state.seed = (unsigned)now.tv_nsec ^ (unsigned)now.tv_sec ^ ((unsigned)getpid() << 16);
        plain_state.seeded = true;
    }
    printf("%s: seed=%u\n", plain_state.running, plain_state.seed);
    return plain_state.seed;
}

/* Takes seed=N out of the arguments. */
static int plain_take_seed(int argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "seed=", 5) == 0) {
            plain_state.seed = (unsigned)strtoul(argv[i] + 5, NULL, 10);
            plain_state.seeded = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    return kept < argc ? kept : argc;
}

/* For the signal handler, where stdio is not allowed. */
static void plain_write(const char *text)
{
    ssize_t written = write(STDOUT_FILENO, text, strlen(text));
    (void)written;
}

static void plain_write_number(unsigned number)
{
    char digits[16];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10U);
        number /= 10U;
    } while (number > 0);
    plain_write(at);
}

static void plain_on_alarm(int signal_number)
{
    (void)signal_number;
    plain_write(plain_state.running);
    plain_write(" FAILED: still running after ");
    plain_write_number(plain_state.timeout_s);
    plain_write(" s\n");
    plain_write_number(plain_state.passed);
    plain_write(" passed, ");
    plain_write_number(plain_state.failed + 1U);
    plain_write(" failed\n");
    _exit(1);
}

static bool plain_selected(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i]) != NULL) {
            return true;
        }
    }
    return argc <= 1;
}

static void plain_run(const plain_case *test)
{
    struct timespec begin;
    struct timespec end;
    atomic_store(&plain_state.failures, 0U);
    plain_state.running = test->name;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    alarm(plain_state.timeout_s);
    test->run();
    alarm(0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    bool ok = atomic_load(&plain_state.failures) == 0U;
    plain_state.passed += ok ? 1U : 0U;
    plain_state.failed += ok ? 0U : 1U;
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%-60s %s (%.2f s)\n", test->name, ok ? "ok" : "FAILED", seconds);
}

int main(int argc, char **argv)
{
    const char *timeout = getenv("PLAIN_TIMEOUT_S");
    unsigned long timeout_s = timeout != NULL ? strtoul(timeout, NULL, 10) : 0;
    struct sigaction action = {.sa_handler = plain_on_alarm};
    plain_state.timeout_s = timeout_s > 0 ? (unsigned)timeout_s : PLAIN_TIMEOUT_DEFAULT_S * PLAIN_SLOWER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    argc = plain_take_seed(argc, argv);
    bool list = argc == 2 && strcmp(argv[1], "--list") == 0;
    for (unsigned i = 0; i < plain_state.count; i++) {
        if (list) {
            puts(plain_state.cases[i].name);
        } else if (plain_selected(plain_state.cases[i].name, argc, argv)) {
            plain_run(&plain_state.cases[i]);
        }
    }
    if (list) {
        return 0;
    }
    printf("%u passed, %u failed\n", plain_state.passed, plain_state.failed);
    return plain_state.failed == 0U && plain_state.passed > 0U ? 0 : 1;
}

#endif
