#include "api/config/cache.h"
#include "api/config/changes.h"
#include "api/config/config.h"
#include "api/config/records.h"
#include "api/config/watch.h"
#include "server/log.h"

#include <stdio.h>
#include <stdlib.h>

#define RELOAD_TIMEOUT_MS 60000

const struct store_schema *config_schemas(size_t *count)
{
    *count = 1;
    return &config_schema;
}

bool config_setup(const struct settings *settings, char *why, size_t bytes)
{
    char reason[CONFIG_WHY_BYTES] = "";

    config_service = (struct config_service){.settings = settings};
    config_watch_register();
    config_service.layers =
        config_layers_read(settings, settings->config_json == NULL ? "" : settings->config_json,
                           &config_service.layers_bytes, reason);
    if (config_service.layers == NULL) {
        snprintf(why, bytes, "%s", reason);
        return false;
    }
    return true;
}

tr_child_spec config_child_spec(void)
{
    return config_cache_child_spec();
}

static void reload_now(const void *arg)
{
    config_reloaded told;

    (void)arg;
    tr_err err = config_cache_reload(true, RELOAD_TIMEOUT_MS, &told);
    if (err != TR_OK) {
        log_event(LOG_WARN, EVENT_CONFIG_RELOAD_FAILED, log_str("reason", tr_err_text(err)));
    } else if (told.outcome != CONFIG_DONE && told.outcome != CONFIG_INVALID) { /* that is logged already */
        log_event(LOG_WARN, EVENT_CONFIG_RELOAD_FAILED, log_str("reason", "it could not be stored"));
    }
}

void config_reload_later(void)
{
    tr_pid pid;
    tr_err err = tr_spawn(&(tr_spawn_opts){.label = "config.reload"}, reload_now, NULL, 0, &pid);

    if (err != TR_OK) {
        log_event(LOG_WARN, EVENT_CONFIG_RELOAD_FAILED, log_str("reason", tr_err_text(err)));
    }
}

bool config_ready(char *detail, size_t bytes)
{
    bool there = tr_whereis(tr_to_name(tr_atom("config"))) != TR_NO_PID;

    snprintf(detail, bytes, "%s", there ? "takes reads and changes" : "restarting; reads go on");
    return there;
}

void config_teardown(void)
{
    config_changes_reset(0);
    tr_snapshot_clear(&config_now);
    free(config_service.layers);
    config_service.layers = NULL;
}
