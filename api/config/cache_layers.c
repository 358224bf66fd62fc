/* The layers and what they change: at start, and by a reload. They run inside the agent. */
#include "api/config/cache_state.h"

#include "server/log.h"

#include <stdlib.h>

/* What a reload tells, gathered while the edit is made. */
enum told { ADDED, CHANGED, REMOVED, DROPPED, TOLD_COUNT };

struct telling {
    tr_term *names[TOLD_COUNT];
    uint32_t named[TOLD_COUNT];
    uint32_t counts[TOLD_COUNT];
    size_t bytes;
};

static void tell(struct telling *telling, enum told what, struct text key)
{
    if (telling->named[what] < CONFIG_NAMED_MAX && telling->bytes + key.count <= CONFIG_NAMED_BYTES_MAX) {
        telling->names[what][telling->named[what]++] = tr_string_n(key.bytes, key.count);
        telling->bytes += key.count + 3 * sizeof(tr_term);
    }
    telling->counts[what]++;
}

static void tell_seen(struct telling *telling, bool was, bool is, struct text key)
{
    tell(telling, !was ? ADDED : is ? CHANGED : REMOVED, key);
}

/* Two texts, either of which may be absent. */
static bool same_text(struct text one, struct text other)
{
    if (one.bytes == NULL || other.bytes == NULL) {
        return one.bytes == other.bytes;
    }
    return text_equal(one, other);
}

static bool same_seen(const config_parts *one, const config_parts *other)
{
    struct text a = config_parts_value(one);
    struct text b = config_parts_value(other);

    if (a.bytes == NULL && b.bytes == NULL) {
        return true;
    }
    return same_text(a, b) && config_parts_source(one) == config_parts_source(other) &&
           config_parts_secret(one) == config_parts_secret(other);
}

/* One key: what the layers say of it now (NULL: nothing), and whether an override may stay. */
static void take_key(config_agent *self, config_edit *edit, struct text key, const config_row *layer,
                     bool keep_override, struct telling *telling)
{
    config_parts old = config_agent_parts(self, key);
    config_parts parts = old;
    config_parts said = layer == NULL ? (config_parts){0} : config_row_parts(layer);

    parts.layer = said.layer;
    parts.layer_source = said.layer_source;
    parts.layer_secret = said.layer_secret;
    if (!keep_override && parts.override.bytes != NULL) {
        parts.override = (struct text){0};
        parts.override_secret = false;
        tell(telling, DROPPED, key);
    }
    if (!same_seen(&old, &parts)) {
        tell_seen(telling, config_parts_value(&old).bytes != NULL, config_parts_value(&parts).bytes != NULL,
                  key);
        config_edit_add(self, edit, &parts, true);
    } else if (!same_text(old.layer, parts.layer) || old.layer_source != parts.layer_source ||
               old.layer_secret != parts.layer_secret || !same_text(old.override, parts.override)) {
        config_edit_add(self, edit, &parts, false); /* below an override: nobody sees it */
    }
}

/* Both runs are sorted by key: walks them side by side. */
static void take_all(config_agent *self, config_edit *edit, const config_row *layer, const char *end,
                     bool keep_overrides, struct telling *telling)
{
    size_t i = 0;

    while (i < self->count || (const char *)layer < end) {
        bool has_layer = (const char *)layer < end;
        int order = i == self->count ? 1
                    : !has_layer     ? -1
                                 : config_key_compare(config_row_key(self->rows[i]), config_row_key(layer));
        struct text key = order <= 0 ? config_row_key(self->rows[i]) : config_row_key(layer);
        take_key(self, edit, key, order >= 0 ? layer : NULL, keep_overrides, telling);
        i += order <= 0;
        layer = order >= 0 ? config_row_next(layer) : layer;
    }
}

static tr_term names(const struct telling *telling, enum told what)
{
    return tr_list_n(telling->named[what], telling->names[what]);
}

enum config_outcome config_agent_take_layers(config_agent *self, const config_row *layers, size_t bytes,
                                             bool keep_overrides, config_reloaded *out)
{
    struct telling telling = {0};
    config_edit edit = {0};

    for (int i = 0; i < TOLD_COUNT; i++) {
        telling.names[i] = tr_scratch_alloc(CONFIG_NAMED_MAX * sizeof(tr_term));
    }
    take_all(self, &edit, layers, (const char *)layers + bytes, keep_overrides, &telling);
    enum config_outcome outcome = config_edit_commit(self, &edit);
    if (outcome == CONFIG_DONE && out != NULL) {
        out->added = names(&telling, ADDED);
        out->changed = names(&telling, CHANGED);
        out->removed = names(&telling, REMOVED);
        out->dropped = names(&telling, DROPPED);
        memcpy(out->counts, telling.counts, sizeof(telling.counts));
    }
    return outcome;
}

/* The layers as they are now, in the agent's memory: a kill while the store writes leaves nothing behind. */
static config_row *read_layers(size_t *bytes, char why[CONFIG_WHY_BYTES])
{
    config_row *read = config_layers_read(config_service.settings, NULL, bytes, why);
    config_row *mine = NULL;

    if (read != NULL) {
        mine = tr_alloc(*bytes);
        memcpy(mine, read, *bytes);
        free(read);
    }
    return mine;
}

void config_agent_reload(config_agent *self, const config_reload *reload, config_reloaded *out)
{
    char why[CONFIG_WHY_BYTES] = "";
    size_t bytes = 0;
    config_row *layers = read_layers(&bytes, why);

    if (layers == NULL) {
        out->outcome = CONFIG_INVALID;
        config_reload_count(false);
        out->why = tr_string(why);
        log_event(LOG_WARN, EVENT_CONFIG_RELOAD_FAILED, log_str("reason", why));
        return;
    }
    out->outcome = (uint32_t)config_agent_take_layers(self, layers, bytes, reload->keep_overrides, out);
    out->revision = self->revision;
    tr_free(layers);
    config_reload_count(out->outcome == CONFIG_DONE);
    if (out->outcome == CONFIG_DONE) {
        log_event(LOG_INFO, EVENT_CONFIG_RELOADED, log_uint("revision", self->revision),
                  log_uint("added", out->counts[ADDED]), log_uint("changed", out->counts[CHANGED]),
                  log_uint("removed", out->counts[REMOVED]),
                  log_uint("dropped_overrides", out->counts[DROPPED]));
    }
}
