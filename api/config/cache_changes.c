/* Changes by clients: puts, deletes, rollback. They run inside the agent. */
#include "api/config/cache_state.h"
#include "api/config/service_settings.h"

void config_op_write(config_op *op, enum config_op_kind kind, struct text key, struct text value,
                     enum config_secrecy secrecy, uint64_t expected)
{
    *op = (config_op){.bytes = (uint32_t)config_op_bytes(key, value),
                      .key_bytes = (uint32_t)key.count,
                      .value_bytes = (uint32_t)value.count,
                      .kind = (uint8_t)kind,
                      .secrecy = (uint8_t)secrecy,
                      .expected = expected};
    (void)text_put(text_put(op->texts, key), value);
}

static struct text op_key(const config_op *op)
{
    return (struct text){.bytes = op->texts, .count = op->key_bytes};
}

static struct text op_value(const config_op *op)
{
    return (struct text){.bytes = op->texts + op->key_bytes, .count = op->value_bytes};
}

/* Whether the step may be done as things stand. */
static enum config_outcome judge(const config_agent *self, const config_op *op, config_result *result)
{
    const config_row *row = config_agent_find(self, op_key(op));
    struct settings_error error;
    uint64_t version = config_version_seen(row);

    *result = (config_result){.version = version};
    if (op->expected != CONFIG_ANY_VERSION && op->expected != version) {
        result->failed = true;
        return CONFIG_CONFLICT;
    }
    if (op->kind == CONFIG_DELETE && (row == NULL || row->override_bytes == CONFIG_NO_VALUE)) {
        result->failed = true;
        return CONFIG_NO_SUCH_KEY;
    }
    if (op->kind == CONFIG_PUT && !config_setting_fits(op_key(op), op_value(op), &error)) {
        result->failed = true;
        return CONFIG_UNFIT;
    }
    return CONFIG_DONE;
}

static void put(const config_agent *self, config_edit *edit, const config_op *op, config_result *result)
{
    config_parts parts = config_agent_parts(self, op_key(op));

    result->created = config_parts_value(&parts).bytes == NULL;
    parts.override_secret = op->secrecy == CONFIG_AS_IT_WAS ? !result->created && config_parts_secret(&parts)
                                                            : op->secrecy == CONFIG_SECRET;
    parts.override = op_value(op);
    config_edit_add(self, edit, &parts, true);
    result->version = parts.version;
    result->secret = parts.override_secret;
}

static void drop(const config_agent *self, config_edit *edit, const config_op *op, config_result *result)
{
    config_parts parts = config_agent_parts(self, op_key(op));

    parts.override = (struct text){0};
    parts.override_secret = false;
    config_edit_add(self, edit, &parts, true);
    result->version = parts.layer.bytes == NULL ? 0 : parts.version;
    result->secret = parts.layer_secret;
}

static enum config_outcome do_all(config_agent *self, struct text ops, config_result *results, int64_t *at_ms)
{
    const config_op *op = (const config_op *)(const void *)ops.bytes;
    const char *end = ops.bytes + ops.count;
    enum config_outcome outcome = CONFIG_DONE;
    config_edit edit = {0};
    size_t n = 0;

    for (; (const char *)op < end; op = (const config_op *)(const void *)((const char *)op + op->bytes)) {
        enum config_outcome one = judge(self, op, &results[n++]);
        outcome = one == CONFIG_CONFLICT || outcome == CONFIG_DONE ? one : outcome;
    }
    if (outcome != CONFIG_DONE) {
        return outcome;
    }
    op = (const config_op *)(const void *)ops.bytes;
    for (n = 0; (const char *)op < end;
         op = (const config_op *)(const void *)((const char *)op + op->bytes), n++) {
        if (op->kind == CONFIG_PUT) {
            put(self, &edit, op, &results[n]);
        } else if (op->kind == CONFIG_DELETE) {
            drop(self, &edit, op, &results[n]);
        }
    }
    *at_ms = edit.at_ms;
    return config_edit_commit(self, &edit);
}

void config_agent_change(config_agent *self, const config_change *change, config_changed *out)
{
    struct text ops;
    ops.bytes = tr_string_bytes(change->ops, &ops.count);
    config_result *results = tr_scratch_alloc(CONFIG_OPS_MAX * sizeof(*results));
    size_t count = 0;

    for (size_t at = 0; at < ops.count; count++) {
        at += ((const config_op *)(const void *)(ops.bytes + at))->bytes;
    }
    TR_CHECK(count <= CONFIG_OPS_MAX);
    out->outcome = (uint32_t)do_all(self, ops, results, &out->at_ms);
    out->revision = self->revision;
    out->results = tr_string_n(results, count * sizeof(*results));
}

/* ---- rollback ---- */

static struct text key_term(tr_term key)
{
    struct text text;

    text.bytes = tr_string_bytes(key, &text.count);
    return text;
}

/* One version of a key. Borrows: from page. */
static enum config_outcome find_past(struct text key, uint64_t version, config_page *page,
                                     const config_past **out)
{
    config_history_ask ask = {.before = version + 1, .limit = 1, .key_bytes = (uint32_t)key.count};

    (void)text_put(ask.key, key);
    enum config_outcome outcome = config_read(config_sql_history, &ask, sizeof(ask), page);
    if (outcome != CONFIG_DONE) {
        return outcome;
    }
    const config_past *past = (const config_past *)(const void *)page->rows;
    if (page->count == 0 || past->version != version) {
        return CONFIG_NO_SUCH_VERSION;
    }
    *out = past;
    return past->value_bytes == CONFIG_NO_VALUE ? CONFIG_WAS_GONE : CONFIG_DONE;
}

void config_agent_rollback(config_agent *self, const config_rollback *rollback, config_rolled_back *out)
{
    config_page *page = tr_alloc(sizeof(*page));
    struct text key = key_term(rollback->key);
    const config_past *past = NULL;
    enum config_outcome outcome = find_past(key, rollback->version, page, &past);

    if (outcome == CONFIG_DONE) {
        struct text value = config_past_value(past);
        size_t bytes = config_op_bytes(key, value);
        config_op *op = tr_scratch_alloc(bytes);
        config_op_write(op, CONFIG_PUT, key, value, past->secret ? CONFIG_SECRET : CONFIG_AS_IT_WAS,
                        rollback->expected);
        outcome = do_all(self, (struct text){(const char *)op, bytes}, &out->result, &out->at_ms);
        out->value = tr_string_n(value.bytes, value.count);
    }
    out->outcome = (uint32_t)outcome;
    out->revision = self->revision;
    tr_free(page);
}
