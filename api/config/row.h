/* row: one configuration key with all that is known of it, as one run of bytes; and runs of such rows.
 *
 * Invariants
 *  R1  a row is position-independent: it is copied as bytes between the store, the agent, the snapshot. Its length is a
 *      multiple of 8, so rows stand one behind the other, aligned.
 *  R2  a row has at most two values: what the highest of the lower layers says, and an override. The override wins; with
 *      neither the key is gone, and the row is a tombstone that keeps its version from being used again.
 *  R3  values are JSON texts written by json_out; they are never parsed again to be answered.
 *  R4  an image is an index and rows sorted by key, without tombstones; it is never changed.
 *
 * Limits: keys of at most CONFIG_KEY_BYTES_MAX, values of at most CONFIG_VALUE_BYTES_MAX (the settings allow less).
 */
#ifndef API_CONFIG_ROW_H
#define API_CONFIG_ROW_H

#include "server/text.h"

#include <stdint.h>

#define CONFIG_KEY_BYTES_MAX   1024
#define CONFIG_VALUE_BYTES_MAX 32768

/* Lowest first; the texts are what clients see. */
enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_OVERRIDE, CONFIG_SOURCES };

const char *config_source_text(enum config_source source);
/** Errors: false for a text that is none. */
bool config_source_parse(const char *text, enum config_source *source);

typedef struct config_row {
    uint32_t bytes; /* of the whole row */
    uint32_t key_bytes;
    uint32_t layer_bytes;    /* CONFIG_NO_VALUE: no lower layer has it */
    uint32_t override_bytes; /* CONFIG_NO_VALUE: there is none */
    uint8_t layer_source;
    uint8_t layer_secret;
    uint8_t override_secret;
    uint8_t is_new; /* in a commit: what is seen has changed, history gets this version */
    uint32_t spare;
    uint64_t version;
    uint64_t revision;
    int64_t at_ms;
    char texts[]; /* key, layer's value, override */
} config_row;

#define CONFIG_NO_VALUE UINT32_MAX

/* A row taken apart. Absent texts: no value. */
typedef struct config_parts {
    struct text key;
    struct text layer;
    struct text override;
    enum config_source layer_source;
    bool layer_secret;
    bool override_secret;
    bool is_new;
    uint64_t version;
    uint64_t revision;
    int64_t at_ms;
} config_parts;

/** Borrows: texts of the row. */
config_parts config_row_parts(const config_row *row);
size_t config_row_bytes(const config_parts *parts);
/** Writes a row into config_row_bytes() of memory, aligned to 8. */
void config_row_write(const config_parts *parts, config_row *row);

/** What is seen: the override or the layer's value; absent for a tombstone. */
struct text config_parts_value(const config_parts *parts);
enum config_source config_parts_source(const config_parts *parts);
bool config_parts_secret(const config_parts *parts);

static inline struct text config_row_key(const config_row *row)
{
    return (struct text){.bytes = row->texts, .count = row->key_bytes};
}

static inline bool config_row_present(const config_row *row)
{
    return row->layer_bytes != CONFIG_NO_VALUE || row->override_bytes != CONFIG_NO_VALUE;
}

static inline const config_row *config_row_next(const config_row *row)
{
    return (const config_row *)(const void *)((const char *)row + row->bytes);
}

/** Order of keys: bytes, then length. */
int config_key_compare(struct text one, struct text other);

/** Whether a key may be one: [A-Za-z0-9._:/-], at most `bytes_max` bytes. */
bool config_key_ok(struct text key, size_t bytes_max);

/* ---- images ---- */

typedef struct config_image {
    uint32_t count;
    uint32_t offsets[]; /* of the rows, from the image's start */
} config_image;

size_t config_image_bytes(config_row *const *rows, size_t count);
/** Writes the image of rows sorted by key (tombstones left out) into config_image_bytes() of memory. */
void config_image_write(config_row *const *rows, size_t count, config_image *image);

static inline const config_row *config_image_row(const config_image *image, uint32_t i)
{
    return (const config_row *)(const void *)((const char *)image + image->offsets[i]);
}

/** Index of the first row whose key is not less than this one; count when all are. */
uint32_t config_image_seek(const config_image *image, struct text key);
/** The row of a key, or NULL. Borrows: from the image. */
const config_row *config_image_find(const config_image *image, struct text key);

#endif
