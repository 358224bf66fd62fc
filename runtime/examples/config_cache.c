/* config_cache.c: a configuration held by an agent. Writers go through it, one after the other; readers take the newest version
 * without a message, as often as they like, and an agent that crashes leaves them the last one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/troupe.h>

TR_MESSAGE(settings, {
    char api_key[32];
    int64_t timeout_ms, retry_attempts;
});
TR_MESSAGE_EMPTY(nothing);
TR_MESSAGE(new_timeout, { int64_t ms; });

typedef struct config {
    settings now;
} config;

static tr_snapshot settings_now; /* the program's, not the agent's */

static void load(config *self)
{
    const char *key = getenv("API_KEY");
    self->now = (settings){.timeout_ms = 5000, .retry_attempts = 3};
    snprintf(self->now.api_key, sizeof self->now.api_key, "%s", key == NULL ? "none" : key);
}

static void init(config *self, const void *arg)
{
    (void)arg;
    load(self);
}

static void view(const config *self, void *out)
{
    memcpy(out, &self->now, sizeof self->now);
}

TR_AGENT(config, .init = init, .snapshot = &settings_now, .view_type = TR_TYPE(settings),
         .view = (void (*)(const config *, void *))view);

/* ---- functions that run in the agent ---- */

/* A bad value crashes the agent; its supervisor starts it again, and nobody has seen it. */
static void put_timeout(config *self, const new_timeout *wanted)
{
    TR_CHECK(wanted->ms > 0);
    self->now.timeout_ms = wanted->ms;
}

static void reload(config *self, const nothing *unused)
{
    (void)unused;
    load(self);
}

/* ---- a reader ---- */

static void show(const char *when)
{
    const settings *now = TR_SNAPSHOT_GET(&settings_now, settings);
    printf("%s: timeout %" PRId64 " ms, %" PRId64 " attempts\n", when, now->timeout_ms, now->retry_attempts);
    tr_snapshot_release(now);
}

static void run(const void *arg)
{
    tr_child_spec cache = {.id = tr_atom("config"),
                           .server = &TR_AGENT_OF(config)->server,
                           .start = {.name = tr_atom("config")}};
    tr_supervisor root = {.name = "root", .children = &cache, .child_count = 1};
    TR_CHECK(tr_supervisor_start_link(&root, arg, 0, NULL, NULL) == TR_OK);
    tr_term name = tr_atom("config");
    show("at first");
    TR_CHECK(TR_AGENT_UPDATE(name, 5000, config, put_timeout, new_timeout, .ms = 250) == TR_OK);
    show("after an update");
    TR_CHECK(TR_AGENT_UPDATE(name, 5000, config, put_timeout, new_timeout, .ms = -1) == TR_E_EXIT);
    show("after a bad one");
    TR_CHECK(TR_AGENT_UPDATE(name, 5000, config, reload, nothing) == TR_OK);
    show("after a reload");
}

int main(void)
{
    int status = tr_node_run(NULL, run, NULL);
    tr_snapshot_clear(&settings_now);
    return status;
}
