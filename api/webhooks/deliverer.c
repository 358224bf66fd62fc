/* deliverer: the process of one webhook: so many attempts at a time, one of each subject.
 *
 *     look at the outbox -> due rows -> lanes, each a linked task with one attempt -> done: next row, or look again
 *
 * Invariants
 *   1. Only rows that are the oldest of their subject are due (W1), so two lanes never carry the same subject.
 *   2. Lanes are linked: they end with their deliverer, and its successor may send their events again. Their own ends come as
 *      EXIT messages: a lane that crashed is one whose event is still due.
 *   3. It keeps nothing that the store has not: killed at any point, its successor looks and goes on.
 *   4. It ends, normally, when its webhook is gone or disabled; the manager starts one anew when there is need.
 */
#include "api/webhooks/attempt.h"

#include "runtime/sys/clock.h"

#define LOOK_AGAIN_MS 1000  /* after a look that the store did not answer */
#define LOOK_MOST_MS  60000 /* between two looks: the wall clock may have been set */

struct lane {
    int64_t row; /* 0: free */
    tr_task task;
    bool answered; /* its value came: its end is no crash */
};

typedef struct deliverer {
    int64_t webhook;
    uint32_t lane_count, busy;
    struct lane lanes[WEBHOOK_LANES_MAX];
    struct webhook_due due;
    uint32_t due_at;         /* the next of due.rows */
    bool stale;              /* the outbox may have more that is due than `due` says */
    bool ended;              /* the webhook is gone or disabled */
    int64_t paused_until_ms; /* monotonic */
    unsigned strikes;        /* pauses in a row */
} deliverer;

/* ---- looking ---- */

static void look(deliverer *self)
{
    struct webhook_look ask = {.webhook = self->webhook,
                               .now_ms = tr__clock_wall_ms(),
                               .limit =
                                   2 * (int64_t)self->lane_count}; /* those on their way may be among them */
    self->due_at = 0;
    enum store_status status = store_read(webhooks_read_due, &ask, sizeof(ask), &self->due, sizeof(self->due),
                                          WEBHOOKS_STORE_TIMEOUT_MS);
    if (status != STORE_OK) {
        self->due.count = 0;
        self->due.next_at_ms = INT64_MAX;
    }
    self->ended = status == STORE_REJECTED;
    if (status != STORE_OK && status != STORE_REJECTED) {
        self->paused_until_ms = tr_now_ms() + LOOK_AGAIN_MS;
        return;
    }
    self->stale = self->due.count == (uint32_t)ask.limit;
}

static bool is_on_its_way(const deliverer *self, int64_t row)
{
    for (uint32_t i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].row == row) {
            return true;
        }
    }
    return false;
}

static bool is_paused(const deliverer *self)
{
    return tr_now_ms() < self->paused_until_ms;
}

/* The next row to send; 0: there is none now. */
static int64_t next_row(deliverer *self)
{
    for (;;) {
        while (self->due_at < self->due.count) {
            int64_t row = self->due.rows[self->due_at++];
            if (!is_on_its_way(self, row)) {
                return row;
            }
        }
        if (!self->stale || self->ended || is_paused(self)) {
            return 0;
        }
        look(self);
    }
}

/* ---- lanes ---- */

static void begin(deliverer *self, int64_t row)
{
    struct lane *lane = self->lanes;
    while (lane->row != 0) {
        lane++;
    }
    tr_err err = tr_task_async(TR_TASK(webhook_attempt, webhook_job, .webhook = self->webhook, .row = row),
                               &lane->task);
    if (err != TR_OK) { /* no process to be had */
        self->paused_until_ms = tr_now_ms() + LOOK_AGAIN_MS;
        self->stale = true;
        return;
    }
    lane->row = row;
    lane->answered = false;
    self->busy++;
}

static tr_next rest(const deliverer *self)
{
    int64_t now_ms = tr_now_ms();
    int64_t wait_ms = LOOK_MOST_MS;
    if (self->due.next_at_ms != INT64_MAX) {
        int64_t until_due_ms = self->due.next_at_ms - tr__clock_wall_ms();
        wait_ms = until_due_ms < 0 ? 0 : until_due_ms < wait_ms ? until_due_ms : wait_ms;
    }
    if (self->paused_until_ms > now_ms &&
        (self->stale || self->due_at < self->due.count || wait_ms < self->paused_until_ms - now_ms)) {
        wait_ms = self->paused_until_ms - now_ms;
    }
    return self->busy == self->lane_count ? TR_NOREPLY : tr_next_timeout(TR_NOREPLY, wait_ms);
}

static tr_next work(deliverer *self)
{
    while (self->busy < self->lane_count && !is_paused(self)) {
        int64_t row = next_row(self);
        if (row == 0) {
            break;
        }
        begin(self, row);
    }
    return self->ended ? TR_STOP(TR_ATOM(NORMAL)) : rest(self);
}

/* ---- what comes back ---- */

