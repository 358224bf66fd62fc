/* service_settings: entries `trouped.<setting>`: settings of the service that an override changes while it runs.
 *
 * Invariants
 *  1. Only overrides have such keys: flags, environment and file say the setting itself, which lies below. A layer with such
 *     a key is refused.
 *  2. Judged on the core with the words of a start, and once more by the agent, for an old version that comes back.
 *  3. Applied by the agent when the change is durable, before the new image is published; and for all rows when it starts.
 *     A stored value that this program does not take is logged and has no effect.
 */
#ifndef API_CONFIG_SERVICE_SETTINGS_H
#define API_CONFIG_SERVICE_SETTINGS_H

#include "api/config/row.h"
#include "server/settings.h"

/** Whether the key belongs to settings of the service: "trouped." and anything. */
bool config_is_setting(struct text key);

/** Whether the key may have this value (JSON); true for keys that are no settings. Errors: false and *error. */
bool config_setting_fits(struct text key, struct text value, struct settings_error *error);

/** Makes what the row says hold: its override, or without one what the layers said. No matter for other keys.
 *  Context: the agent. */
void config_setting_apply(const config_row *row);

#endif
