/* layers: what lies below the overrides: built-in values < member `config` of the settings file < environment.
 *
 *     built in      api_key null (secret), timeout 5000, retry_attempts 3
 *     environment   API_KEY, TROUPE_CONFIG_<KEY> (the key in small letters, "__" is "."), then the same names from --env-file, which win:
 *                   that file is read again at every reload, the process's own environment cannot change
 *
 * Invariants
 *  L1  a key is seen once: with the value of the highest layer that has it.
 *  L2  a value of the environment that is JSON is that JSON, another one is a string; API_KEY is always a string.
 *  L3  either everything fits (keys, sizes, number) or nothing is taken, with a sentence that names the place and no value.
 */
#ifndef API_CONFIG_LAYERS_H
#define API_CONFIG_LAYERS_H

#include "api/config/row.h"
#include "server/settings.h"

#define CONFIG_WHY_BYTES 700

/** Takes the layers together: a run of rows sorted by key, *bytes long, each with a layer's value only.
 *  Takes: file_json NULL: the settings file is read anew, else the text of its member `config` ("" for none).
 *  Returns: memory to free(), NULL and a sentence in `why`.   Blocks: reads files.   Context: any thread. */
config_row *config_layers_read(const struct settings *settings, const char *file_json, size_t *bytes,
                               char why[CONFIG_WHY_BYTES]);

#endif
