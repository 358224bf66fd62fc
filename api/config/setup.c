#include "api/config/cache.h"
#include "api/config/changes.h"
#include "api/config/config.h"
#include "api/config/files.h"
#include "api/config/records.h"
#include "api/config/watch.h"
#include "server/log.h"
#include "server/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define RELOAD_TIMEOUT_MS 60000

const struct store_schema *config_schemas(size_t *count)
{
    *count = 1;
    return &config_schema;
}

static metric_counter reloads[2]; /* failed, done */

static void reloads_register(void)
{
    static const char *const results[] = {"failed", "done"};

    for (size_t i = 0; i < 2; i++) {
        reloads[i] = metrics_counter(&(struct metric_options){
            .name = "troupe_config_reloads_total",
            .help = "Reloads of the configuration's layers, asked for or by a change of a file.",
            .labels = {{"result", results[i]}}});
    }
}

void config_reload_count(bool done)
{
    metric_count(reloads[done], 1);
}

bool config_setup(const struct settings *settings, char *why, size_t bytes)
{
    char reason[CONFIG_WHY_BYTES] = "";

    config_service = (struct config_service){.settings = settings};
    config_watch_register();
    reloads_register();
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
        config_reload_count(false);
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

bool config_watch_files(void)
{
    return config_files_start(config_service.settings);
}

void config_unwatch_files(void)
{
    config_files_stop();
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
