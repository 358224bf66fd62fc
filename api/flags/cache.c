#include "api/flags/cache.h"

#include "api/flags/records.h"
#include "server/log.h"
#include "server/store/store_writer.h"

#include <time.h>

#define STORE_TIMEOUT_MS 30000

tr_snapshot flags_now;
const struct settings *flags_settings;

/* Rows sorted by key, each memory of the agent. */
typedef struct flags_agent {
    flag_row **rows;
    size_t count, room;
    size_t bytes; /* of all rows */
    uint64_t revision;
} flags_agent;

static struct text term_text(tr_term term)
{
    struct text text;

    text.bytes = tr_string_bytes(term, &text.count);
    return text;
}

static struct text row_key(const flag_row *row)
{
    return flag_text(row, row->key);
}

static size_t seek(const flags_agent *self, struct text key)
{
    size_t low = 0;
    size_t high = self->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (flag_key_compare(row_key(self->rows[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The row at seek()'s place when it is the key's. */
static flag_row *row_at(const flags_agent *self, size_t at, struct text key)
{
    return at < self->count && text_equal(row_key(self->rows[at]), key) ? self->rows[at] : NULL;
}

static void remove_row(flags_agent *self, size_t at)
{
    self->bytes -= self->rows[at]->bytes;
    tr_free(self->rows[at]);
    self->count--;
    memmove(&self->rows[at], &self->rows[at + 1], (self->count - at) * sizeof(flag_row *));
}

/* Takes row, which is memory of the agent. */
static void put_row(flags_agent *self, flag_row *row)
{
    size_t at = seek(self, row_key(row));

    if (row_at(self, at, row_key(row)) != NULL) {
        remove_row(self, at);
    }
    if (self->count == self->room) {
        self->room = self->room == 0 ? 64 : 2 * self->room;
        self->rows = tr_realloc(self->rows, self->room * sizeof(flag_row *));
    }
    memmove(&self->rows[at + 1], &self->rows[at], (self->count - at) * sizeof(flag_row *));
    self->rows[at] = row;
    self->count++;
    self->bytes += row->bytes;
}

/* The row of a document that was judged before, in memory of the agent. */
static flag_row *made_row(struct text key, struct text document, uint64_t version, int64_t at_ms)
{
    flag_facts facts = {.key = key, .version = version, .at_ms = at_ms, .bytes_max = FLAG_BYTES_MAX};
    struct json_arena arena;
    struct json_errors errors;
    struct json_error error;
    cJSON *root = NULL;
    flag_row *mine = NULL;
    void *room = tr_alloc(FLAG_ARENA_BYTES); /* of the agent: it goes with it, whatever ends it */

    json_errors_init(&errors);
    json_arena_init(&arena, room, FLAG_ARENA_BYTES, 0);
    if (json_parse(&arena, document, &json_limits_default, &root, &error)) {
        const flag_row *row = flag_make(root, &facts, &arena, &errors);
        if (row != NULL) {
            mine = tr_alloc(row->bytes);
            memcpy(mine, row, row->bytes);
        }
    }
    json_arena_fini(&arena);
    tr_free(room);
    TR_CHECK(mine != NULL);
    return mine;
}

/* ---- changes ---- */

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum flags_outcome store(struct text key, struct text document, uint64_t version, int64_t at_ms)
{
    size_t bytes = flag_record_bytes(key, document);
    flag_record *record = tr_alloc(bytes);

    flag_record_write(record, key, document, version, at_ms);
    enum store_status status = store_writer_run(flags_sql_commit, record, bytes, NULL, 0, STORE_TIMEOUT_MS);
    tr_free(record);
    if (status == STORE_UNKNOWN) {
        tr_error(tr_atom("store_unknown")); /* the successor finds out */
    }
    return status == STORE_OK ? FLAGS_DONE : status == STORE_FULL ? FLAGS_STORAGE_FULL : FLAGS_STORAGE_FAILED;
}

static enum flags_outcome judge(const flags_agent *self, const flag_row *old, const flag_row *row,
                                uint64_t expected)
{
    size_t old_bytes = old == NULL ? 0 : old->bytes;

    if (expected != FLAG_ANY_VERSION && expected != (old == NULL ? 0 : old->version)) {
        return FLAGS_CONFLICT;
    }
    if (row == NULL) {
        return old == NULL ? FLAGS_NO_SUCH_FLAG : FLAGS_DONE;
    }
    if (old == NULL && self->count >= (size_t)flags_settings->max_flags) {
        return FLAGS_TOO_MANY;
    }
    return self->bytes - old_bytes + row->bytes > FLAGS_TOTAL_BYTES_MAX ? FLAGS_TOO_LARGE : FLAGS_DONE;
}

static void flags_agent_change(flags_agent *self, const flags_change *change, flags_changed *out)
{
    struct text key = term_text(change->key);
    struct text document = term_text(change->document);
    size_t at = seek(self, key);
    const flag_row *old = row_at(self, at, key);
    uint64_t version = self->revision + 1;
    int64_t at_ms = wall_ms();
    flag_row *row = document.count == 0 ? NULL : made_row(key, document, version, at_ms);
    enum flags_outcome outcome = judge(self, old, row, change->expected);

    if (outcome == FLAGS_DONE) {
        outcome = store(key, document, version, at_ms);
    }
    *out = (flags_changed){.outcome = (uint32_t)outcome, .created = old == NULL, .version = version};
    if (outcome != FLAGS_DONE) {
        tr_free(row);
        return;
    }
    self->revision = version;
    if (row != NULL) {
        put_row(self, row);
    } else {
        remove_row(self, at);
    }
    log_event(LOG_INFO, EVENT_FLAGS_CHANGED, log_uint("revision", version), log_uint("flags", self->count));
}

/* ---- the agent ---- */

static void flags_agent_init(flags_agent *self, const void *arg)
{
    flags_page *page = tr_alloc(sizeof(*page));
    flags_load after = {0};

    (void)arg;
    do {
        TR_CHECK(store_writer_run(flags_sql_load, &after, sizeof(after), page, sizeof(*page),
                                  STORE_TIMEOUT_MS) == STORE_REJECTED);
        const char *at = (const char *)page->records;
        for (uint32_t i = 0; i < page->count; i++) {
            const flag_record *record = (const flag_record *)(const void *)at;
            struct text key = flag_record_key(record);
            put_row(self, made_row(key, flag_record_document(record), record->version, record->at_ms));
            after.key_bytes = (uint32_t)key.count;
            (void)text_put(after.key, key);
            at += record->bytes;
        }
        self->revision = page->revision;
    } while (page->more);
    tr_free(page);
}

static void flags_agent_view(const flags_agent *self, void *view)
{
    flags_view *out = view;
    size_t bytes = flag_image_bytes(self->rows, self->count);
    flag_image *image = tr_alloc(bytes);

    flag_image_write(self->rows, self->count, image);
    out->revision = self->revision;
    out->image = tr_string_n(image, bytes);
    tr_free(image);
}

static tr_term flags_agent_format_state(const flags_agent *self)
{
    return tr_map_n(2, (tr_term[]){tr_atom("flags"), tr_int((int64_t)self->count), tr_atom("revision"),
                                   tr_int((int64_t)self->revision)});
}

TR_AGENT(flags_agent, .init = flags_agent_init, .format_state = flags_agent_format_state,
         .snapshot = &flags_now, .view_type = TR_TYPE(flags_view), .view = flags_agent_view);

tr_child_spec flags_cache_child_spec(void)
{
    return (tr_child_spec){.id = tr_atom("flags"),
                           .server = &TR_AGENT_OF(flags_agent)->server,
                           .start = {.name = tr_atom("flags")}};
}

tr_err flags_cache_change(const flags_change *change, int64_t timeout_ms, flags_changed *out)
{
    return TR_AGENT_GET_AND_UPDATE(tr_atom("flags"), timeout_ms, flags_agent, flags_agent_change,
                                   flags_changed, out, flags_change, .expected = change->expected,
                                   .key = change->key, .document = change->document);
}
