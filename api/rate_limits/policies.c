#include "api/rate_limits/policies.h"

#include "server/log.h"
#include "server/store/store_writer.h"

#include <string.h>

#define WRITE_TIMEOUT_MS   10000
#define EXPIRY_STEP_MAX_MS 60000 /* the wall clock may be set */

TR_MESSAGE_EMPTY(rl_policies_begin);
TR_MESSAGE_EMPTY(rl_policies_expire);

typedef struct policies {
    rl_policy_entry *entries;
    uint32_t count, room;
    int64_t next_expiry_ms; /* wall clock */
    tr_ref timer;
} policies;

/* --- entries --- */

static rl_policy_entry *find_id(const policies *self, uint32_t policy_id)
{
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->entries[i].policy_id == policy_id) {
            return &self->entries[i];
        }
    }
    return NULL;
}

static rl_policy_entry *find_name(const policies *self, const char *name)
{
    for (uint32_t i = 0; i < self->count; i++) {
        if (strcmp(self->entries[i].name, name) == 0) {
            return &self->entries[i];
        }
    }
    return NULL;
}

static void add_entry(policies *self, const rl_policy_entry *entry)
{
    rl_policy_entry *there = find_id(self, entry->policy_id);

    if (there != NULL) {
        *there = *entry;
        return;
    }
    if (self->count == self->room) {
        self->room = self->room == 0 ? 16 : 2 * self->room;
        self->entries = tr_realloc(self->entries, self->room * sizeof(*self->entries));
    }
    self->entries[self->count++] = *entry;
}

static void publish(const policies *self)
{
    rl_snapshot *snapshot = rl_snapshot_create(self->entries, self->count);

    TR_CHECK(snapshot != NULL);
    rl_snapshot_publish(&rl_service.policies, snapshot);
}

/* --- the store --- */

static enum store_status run(store_writer_fn apply, const void *arg, size_t bytes, void *result,
                             size_t result_bytes)
{
    return store_writer_run(apply, arg, bytes, result, result_bytes, WRITE_TIMEOUT_MS);
}

static enum rl_outcome outcome_of(enum store_status status)
{
    return status == STORE_FULL ? RL_STORAGE_FULL : RL_STORAGE_FAILED;
}

static void intend(enum rl_intent_kind kind, uint32_t policy_id, const rl_key_name *name)
{
    rl_intent *intent = &rl_service.intent;

    intent->policy_id = policy_id;
    if (name != NULL) {
        intent->key_bytes = name->key_bytes;
        memcpy(intent->key, name->key, name->key_bytes);
    }
    __atomic_store_n(&intent->kind, (uint32_t)kind, __ATOMIC_RELEASE);
}

/* All policies anew from the store. Returns: false when it cannot be read; nothing is changed then. */
static bool reload(policies *self)
{
    rl_policy_page *page = tr_alloc(sizeof(*page));
    policies fresh = {0};
    uint32_t after = 0;
    bool ok;

    do {
        ok = run(rl_sql_list_policies, &after, sizeof(after), page, sizeof(*page)) == STORE_REJECTED;
        for (uint32_t i = 0; ok && i < page->count; i++) {
            add_entry(&fresh, &page->entries[i]);
            after = page->entries[i].policy_id;
        }
    } while (ok && page->count == RL_PAGE_POLICIES);
    tr_free(page);
    if (!ok) {
        tr_free(fresh.entries);
        return false;
    }
    tr_free(self->entries);
    self->entries = fresh.entries;
    self->count = fresh.count;
    self->room = fresh.room;
    return true;
}

/* --- policies --- */

static tr_next answer_policy(tr_from from, enum rl_outcome outcome, const rl_policy_entry *entry)
{
    rl_policy_answer answer = {.outcome = (uint32_t)outcome};

    if (entry != NULL) {
        answer.entry = *entry;
    }
    (void)tr_reply(from, TR_TYPE(rl_policy_answer), &answer);
    return TR_NOREPLY;
}

static bool version_holds(const rl_policy_entry *entry, uint64_t expected)
{
    return expected == RL_ANY_VERSION || expected == (entry == NULL ? 0 : entry->version);
}

/* A durable policy becomes known: partitions, readers. */
static enum rl_result show_policy(policies *self, const rl_policy_entry *entry)
{
    enum rl_result result = rl__switch_policy(entry->policy_id, &entry->policy);

    if (result == RL_OK) {
        add_entry(self, entry);
        publish(self);
    }
    return result;
}

