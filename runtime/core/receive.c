/* Receiving: the queue is scanned from where the last scan of this call ended; new mail is fetched; then the
 * process parks. */
#include "runtime/core/core.h"
#include "runtime/core/message.h"

static tr__proc *self_checked(void)
{
    const tr__core *core = tr__core_self();
    TR_ASSERT(core != NULL && core->current != NULL);
    return core->current;
}

struct wanted {
    tr_match_fn match; /* NULL: anything */
    void *ctx;
    bool hidden_too;
};

/* Requests of sys, acknowledgements of starts, a behaviour's own time-outs are not for callbacks, whatever they accept. */
static bool is_shown(const tr_msg *msg)
{
    return msg->tr__signal != TR_MSG_SYSTEM && msg->tr__signal != TR_MSG_ACK;
}

static inline bool is_wanted(const struct wanted *wanted, const tr_msg *msg)
{
    return (wanted->hidden_too || is_shown(msg)) &&
           (wanted->match == NULL || wanted->match(msg, wanted->ctx));
}

/* First match at or after *at. Moves *at to it, or to the queue's end. */
static inline bool scan(tr_msg ***at, const struct wanted *wanted)
{
    while (**at != NULL) {
        if (is_wanted(wanted, **at)) {
            return true;
        }
        *at = &(**at)->tr__next;
    }
    return false;
}

/* at: where the scan begins. */
static inline tr_msg *receive(tr__proc *proc, tr_msg **at, const struct wanted *wanted, int64_t timeout_ms)
{
    int64_t deadline = 0;
    bool in_time = true;
    for (bool first = true;; first = false) {
        /* Fetching appends only, so `at` (the link after the last message seen) stays good. */
        tr__fetch(proc);
        if (scan(&at, wanted)) {
            tr_msg *msg = tr__queue_take(proc, at);
            tr__held_add(proc, msg);
            return msg;
        }
        if (timeout_ms == 0 || !in_time) {
            return NULL;
        }
        if (first) {
            deadline = tr__deadline(timeout_ms);
        }
        in_time = tr__park_until(proc, deadline);
    }
}

/* What most plain processes do all day: the first message, however long it takes. Returns NULL when the first is none to be shown. */
static inline tr_msg *receive_first(tr__proc *proc)
{
    for (;;) {
        tr__fetch(proc);
        if (proc->head != NULL) {
            break;
        }
        tr__park(proc);
    }
    if (!is_shown(proc->head)) {
        return NULL;
    }
    tr_msg *msg = tr__queue_take(proc, &proc->head);
    tr__held_add(proc, msg);
    return msg;
}

tr_msg *tr_receive(tr_match_fn match, void *ctx, int64_t timeout_ms)
{
    tr__proc *proc = self_checked();
    if (match == NULL && timeout_ms == TR_INFINITY) {
        tr_msg *msg = receive_first(proc);
        if (msg != NULL) {
            return msg;
        }
    }
    return receive(proc, &proc->head, &(struct wanted){match, ctx, false}, timeout_ms);
}

tr_msg *tr__receive_own(tr_match_fn match, void *ctx, int64_t timeout_ms)
{
    tr__proc *proc = self_checked();
    return receive(proc, &proc->head, &(struct wanted){match, ctx, true}, timeout_ms);
}

static bool has_type(const tr_msg *msg, void *ctx)
{
    return msg->type == ctx;
}

const void *tr__receive_type(const tr_type *type, int64_t timeout_ms)
{
    tr_msg *msg = tr_receive(has_type, (void *)(uintptr_t)type, timeout_ms);
    return msg == NULL ? NULL : tr_msg_data(msg);
}

static bool has_ref(const tr_msg *msg, void *ctx)
{
    const tr_ref *ref = ctx;
    bool carries = msg->tr__signal == TR_MSG_REPLY || msg->tr__signal == TR_MSG_DOWN ||
                   msg->tr__signal == TR_MSG_TIMER || msg->tr__signal == TR_MSG_ACK;
    return carries && tr_ref_equal(msg->tr__ref, *ref);
}

tr_msg *tr_receive_ref(tr_ref ref, int64_t timeout_ms)
{
    tr__proc *proc = self_checked();
    /* hidden, too: who starts something waits for its acknowledgement */
    return receive(proc, &proc->head, &(struct wanted){has_ref, &ref, true}, timeout_ms);
}

tr_msg *tr__receive_ref_new(tr_ref ref, int64_t timeout_ms)
{
    tr__proc *proc = self_checked();
    return receive(proc, proc->tail, &(struct wanted){has_ref, &ref, true}, timeout_ms);
}

void tr_sleep(int64_t ms)
{
    tr__proc *proc = self_checked();
    int64_t deadline = tr__deadline(ms);
    if (ms <= 0 && ms != TR_INFINITY) {
        tr_yield();
        return;
    }
    while (tr__park_until(proc, deadline)) {
        tr__fetch(proc); /* signals are acted on, messages wait */
    }
    tr__fetch(proc);
}
