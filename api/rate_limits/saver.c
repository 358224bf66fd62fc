#include "api/rate_limits/saver.h"

#include "api/rate_limits/messages.h"
#include "api/rate_limits/records.h"
#include "server/log.h"
#include "server/store/store_writer.h"

#include <stdlib.h>

#define SLICE_LINES       8192
#define WRITE_TIMEOUT_MS  10000
#define SLICE_TIMEOUT_MS  2000
#define SAVED_A_MS        5 /* levels that even a slow disk takes */
#define CLEAN_INTERVAL_MS 60000
#define NS_PER_MS         UINT64_C(1000000)

TR_MESSAGE_EMPTY(rl_saver_tick);

typedef struct saver {
    bool saving;        /* a round is under way */
    uint32_t partition; /* the next one */
    rl_cursor cursor;
    bool save_all;    /* the next round: everything */
    bool round_all;   /* this round */
    bool failed;      /* this round */
    bool failing;     /* the last one did */
    uint64_t written; /* in this round */
    int64_t cleaned_ms;
    rl_levels_arg *levels;
} saver;

static bool is_slow(const rl_record *record)
{
    return record->full_in_ns > RL_SAVE_SLOW_MS * NS_PER_MS;
}

/* Writes what a slice gave. Returns: it is durable. */
static bool write_slice(saver *self, const rl_saved_slice *slice, bool slow_only)
{
    const rl_record *records = (const rl_record *)(const void *)slice->records->bytes;
    rl_levels_arg *levels = self->levels;

    levels->count = 0;
    levels->saved_at_ms = rl_wall_ms();
    for (uint32_t i = 0; i < slice->count; i++) {
        if (!slow_only || is_slow(&records[i])) {
            levels->records[levels->count++] = records[i];
        }
    }
    if (levels->count == 0) {
        return true;
    }
    size_t bytes = sizeof(*levels) + levels->count * sizeof(rl_record);
    enum store_status status = store_writer_run(rl_sql_put_levels, levels, bytes, NULL, 0, WRITE_TIMEOUT_MS);
    if (status == STORE_OK) {
        self->written += levels->count;
        return true;
    }
    if (!self->failing && !self->failed) {
        log_event(LOG_ERROR, EVENT_LIMITS_SAVE_FAILED, log_str("status", store_status_name(status)));
    }
    return false;
}

/* Saves one slice of one partition. Returns: false when it could not be asked or written. *cursor moves on. */
static bool save_slice(saver *self, uint32_t partition, enum rl_save what, bool slow_only, rl_cursor *cursor)
{
    tr_msg *reply = NULL;
    tr_pid pid = rl_partition_pid(partition);
    tr_err err = pid == TR_NO_PID
                     ? TR_E_NOPROC
                     : tr_gen_server_call(tr_to(pid),
                                          TR_MSG(rl_save_slice, .what = (uint32_t)what, .lines = SLICE_LINES,
                                                 .room = RL_LEVELS_MAX, .cursor = *cursor),
                                          SLICE_TIMEOUT_MS, &reply, NULL);
    if (err != TR_OK) {
        return false;
    }
    const rl_saved_slice *slice = TR_MATCH(reply, rl_saved_slice);
    *cursor = slice->cursor;
    bool ok = write_slice(self, slice, slow_only);
    tr_msg_drop(reply);
    return ok;
}

/* --- rounds --- */

static void end_round(saver *self)
{
    self->saving = false;
    self->save_all = self->failed;
    self->failing = self->failed;
    if (self->failed) {
        metric_count(rl_service.metrics.save_failures, 1);
    } else if (self->written != 0) {
        metric_count(rl_service.metrics.saves, 1);
        metric_count(rl_service.metrics.saved_levels, self->written);
    }
}

static void clean(saver *self)
{
    int64_t now_ms = tr_now_ms();
    int64_t wall_ms = rl_wall_ms();
    int64_t dropped = 0;

    if (now_ms - self->cleaned_ms >= CLEAN_INTERVAL_MS) {
        self->cleaned_ms = now_ms;
        (void)store_writer_run(rl_sql_clean_levels, &wall_ms, sizeof(wall_ms), &dropped, sizeof(dropped),
                               WRITE_TIMEOUT_MS);
    }
}