/* The write's fate is unknown: what the store says now is the truth. */
static tr_next put_after_doubt(policies *self, tr_from from, const rl_ask_put_policy *ask,
                               uint64_t old_version)
{
    if (!reload(self)) {
        return answer_policy(from, RL_STORAGE_FAILED, NULL);
    }
    const rl_policy_entry *now = find_name(self, ask->wanted.name);
    if (now == NULL || now->version == old_version) {
        return answer_policy(from, RL_STORAGE_FAILED, NULL);
    }
    rl_policy_entry entry = *now;
    (void)show_policy(self, &entry);
    return answer_policy(from, old_version == 0 ? RL_DONE_CREATED : RL_DONE_REPLACED, &entry);
}

static tr_next put_policy(policies *self, tr_from from, const rl_ask_put_policy *ask)
{
    const rl_policy_entry *old = find_name(self, ask->wanted.name);
    uint64_t old_version = old == NULL ? 0 : old->version;
    rl_policy_entry written;

    if (!version_holds(old, ask->expected)) {
        return answer_policy(from, RL_VERSION_CONFLICT, NULL);
    }
    if (old != NULL && rl_policy_same(&old->policy, &ask->wanted.policy)) {
        return answer_policy(from, RL_DONE_SAME, old);
    }
    if (old == NULL && self->count >= RL_POLICIES_MAX) {
        return answer_policy(from, RL_TOO_MANY, NULL);
    }
    intend(RL_INTENT_POLICY, 0, NULL);
    enum store_status status =
        run(rl_sql_put_policy, &ask->wanted, sizeof(ask->wanted), &written, sizeof(written));
    if (status == STORE_UNKNOWN) {
        return put_after_doubt(self, from, ask, old_version);
    }
    if (status != STORE_OK) {
        intend(RL_INTENT_NONE, 0, NULL);
        return answer_policy(from, outcome_of(status), NULL);
    }
    enum rl_result result = show_policy(self, &written);
    if (result != RL_OK && old_version == 0) { /* no room for it in some partition */
        (void)run(rl_sql_drop_policy, &written.policy_id, sizeof(written.policy_id), NULL, 0);
        rl__switch_drop_policy(written.policy_id);
    }
    intend(RL_INTENT_NONE, 0, NULL);
    if (result != RL_OK) {
        return answer_policy(from, RL_TOO_MANY, NULL);
    }
    log_event(LOG_INFO, EVENT_POLICY_CHANGED, log_str("policy", written.name),
              log_uint("version", written.version));
    return answer_policy(from, old_version == 0 ? RL_DONE_CREATED : RL_DONE_REPLACED, &written);
}

static tr_next drop_policy(policies *self, tr_from from, const rl_ask_drop_policy *ask)
{
    rl_policy_entry *entry = find_id(self, ask->policy_id);
    enum store_status status;
    char name[RL_POLICY_NAME_MAX + 1];

    if (entry == NULL) {
        return answer_policy(from, RL_NO_SUCH_POLICY, NULL);
    }
    if (!version_holds(entry, ask->expected)) {
        return answer_policy(from, RL_VERSION_CONFLICT, NULL);
    }
    memcpy(name, entry->name, sizeof(name));
    intend(RL_INTENT_POLICY, ask->policy_id, NULL);
    status = run(rl_sql_drop_policy, &ask->policy_id, sizeof(ask->policy_id), NULL, 0);
    if (status == STORE_UNKNOWN) {
        tr_error(tr_atom("store_unknown")); /* the successor finds out */
    }
    if (status != STORE_OK) {
        intend(RL_INTENT_NONE, 0, NULL);
        return answer_policy(from, outcome_of(status), NULL);
    }
    *entry = self->entries[--self->count];
    publish(self); /* readers first: the partitions then say of late ones that the policy is unknown */
    rl__switch_drop_policy(ask->policy_id);
    intend(RL_INTENT_NONE, 0, NULL);
    log_event(LOG_INFO, EVENT_POLICY_REMOVED, log_str("policy", name));
    return answer_policy(from, RL_DONE_DROPPED, NULL);
}

/* --- overrides --- */

static tr_next answer_override(tr_from from, enum rl_outcome outcome, const rl_override_row *row)
{
    rl_override_answer answer = {.outcome = (uint32_t)outcome};

    if (row != NULL) {
        answer.row = *row;
    }
    (void)tr_reply(from, TR_TYPE(rl_override_answer), &answer);
    return TR_NOREPLY;
}

static void arm(policies *self, int64_t next_ms)
{
    int64_t delay_ms = next_ms - rl_wall_ms();

    if (self->timer.id != 0) {
        (void)tr_cancel_timer(self->timer);
        self->timer = TR_NO_REF;
    }
    self->next_expiry_ms = next_ms;
    if (next_ms != RL_NEVER) {
        delay_ms = delay_ms < 0 ? 0 : delay_ms > EXPIRY_STEP_MAX_MS ? EXPIRY_STEP_MAX_MS : delay_ms;
        self->timer = TR_SEND_AFTER(delay_ms, tr_self(), rl_policies_expire);
    }
}

