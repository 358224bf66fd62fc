/* trouped: settings, log, service. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/app.h"
#include "server/log.h"
#include "server/settings_run_time.h"

int main(int argc, char *argv[])
{
    (void)argc;
    struct settings *settings = NULL;
    int status = TROUPED_EXIT_OK;
    if (!settings_main((const char *const *)argv, (const char *const *)environ, &settings, &status)) {
        return status;
    }
    settings_run_time_setup(settings);
    struct log_options log = {.level = settings->log_level,
                              .access = settings->access_log,
                              .slow_request_ms = settings->slow_request_ms,
                              .file = settings->log_file};
    if (log_start(&log) != 0) {
        fprintf(stderr, "trouped: cannot write the log to %s: %s\n",
                settings->log_file == NULL ? "stderr" : settings->log_file, strerror(errno));
        settings_destroy(settings);
        return TROUPED_EXIT_BAD_SETTINGS;
    }
    status = app_run(settings);
    settings_destroy(settings);
    log_stop();
    return status;
}
