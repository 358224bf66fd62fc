/* Settings of the service as entries. */
#include "api/config/service_settings.h"

#include "server/log.h"
#include "server/settings_run_time.h"

#include <string.h>

static const char prefix[] = "trouped.";

static struct text name_of(struct text key)
{
    return (struct text){key.bytes + sizeof(prefix) - 1, key.count - (sizeof(prefix) - 1)};
}

bool config_is_setting(struct text key)
{
    return key.count >= sizeof(prefix) - 1 && memcmp(key.bytes, prefix, sizeof(prefix) - 1) == 0;
}

bool config_setting_fits(struct text key, struct text value, struct settings_error *error)
{
    return !config_is_setting(key) || settings_run_time_judge(name_of(key), value, error) == 0;
}

void config_setting_apply(const config_row *row)
{
    config_parts parts = config_row_parts(row);
    struct settings_error error;

    if (!config_is_setting(parts.key)) {
        return;
    }
    if (parts.override.bytes == NULL) {
        settings_run_time_restore(name_of(parts.key));
    } else if (settings_run_time_set(name_of(parts.key), parts.override, &error) != 0) {
        log_event(LOG_WARN, EVENT_CONFIG_SETTING_REFUSED, log_str("reason", error.text));
        settings_run_time_restore(name_of(parts.key));
    }
}