/* RL_DONE_FOUND, RL_NO_SUCH_OVERRIDE (one that has expired is none), or why it cannot be read. */
static enum rl_outcome read_override(const rl_key_name *name, rl_override_row *out)
{
    rl_override_found found;
    enum store_status status = run(rl_sql_get_override, name, sizeof(*name), &found, sizeof(found));

    if (status != STORE_REJECTED) {
        return outcome_of(status);
    }
    if (!found.found || found.row.expires_at_ms <= rl_wall_ms()) {
        return RL_NO_SUCH_OVERRIDE;
    }
    *out = found.row;
    return RL_DONE_FOUND;
}

/* RL_DONE_FOUND: the condition holds. Nobody else writes overrides, so it holds until this callback's own write. */
static enum rl_outcome judge_override(const rl_key_name *name, uint64_t expected)
{
    rl_override_row now;
    enum rl_outcome found = expected == RL_ANY_VERSION ? RL_DONE_FOUND : read_override(name, &now);

    if (expected == RL_ANY_VERSION || (found != RL_DONE_FOUND && found != RL_NO_SUCH_OVERRIDE)) {
        return found;
    }
    return expected == (found == RL_DONE_FOUND ? now.version : 0) ? RL_DONE_FOUND : RL_VERSION_CONFLICT;
}

static tr_next put_override(policies *self, tr_from from, const rl_ask_put_override *ask)
{
    rl_override_row row = ask->row;
    rl_override_written written;

    if (find_id(self, row.name.policy_id) == NULL) {
        return answer_override(from, RL_NO_SUCH_POLICY, NULL);
    }
    enum rl_outcome judged = judge_override(&row.name, ask->expected);
    if (judged != RL_DONE_FOUND) {
        return answer_override(from, judged, NULL);
    }
    row.expires_at_ms = ask->expires_in_ms == 0 ? RL_NEVER : rl_wall_ms() + ask->expires_in_ms;
    intend(RL_INTENT_OVERRIDE, row.name.policy_id, &row.name);
    enum store_status status = run(rl_sql_put_override, &row, sizeof(row), &written, sizeof(written));
    if (status == STORE_UNKNOWN) {
        tr_error(tr_atom("store_unknown"));
    }
    if (status != STORE_OK) {
        intend(RL_INTENT_NONE, 0, NULL);
        return answer_override(from, outcome_of(status), NULL);
    }
    row.cookie = written.cookie;
    row.version = written.version;
    enum rl_result result = rl__switch_override(&row);
    if (result != RL_OK) {
        (void)run(rl_sql_drop_override, &row.name, sizeof(row.name), &written, sizeof(written));
        rl__switch_drop_override(&row.name);
        intend(RL_INTENT_NONE, 0, NULL);
        return answer_override(from, RL_TOO_MANY, NULL);
    }
    intend(RL_INTENT_NONE, 0, NULL);
    if (row.expires_at_ms < self->next_expiry_ms) {
        arm(self, row.expires_at_ms);
    }
    return answer_override(from, written.existed ? RL_DONE_REPLACED : RL_DONE_CREATED, &row);
}

static tr_next get_override(tr_from from, const rl_ask_get_override *ask)
{
    rl_override_row row;
    enum rl_outcome found = read_override(&ask->name, &row);

    return answer_override(from, found, found == RL_DONE_FOUND ? &row : NULL);
}

static enum store_status drop_override_rows(const rl_key_name *name, bool *existed)
{
    rl_override_written dropped = {.existed = false};
    enum store_status status = run(rl_sql_drop_override, name, sizeof(*name), &dropped, sizeof(dropped));

    *existed = dropped.existed;
    return status;
}

static tr_next drop_override(tr_from from, const rl_ask_drop_override *ask)
{
    bool existed = false;
    enum rl_outcome judged = judge_override(&ask->name, ask->expected);

    if (judged != RL_DONE_FOUND) {
        return answer_override(from, judged, NULL);
    }
    intend(RL_INTENT_OVERRIDE, ask->name.policy_id, &ask->name);
    enum store_status status = drop_override_rows(&ask->name, &existed);
    if (status == STORE_UNKNOWN) {
        tr_error(tr_atom("store_unknown"));
    }
    if (status == STORE_OK && existed) {
        rl__switch_drop_override(&ask->name);
    }
    intend(RL_INTENT_NONE, 0, NULL);
    if (status != STORE_OK) {
        return answer_override(from, outcome_of(status), NULL);
    }
    return answer_override(from, existed ? RL_DONE_DROPPED : RL_NO_SUCH_OVERRIDE, NULL);
}

