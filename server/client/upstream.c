/* The process that guards one upstream. */
#include "server/client/upstream.h"

#include <string.h>

#include "server/log.h"

#define CONCURRENT_MAX 512u
#define PLACES_FIRST   16u

TR_MESSAGE(upstream_ask_enter, { bool first; });
TR_MESSAGE(upstream_entered, {
    enum upstream_verdict verdict;
    int64_t wait_ms;
    uint64_t number;
    tr_pid guard; /* this incarnation: its successor knows nothing of the place */
});
TR_MESSAGE(upstream_left, {
    uint64_t number;
    enum breaker_outcome outcome;
});
TR_MESSAGE_EMPTY(upstream_ask_retry);
TR_MESSAGE(upstream_retry_answer, { bool yes; });
TR_MESSAGE_EMPTY(upstream_ask_stats);
TR_MESSAGE(upstream_stats_answer, { struct upstream_stats stats; });

struct upstream_arg {
    tr_term name;
    struct upstream_rules rules;
};

/* One who is inside. Free places form a list; the generation tells a place from who had it before. */
struct place {
    tr_ref monitor; /* TR_NO_REF: free */
    struct breaker_pass pass;
    uint32_t generation;
    uint32_t next_free; /* index + 1; 0: none */
};

typedef struct upstream {
    tr_term name;
    struct breaker breaker;
    struct retry_budget budget;
    struct place *places;
    uint32_t place_count, free; /* index + 1 */
    struct upstream_stats stats;
} upstream;

/* ---- places ---- */

static void places_grow(upstream *self)
{
    uint32_t most = self->stats.concurrent_max;
    uint32_t count = self->place_count == 0 ? PLACES_FIRST : self->place_count * 2;
    count = count > most ? most : count;
    self->places = tr_realloc(self->places, count * sizeof(*self->places));
    for (uint32_t i = count; i-- > self->place_count;) {
        self->places[i] = (struct place){.next_free = self->free};
        self->free = i + 1;
    }
    self->place_count = count;
}

static uint64_t place_take(upstream *self, tr_pid holder, struct breaker_pass pass)
{
    if (self->free == 0) {
        places_grow(self);
    }
    uint32_t index = self->free - 1;
    struct place *place = &self->places[index];
    self->free = place->next_free;
    place->monitor = tr_monitor(tr_to(holder), NULL);
    place->pass = pass;
    self->stats.concurrent++;
    return (uint64_t)place->generation << 32 | index;
}

/* ---- what happens ---- */

static void note_change(const upstream *self)
{
    enum breaker_state state = self->breaker.state;
    if (state == BREAKER_OPEN) {
        log_event(LOG_WARN, EVENT_BREAKER_OPENED, log_str("upstream", tr_atom_text(self->name)),
                  log_int("for_ms", self->breaker.open_for_ms));
    } else if (state == BREAKER_CLOSED) {
        log_event(LOG_INFO, EVENT_BREAKER_CLOSED, log_str("upstream", tr_atom_text(self->name)));
    }
}

static void leave(upstream *self, uint32_t index, enum breaker_outcome outcome)
{
    struct place *place = &self->places[index];
    uint64_t *const counters[] = {[BREAKER_SUCCESS] = &self->stats.succeeded,
                                  [BREAKER_FAILURE] = &self->stats.failed,
                                  [BREAKER_UNKNOWN] = &self->stats.unknown};
    ++*counters[outcome];
    if (breaker_report(&self->breaker, place->pass, outcome, tr_now_ms())) {
        note_change(self);
    }
    place->monitor = TR_NO_REF;
    place->generation++;
    place->next_free = self->free;
    self->free = index + 1;
    self->stats.concurrent--;
}

static upstream_entered enter(upstream *self, tr_pid holder, bool first)
{
    int64_t now_ms = tr_now_ms();
    struct breaker_pass pass;
    if (first) {
        retry_budget_pay(&self->budget, now_ms);
    }
    if (self->stats.concurrent == self->stats.concurrent_max) {
        self->stats.refused_full++;
        return (upstream_entered){.verdict = UPSTREAM_FULL};
    }
    if (!breaker_admit(&self->breaker, now_ms, &pass)) {
        self->stats.refused_open++;
        return (upstream_entered){.verdict = UPSTREAM_OPEN,
                                  .wait_ms = breaker_wait_ms(&self->breaker, now_ms)};
    }
    self->stats.entered++;
    return (upstream_entered){
        .verdict = UPSTREAM_GO, .number = place_take(self, holder, pass), .guard = tr_self()};
}

static bool take_retry(upstream *self)
{
    bool yes = retry_budget_take(&self->budget, tr_now_ms());
    self->stats.retried += yes;
    self->stats.retries_refused += !yes;
    return yes;
}

