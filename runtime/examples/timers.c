/* timers.c: messages that come later. In virtual time: the clock moves as soon as nothing else is to be done, so this takes no
 * time, and prints the same each time. */
#include <inttypes.h>
#include <stdio.h>
#include <troupe/troupe.h>

TR_MESSAGE(reminder, { char text[24]; });
TR_MESSAGE_EMPTY(beat);

static int64_t begin_ms;

static int64_t since_ms(void)
{
    return tr_now_ms() - begin_ms;
}

/* One message later: taken back in time, or not. */
static void remind(void)
{
    (void)TR_SEND_AFTER(300, tr_self(), reminder, .text = "tea");
    tr_ref late = TR_SEND_AFTER(5000, tr_self(), reminder, .text = "never");
    const reminder *tea = TR_RECEIVE(reminder, 1000);
    printf("%" PRId64 " ms: %s; ", since_ms(), tea->text);
    printf("the other had %" PRId64 " ms left\n", tr_cancel_timer(late));
    TR_CHECK(tr_cancel_timer(late) == -1 && TR_RECEIVE(reminder, 10000) == NULL);
}

/* An interval keeps its schedule, however late its messages are read; it ends with its target, or when it is cancelled. */
static void beats(void)
{
    int64_t from = since_ms();
    tr_ref interval = tr_send_interval(100, tr_to(tr_self()), TR_MSG(beat));
    tr_sleep(350);
    int heard = 0;
    while (TR_RECEIVE(beat, 0) != NULL) {
        heard++;
    }
    TR_CHECK(TR_RECEIVE(beat, 1000) != NULL && since_ms() - from == 400);
    TR_CHECK(tr_cancel_interval(interval) == TR_OK);
    printf("%d beats in 350 ms, the next at 400\n", heard);
}

static void sweep(const void *arg)
{
    (void)arg;
    printf("%" PRId64 " ms: sweeps\n", since_ms());
    tr_sleep(250); /* longer than its period */
}

/* A function in a process of its own: once later, or again and again, one run at a time. */
static void sweeps(void)
{
    tr_ref sweeping = tr_apply_repeatedly(100, sweep, NULL, 0);
    tr_sleep(700);
    TR_CHECK(tr_cancel_interval(sweeping) == TR_OK);
}

static void run(const void *arg)
{
    begin_ms = tr_now_ms();
    remind();
    begin_ms = tr_now_ms();
    beats();
    begin_ms = tr_now_ms();
    sweeps();
    **(bool *const *)arg = true;
}

int main(void)
{
    bool is_over = false, *over = &is_over;
    tr_pid pid;
    TR_CHECK(tr_node_start(&(tr_node_opts){.virtual_time = true}) == TR_OK);
    TR_CHECK(tr_spawn(NULL, run, &over, sizeof over, &pid) == TR_OK);
    while (!is_over) {
        tr_virtual_advance(100);
    }
    tr_node_stop();
    return 0;
}