/* Takes out what has expired, a page at a time. */
static void expire(policies *self)
{
    rl_expired_page *page = tr_alloc(sizeof(*page));
    int64_t now_ms = rl_wall_ms();
    bool failed = false;
    bool existed;

    do {
        failed = run(rl_sql_expired, &now_ms, sizeof(now_ms), page, sizeof(*page)) != STORE_REJECTED;
        for (uint32_t i = 0; !failed && i < page->count; i++) {
            rl__switch_drop_override(&page->names[i]);
            failed = drop_override_rows(&page->names[i], &existed) != STORE_OK;
        }
    } while (!failed && page->count != 0);
    arm(self, failed ? now_ms + EXPIRY_STEP_MAX_MS : page->next_at_ms);
    tr_free(page);
}

/* --- after a death --- */

static void recover_override(const rl_intent *intent)
{
    rl_key_name name = {.policy_id = intent->policy_id, .key_bytes = intent->key_bytes};
    rl_override_found found;

    memcpy(name.key, intent->key, intent->key_bytes);
    TR_CHECK(run(rl_sql_get_override, &name, sizeof(name), &found, sizeof(found)) == STORE_REJECTED);
    if (found.found) {
        (void)rl__switch_override(&found.row);
    } else {
        rl__switch_drop_override(&name);
    }
}

static void recover(policies *self)
{
    rl_intent intent = rl_service.intent;

    if (intent.kind == RL_INTENT_NONE) {
        return;
    }
    TR_CHECK(reload(self)); /* else the supervisor tries again */
    for (uint32_t i = 0; i < self->count; i++) {
        (void)rl__switch_policy(self->entries[i].policy_id, &self->entries[i].policy);
    }
    publish(self);
    if (intent.kind == RL_INTENT_OVERRIDE) {
        recover_override(&intent);
    } else if (intent.policy_id != 0 && find_id(self, intent.policy_id) == NULL) {
        rl__switch_drop_policy(intent.policy_id);
    }
    intend(RL_INTENT_NONE, 0, NULL);
}

/* --- the process --- */

static tr_next policies_init(policies *self, const void *arg)
{
    uint32_t count = 0;
    const rl_policy_entry *entries = rl_snapshot_entries(rl_service.policies.now, &count);

    (void)arg;
    self->next_expiry_ms = RL_NEVER;
    for (uint32_t i = 0; i < count; i++) {
        add_entry(self, &entries[i]);
    }
    return tr_next_continue(TR_INIT_OK, TR_MSG(rl_policies_begin));
}

static tr_next policies_handle_continue(policies *self, const tr_msg *msg)
{
    (void)msg;
    recover(self);
    expire(self);
    return TR_NOREPLY;
}

static tr_next policies_handle_call(policies *self, tr_from from, const tr_msg *msg)
{
    const rl_ask_put_policy *put = TR_MATCH(msg, rl_ask_put_policy);
    const rl_ask_drop_policy *drop = TR_MATCH(msg, rl_ask_drop_policy);
    const rl_ask_put_override *override = TR_MATCH(msg, rl_ask_put_override);
    const rl_ask_get_override *get = TR_MATCH(msg, rl_ask_get_override);
    const rl_ask_drop_override *end = TR_MATCH(msg, rl_ask_drop_override);

    if (put != NULL) {
        return put_policy(self, from, put);
    }
    if (drop != NULL) {
        return drop_policy(self, from, drop);
    }
    if (override != NULL) {
        return put_override(self, from, override);
    }
    if (get != NULL) {
        return get_override(from, get);
    }
    return end != NULL ? drop_override(from, end) : tr_unexpected(msg);
}

static tr_next policies_handle_info(policies *self, const tr_msg *msg)
{
    if (TR_MATCH(msg, rl_policies_expire) != NULL) {
        self->timer = TR_NO_REF;
        expire(self);
    }
    return TR_NOREPLY;
}

static tr_term policies_format_state(const policies *self)
{
    return tr_map_n(2, (tr_term[]){tr_atom("policies"), tr_int(self->count), tr_atom("overrides"),
                                   tr_int((int64_t)rl_override_count())});
}

TR_GEN_SERVER(policies, .init = policies_init, .handle_call = policies_handle_call,
              .handle_info = policies_handle_info, .handle_continue = policies_handle_continue,
              .format_state = policies_format_state);

tr_child_spec rl_policies_child_spec(void)
{
    return (tr_child_spec){.id = rl_service.policies_name,
                           .server = policies_server,
                           .start = {.name = rl_service.policies_name}};
}