/* One slice, then the mailbox has its turn. */
static tr_next step(saver *self)
{
    while (self->partition < rl_service.partition_count) {
        rl_partition *partition = &rl_service.partitions[self->partition];
        bool begins = self->cursor.next_line == 0;
        if (begins && !self->round_all && __atomic_load_n(&partition->dirty, __ATOMIC_RELAXED) == 0) {
            self->partition++;
            continue;
        }
        if (begins) {
            __atomic_store_n(&partition->dirty, 0, __ATOMIC_RELAXED);
        }
        bool ok = save_slice(self, self->partition, self->round_all ? RL_SAVE_ALL : RL_SAVE_CHANGED, true,
                             &self->cursor);
        self->failed = self->failed || !ok;
        if (!ok || self->cursor.done) {
            self->cursor = (rl_cursor){0};
            self->partition++;
        }
        return tr_next_timeout(TR_NOREPLY, 0);
    }
    end_round(self);
    clean(self);
    (void)TR_SEND_AFTER(rl_service.save_interval_ms, tr_self(), rl_saver_tick);
    return TR_NOREPLY;
}

static tr_next begin_round(saver *self)
{
    self->saving = true;
    self->partition = 0;
    self->cursor = (rl_cursor){0};
    self->round_all = self->save_all;
    self->failed = false;
    self->written = 0;
    return step(self);
}

/* Everything, at once: the drained stop. */
static bool save_everything(saver *self)
{
    bool ok = true;

    self->written = 0;
    for (uint32_t i = 0; i < rl_service.partition_count; i++) {
        for (rl_cursor cursor = {0}; ok && !cursor.done;) {
            ok = save_slice(self, i, RL_SAVE_ALL, false, &cursor);
        }
    }
    log_event(ok ? LOG_INFO : LOG_ERROR, ok ? EVENT_LIMITS_SAVED : EVENT_LIMITS_SAVE_FAILED,
              log_uint("levels", self->written));
    return ok;
}

/* --- the process --- */

static tr_next saver_init(saver *self, const void *arg)
{
    (void)arg;
    self->levels = tr_alloc(sizeof(*self->levels) + RL_LEVELS_MAX * sizeof(rl_record));
    self->save_all = true; /* a predecessor may have died with marks cleared and nothing written */
    (void)TR_SEND_AFTER(rl_service.save_interval_ms, tr_self(), rl_saver_tick);
    return TR_INIT_OK;
}

static tr_next saver_handle_call(saver *self, tr_from from, const tr_msg *msg)
{
    const rl_ask_forget *forget = TR_MATCH(msg, rl_ask_forget);
    bool ok = false;

    if (forget != NULL) {
        enum store_status status = store_writer_run(rl_sql_forget_level, &forget->hash, sizeof(forget->hash),
                                                    NULL, 0, WRITE_TIMEOUT_MS);
        ok = status == STORE_OK || status == STORE_REJECTED;
    } else if (TR_MATCH(msg, rl_ask_save_all) != NULL) {
        ok = save_everything(self);
    } else {
        return tr_unexpected(msg);
    }
    (void)TR_REPLY(from, rl_saver_answer, .ok = ok);
    return self->saving ? tr_next_timeout(TR_NOREPLY, 0) : TR_NOREPLY;
}

static tr_next saver_handle_info(saver *self, const tr_msg *msg)
{
    if (TR_MATCH(msg, rl_saver_tick) != NULL) {
        return begin_round(self);
    }
    return self->saving ? step(self) : TR_NOREPLY;
}

static tr_term saver_format_state(const saver *self)
{
    return tr_map_n(2, (tr_term[]){tr_atom("saving"), self->saving ? TR_ATOM(TRUE) : TR_ATOM(FALSE),
                                   tr_atom("failing"), self->failing ? TR_ATOM(TRUE) : TR_ATOM(FALSE)});
}

TR_GEN_SERVER(saver, .init = saver_init, .handle_call = saver_handle_call, .handle_info = saver_handle_info,
              .format_state = saver_format_state);

tr_child_spec rl_saver_child_spec(void)
{
    return (tr_child_spec){
        .id = rl_service.saver_name, .server = saver_server, .start = {.name = rl_service.saver_name}};
}

/* The saver gives up by itself at the first write that fails; the time-out is for one that does not answer at all. */
bool rate_limits_save_all(int64_t timeout_ms)
{
    rl_saver_answer answer = {.ok = false};
    uint64_t keys = __atomic_load_n(&rl_service.budget.used, __ATOMIC_RELAXED);
    int64_t allowed_ms = timeout_ms + (int64_t)(keys / SAVED_A_MS);

    return TR_CALL(rl_service.saver_name, allowed_ms, rl_saver_answer, &answer, rl_ask_save_all) == TR_OK &&
           answer.ok;
}
