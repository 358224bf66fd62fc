/* Tests with known outcomes, for check_plain.sh: the runner itself is what is tested. */
#include "tests/support/plain.h"

#include <pthread.h>

static void *check_on_another_thread(void *argument)
{
    PLAIN_CHECK(argument != NULL);
    return NULL;
}

PLAIN_TEST(good_check_holds)
{
    PLAIN_CHECK(1 + 1 == 2);
}

PLAIN_TEST(good_check_has_the_value_of_its_condition)
{
    PLAIN_CHECK(PLAIN_CHECK(true));
}

PLAIN_TEST(bad_check_fails)
{
    PLAIN_CHECK(1 + 1 == 3);
}

PLAIN_TEST(bad_check_on_another_thread_fails)
{
    pthread_t thread;
    if (PLAIN_CHECK(pthread_create(&thread, NULL, check_on_another_thread, NULL) == 0)) {
        PLAIN_CHECK(pthread_join(thread, NULL) == 0);
    }
}

PLAIN_TEST(hang_is_ended_by_the_watchdog)
{
    for (;;) {
        pause();
    }
}