/* A pause counts once, however many lanes meet the same trouble. */
static void pause_for(deliverer *self, const struct webhook_ending *ending)
{
    int64_t pause_ms = webhook_pause_ms(ending, self->strikes + 1, webhooks.retry_first_ms, 0);
    int64_t until_ms = tr_now_ms() + pause_ms;
    if (pause_ms != 0 && !is_paused(self)) {
        self->strikes++;
    }
    if (pause_ms != 0 && until_ms > self->paused_until_ms) {
        self->paused_until_ms = until_ms;
    }
}

static void promote(deliverer *self, int64_t row)
{
    if (self->due_at > 0 && self->due_at == self->due.count) {
        self->due_at = 0;
        self->due.count = 0;
    }
    if (self->due.count < WEBHOOKS_DUE_MAX) {
        self->due.rows[self->due.count++] = row;
    } else {
        self->stale = true;
    }
}

static void take_answer(deliverer *self, const webhook_done *done)
{
    if (!done->tried) {
        self->paused_until_ms = is_paused(self) ? self->paused_until_ms : tr_now_ms() + LOOK_AGAIN_MS;
        self->stale = true;
        return;
    }
    self->ended = self->ended || done->disabled;
    if (done->outcome == WEBHOOK_OUTCOME_DELIVERED) {
        self->strikes = 0;
    } else {
        pause_for(self, &done->ending);
    }
    if (done->promoted != 0) {
        promote(self, done->promoted);
    }
    if (done->outcome == WEBHOOK_OUTCOME_FAILED && done->due_at_ms < self->due.next_at_ms) {
        self->due.next_at_ms = done->due_at_ms;
    }
}

static struct lane *lane_of(deliverer *self, tr_pid pid)
{
    for (uint32_t i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].row != 0 && self->lanes[i].task.pid == pid) {
            return &self->lanes[i];
        }
    }
    return NULL;
}

static void crashed(deliverer *self)
{
    static const struct webhook_ending none = {.status = 0, .retry_after_ms = -1};
    pause_for(self, &none);
    self->stale = true;
}

static tr_next lane_ended(deliverer *self, const tr_exit_msg *end)
{
    struct lane *lane = lane_of(self, end->from);
    if (lane == NULL) {
        return TR_STOP(end->reason); /* somebody else's signal */
    }
    if (!lane->answered) {
        crashed(self);
    }
    lane->row = 0;
    self->busy--;
    return work(self);
}

static tr_next answer_came(deliverer *self, const tr_msg *msg)
{
    const webhook_done *done = TR_MATCH(msg, webhook_done);
    for (uint32_t i = 0; i < self->lane_count && done != NULL; i++) {
        struct lane *lane = &self->lanes[i];
        if (lane->row != 0 && tr_ref_equal(lane->task.ref, tr_msg_ref(msg))) {
            lane->answered = true;
            take_answer(self, done);
        }
    }
    return TR_NOREPLY; /* its EXIT follows */
}

/* ---- the process ---- */

static tr_next deliverer_init(deliverer *self, const void *arg)
{
    self->webhook = *(const int64_t *)arg;
    self->lane_count = (uint32_t)webhooks.concurrency;
    self->stale = true;
    self->due.next_at_ms = INT64_MAX;
    return tr_next_timeout(TR_INIT_OK, 0);
}

static tr_next deliverer_handle_info(deliverer *self, const tr_msg *msg)
{
    const tr_exit_msg *end = TR_MATCH(msg, tr_exit_msg);
    if (end != NULL) {
        return lane_ended(self, end);
    }
    if (tr_msg_kind_of(msg) == TR_MSG_REPLY) {
        return answer_came(self, msg);
    }
    if (TR_MATCH(msg, webhooks_look) != NULL || TR_MATCH(msg, tr_timeout_msg) != NULL) {
        self->stale = true;
    }
    return work(self); /* a DOWN of a lane changes nothing */
}

static void deliverer_terminate(deliverer *self, tr_term reason)
{
    (void)reason;
    for (uint32_t i = 0; i < self->lane_count; i++) { /* a normal end would leave them behind */
        if (self->lanes[i].row != 0) {
            tr_exit_signal(tr_to(self->lanes[i].task.pid), TR_ATOM(KILL));
        }
    }
}

static tr_term deliverer_format_state(const deliverer *self)
{
    return tr_map_n(4, (tr_term[]){tr_atom("webhook"), tr_int(self->webhook), tr_atom("busy"),
                                   tr_int(self->busy), tr_atom("due"), tr_int(self->due.count - self->due_at),
                                   tr_atom("strikes"), tr_int(self->strikes)});
}

TR_GEN_SERVER(deliverer, .init = deliverer_init, .handle_info = deliverer_handle_info,
              .terminate = deliverer_terminate, .format_state = deliverer_format_state, .trap_exit = true);

tr_child_spec webhook_deliverer_child_spec(const int64_t *webhook)
{
    return (tr_child_spec){.server = deliverer_server,
                           .arg = webhook,
                           .arg_bytes = sizeof(*webhook),
                           .start = {.registry = webhooks.registry, .key = webhook_key(*webhook)},
                           .restart = TR_TRANSIENT};
}