static struct upstream_stats stats_now(const upstream *self)
{
    struct upstream_stats stats = self->stats;
    stats.state = self->breaker.state;
    stats.wait_ms = breaker_wait_ms(&self->breaker, tr_now_ms());
    stats.retries_left = retry_budget_left(&self->budget);
    stats.opened = self->breaker.opened;
    return stats;
}

/* ---- the process ---- */

static tr_next upstream_init(upstream *self, const void *arg)
{
    const struct upstream_rules *rules = &((const struct upstream_arg *)arg)->rules;
    self->name = ((const struct upstream_arg *)arg)->name;
    breaker_init(&self->breaker, &rules->breaker);
    retry_budget_init(&self->budget, &rules->budget, tr_now_ms());
    self->stats.concurrent_max = rules->concurrent_max == 0 ? CONCURRENT_MAX : rules->concurrent_max;
    return TR_INIT_OK;
}

static tr_next upstream_handle_call(upstream *self, tr_from from, const tr_msg *msg)
{
    const upstream_ask_enter *ask = TR_MATCH(msg, upstream_ask_enter);
    if (ask != NULL) {
        upstream_entered entered = enter(self, from.ref.owner, ask->first);
        return tr__next_reply(from, TR_TYPE(upstream_entered), &entered);
    }
    if (TR_MATCH(msg, upstream_ask_retry) != NULL) {
        return TR_REPLY(from, upstream_retry_answer, .yes = take_retry(self));
    }
    if (TR_MATCH(msg, upstream_ask_stats) != NULL) {
        return TR_REPLY(from, upstream_stats_answer, .stats = stats_now(self));
    }
    return tr_unexpected(msg);
}

static tr_next upstream_handle_cast(upstream *self, const tr_msg *msg)
{
    const upstream_left *left = TR_MATCH(msg, upstream_left);
    if (left == NULL) {
        return tr_unexpected(msg);
    }
    uint32_t index = (uint32_t)left->number;
    if (index < self->place_count && self->places[index].monitor.id != 0 &&
        self->places[index].generation == left->number >> 32) {
        (void)tr_demonitor(self->places[index].monitor, true);
        leave(self, index, left->outcome);
    }
    return TR_NOREPLY;
}

static tr_next upstream_handle_info(upstream *self, const tr_msg *msg)
{
    for (uint32_t i = 0; tr_msg_kind_of(msg) == TR_MSG_DOWN && i < self->place_count; i++) {
        if (tr_ref_equal(self->places[i].monitor, tr_msg_ref(msg))) {
            leave(self, i, BREAKER_UNKNOWN);
            break;
        }
    }
    return TR_NOREPLY;
}

static tr_term upstream_format_state(const upstream *self)
{
    return tr_map_n(3, (tr_term[]){tr_atom("breaker"), tr_atom(breaker_state_word(self->breaker.state)),
                                   tr_atom("concurrent"), tr_int(self->stats.concurrent),
                                   tr_atom("retries_left"), tr_int(retry_budget_left(&self->budget))});
}

TR_GEN_SERVER(upstream, .init = upstream_init, .handle_call = upstream_handle_call,
              .handle_cast = upstream_handle_cast, .handle_info = upstream_handle_info,
              .format_state = upstream_format_state);

tr_child_spec upstream_child_spec(tr_term name, const struct upstream_rules *rules)
{
    struct upstream_arg *arg = tr_scratch_alloc(sizeof(*arg));
    *arg = (struct upstream_arg){.name = name, .rules = *rules};
    return (tr_child_spec){.id = name,
                           .server = upstream_server,
                           .arg = arg,
                           .arg_bytes = sizeof(*arg),
                           .start = {.name = name}};
}

/* ---- callers ---- */

tr_err upstream_enter(tr_dest guard, bool first, int64_t timeout_ms, struct upstream_pass *pass)
{
    upstream_entered entered;
    tr_err err = TR_CALL(guard, timeout_ms, upstream_entered, &entered, upstream_ask_enter, .first = first);
    if (err == TR_OK) {
        *pass = (struct upstream_pass){.guard = tr_to(entered.guard),
                                       .verdict = entered.verdict,
                                       .wait_ms = entered.wait_ms,
                                       .number = entered.number};
    }
    return err;
}

void upstream_leave(const struct upstream_pass *pass, enum breaker_outcome outcome)
{
    (void)TR_CAST(pass->guard, upstream_left, .number = pass->number, .outcome = outcome);
}

bool upstream_may_retry(tr_dest guard, int64_t timeout_ms)
{
    upstream_retry_answer answer = {.yes = false};
    return TR_CALL(guard, timeout_ms, upstream_retry_answer, &answer, upstream_ask_retry) == TR_OK &&
           answer.yes;
}

tr_err upstream_stats_of(tr_dest guard, int64_t timeout_ms, struct upstream_stats *out)
{
    upstream_stats_answer answer;
    tr_err err = TR_CALL(guard, timeout_ms, upstream_stats_answer, &answer, upstream_ask_stats);
    if (err == TR_OK) {
        *out = answer.stats;
    }
    return err;
}
