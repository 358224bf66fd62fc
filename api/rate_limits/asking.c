#include "api/rate_limits/asking.h"

#include "server/log.h"

#define FULL_LOG_NS         UINT64_C(60000000000)
#define ROOM_LINES          4096u
#define ROOM_PARTITIONS_MAX 64u /* asked for one request */
#define ROOM_PAUSE_MIN_NS \
    UINT64_C(20000000) /* a round over all partitions found nothing: not again for so long */
#define ROOM_PAUSE_MAX_NS UINT64_C(1000000000)

rl_ask *rl_ask_new(struct http_request *request)
{
    rl_ask *ask = json_arena_take(http_request_arena(request), sizeof(*ask));

    if (ask == NULL) {
        rl_answer_unavailable(request);
        return NULL;
    }
    *ask = (rl_ask){.how = RL_HOW_TAKE};
    http_request_set_state(request, ask);
    return ask;
}

void rl_answer_unavailable(struct http_request *request)
{
    http_answer_header(request, "Retry-After", TEXT("1"));
    http_answer_header(request, "Cache-Control", TEXT("no-store"));
    http_answer_problem(request, PROBLEM_UNAVAILABLE, "the limiter of this key does not answer");
}

void rl_answer_not_reached(struct http_request *request, tr_term reason)
{
    if (tr_same(reason, TR_ATOM(MAILBOX_FULL))) {
        http_answer_call_failed(request, TR_E_FULL);
    } else {
        rl_answer_unavailable(request);
    }
}

void rl_answer_no_policy(struct http_request *request, struct text policy)
{
    http_answer_problem(request, PROBLEM_POLICY_NOT_FOUND, "there is no policy \"%.*s\"", (int)policy.count,
                        policy.bytes);
}

bool rl_key_fits(struct text key, struct json_errors *errors)
{
    if (key.count >= 1 && key.count <= RL_KEY_BYTES_MAX) {
        return true;
    }
    json_errors_add(errors, NULL, "key", "must be 1 to %d bytes long", RL_KEY_BYTES_MAX);
    return false;
}

/* --- no room for a new key: perhaps another partition has full buckets to drop --- */

static void send_check(struct http_request *request, rl_ask *ask);
static void send_make_room(struct http_request *request, rl_ask *ask);

static void answer_full(struct http_request *request, const rl_ask *ask, const rl_decided *decided)
{
    (void)ask;
    http_answer_headerf(request, "Retry-After", "%llu",
                        (unsigned long long)(decided == NULL ? 1 : decided->decision.retry_after_s));
    http_answer_header(request, "Cache-Control", TEXT("no-store"));
    http_answer_problem(request, PROBLEM_LIMITER_FULL, "there is no room for another key; known keys go on");
}

static void log_full(uint64_t now_ns)
{
    uint64_t last_ns = __atomic_load_n(&rl_service.full_logged_ns, __ATOMIC_RELAXED);

    if ((last_ns == 0 || now_ns - last_ns >= FULL_LOG_NS) &&
        __atomic_compare_exchange_n(&rl_service.full_logged_ns, &last_ns, now_ns, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED)) {
        log_event(LOG_WARN, EVENT_LIMITER_FILLED, log_uint("max_keys", rl_service.budget.max));
    }
}

/* Nothing in a whole round: for a while nobody asks again. */
static void note_full(const rl_ask *ask)
{
    uint64_t pause_ns = ask->room_in_ns;
    uint64_t now_ns = tr_now_ns();

    pause_ns = pause_ns < ROOM_PAUSE_MIN_NS ? ROOM_PAUSE_MIN_NS : pause_ns;
    pause_ns = pause_ns > ROOM_PAUSE_MAX_NS ? ROOM_PAUSE_MAX_NS : pause_ns;
    __atomic_store_n(&rl_service.full_until_ns, now_ns + pause_ns, __ATOMIC_RELAXED);
    log_full(now_ns);
}

static void room_made(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    rl_ask *ask = http_request_state(request);
    const rl_room_made *made = TR_MATCH(reply, rl_room_made);

    (void)tag;
    (void)reason;
    if (made != NULL && made->dropped != 0) {
        send_check(request, ask);
        return;
    }
    if (made != NULL && made->room_in_ns < ask->room_in_ns) {
        ask->room_in_ns = made->room_in_ns;
    }
    send_make_room(request, ask);
}

/* Asks the next partition that is there; after the last one gives up. */
static void send_make_room(struct http_request *request, rl_ask *ask)
{
    uint32_t next = ask->room_asked + 1;

    while (next < rl_service.partition_count &&
           rl_partition_pid((ask->partition + next) % rl_service.partition_count) == TR_NO_PID) {
        next++;
    }
    ask->room_asked = next;
    if (next >= rl_service.partition_count || next > ROOM_PARTITIONS_MAX) {
        note_full(ask);
        answer_full(request, ask, NULL);
        return;
    }
    http_request_call(request, tr_to(rl_partition_pid((ask->partition + next) % rl_service.partition_count)),
                      TR_MSG(rl_make_room, .lines = ROOM_LINES), 0, room_made);
}

static void seek_room(struct http_request *request, rl_ask *ask, const rl_decided *decided)
{
    if (ask->room_asked != 0 || tr_now_ns() < __atomic_load_n(&rl_service.full_until_ns, __ATOMIC_RELAXED)) {
        answer_full(request, ask, decided);
        return;
    }
    ask->room_in_ns = UINT64_MAX;
    send_make_room(request, ask);
}

/* --- the usual way --- */

static void was_decided(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    rl_ask *ask = http_request_state(request);
    const rl_decided *decided = TR_MATCH(reply, rl_decided);

    (void)tag;
    if (decided == NULL) {
        rl_answer_not_reached(request, reason);
    } else if (decided->status == RL_UNKNOWN_RATE) {
        rl_answer_no_policy(request, ask->policy);
    } else if (decided->status == RL_LIMITER_FULL) {
        seek_room(request, ask, decided);
    } else {
        ask->answer(request, ask, decided);
    }
}

static void send_check(struct http_request *request, rl_ask *ask)
{
    rl_check check = {
        .hash = ask->hash, .cost = ask->cost, .policy_id = ask->policy_id, .how = (uint32_t)ask->how};

    http_request_ask(request, rl_partition_pid(ask->partition), tr_msg_new(TR_TYPE(rl_check), &check),
                     was_decided);
}

void rl_ask_start(struct http_request *request, rl_ask *ask)
{
    const rl_policy_entry *policy = rl_snapshot_find(rl_snapshot_now(&rl_service.policies), ask->policy);

    if (policy == NULL) {
        rl_answer_no_policy(request, ask->policy);
        return;
    }
    ask->policy_id = policy->policy_id;
    ask->cost = ask->cost != 0 ? ask->cost : policy->policy.default_cost;
    ask->hash = rl_key_hash(&rl_service.seed, ask->policy_id, ask->key.bytes, ask->key.count);
    ask->partition = rl_partition_of(&ask->hash);
    http_request_on_timeout(request, rl_answer_unavailable);
    send_check(request, ask);
}
