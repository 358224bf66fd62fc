#include "api/config/row.h"

static const char *const source_texts[CONFIG_SOURCES] = {"default", "file", "environment", "override"};

const char *config_source_text(enum config_source source)
{
    return source_texts[source];
}

bool config_source_parse(const char *text, enum config_source *source)
{
    for (int i = 0; text != NULL && i < CONFIG_SOURCES; i++) {
        if (strcmp(text, source_texts[i]) == 0) {
            *source = (enum config_source)i;
            return true;
        }
    }
    return false;
}

static size_t padded(size_t bytes)
{
    return (bytes + 7u) & ~(size_t)7;
}

static struct text value_at(const char *at, uint32_t bytes)
{
    return bytes == CONFIG_NO_VALUE ? (struct text){0} : (struct text){.bytes = at, .count = bytes};
}

config_parts config_row_parts(const config_row *row)
{
    const char *layer = row->texts + row->key_bytes;
    const char *override = layer + (row->layer_bytes == CONFIG_NO_VALUE ? 0 : row->layer_bytes);

    return (config_parts){.key = config_row_key(row),
                          .layer = value_at(layer, row->layer_bytes),
                          .override = value_at(override, row->override_bytes),
                          .layer_source = (enum config_source)row->layer_source,
                          .layer_secret = row->layer_secret,
                          .override_secret = row->override_secret,
                          .is_new = row->is_new,
                          .version = row->version,
                          .revision = row->revision,
                          .at_ms = row->at_ms};
}

size_t config_row_bytes(const config_parts *parts)
{
    return padded(sizeof(config_row) + parts->key.count + parts->layer.count + parts->override.count);
}

static uint32_t stored_count(struct text value)
{
    return value.bytes == NULL ? CONFIG_NO_VALUE : (uint32_t)value.count;
}

void config_row_write(const config_parts *parts, config_row *row)
{
    size_t bytes = config_row_bytes(parts);

    *row = (config_row){.bytes = (uint32_t)bytes,
                        .key_bytes = (uint32_t)parts->key.count,
                        .layer_bytes = stored_count(parts->layer),
                        .override_bytes = stored_count(parts->override),
                        .layer_source = (uint8_t)parts->layer_source,
                        .layer_secret = parts->layer_secret,
                        .override_secret = parts->override_secret,
                        .is_new = parts->is_new,
                        .version = parts->version,
                        .revision = parts->revision,
                        .at_ms = parts->at_ms};
    char *end = text_put(text_put(text_put(row->texts, parts->key), parts->layer), parts->override);
    memset(end, 0, (size_t)((char *)row + bytes - end));
}

struct text config_parts_value(const config_parts *parts)
{
    return parts->override.bytes != NULL ? parts->override : parts->layer;
}

enum config_source config_parts_source(const config_parts *parts)
{
    return parts->override.bytes != NULL ? CONFIG_OVERRIDE : parts->layer_source;
}

bool config_parts_secret(const config_parts *parts)
{
    return parts->override.bytes != NULL ? parts->override_secret : parts->layer_secret;
}

int config_key_compare(struct text one, struct text other)
{
    size_t shorter = one.count < other.count ? one.count : other.count;
    int order = memcmp(one.bytes, other.bytes, shorter);

    return order != 0 ? order : (one.count > other.count) - (one.count < other.count);
}

bool config_key_ok(struct text key, size_t bytes_max)
{
    if (key.count == 0 || key.count > bytes_max) {
        return false;
    }
    for (size_t i = 0; i < key.count; i++) {
        unsigned char byte = (unsigned char)key.bytes[i];
        unsigned char lower = text_lower(byte);
        bool letter = (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9');
        if (!letter && byte != '.' && byte != '_' && byte != '-' && byte != ':' && byte != '/') {
            return false;
        }
    }
    return true;
}

/* ---- images ---- */

static size_t index_bytes(size_t present)
{
    return padded(sizeof(config_image) + present * sizeof(uint32_t));
}

static size_t count_present(config_row *const *rows, size_t count)
{
    size_t present = 0;

    for (size_t i = 0; i < count; i++) {
        present += config_row_present(rows[i]);
    }
    return present;
}

size_t config_image_bytes(config_row *const *rows, size_t count)
{
    size_t bytes = index_bytes(count_present(rows, count));

    for (size_t i = 0; i < count; i++) {
        bytes += config_row_present(rows[i]) ? rows[i]->bytes : 0;
    }
    return bytes;
}

void config_image_write(config_row *const *rows, size_t count, config_image *image)
{
    size_t at = index_bytes(count_present(rows, count));
    uint32_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (config_row_present(rows[i])) {
            memcpy((char *)image + at, rows[i], rows[i]->bytes);
            image->offsets[n++] = (uint32_t)at;
            at += rows[i]->bytes;
        }
    }
    image->count = n;
}

uint32_t config_image_seek(const config_image *image, struct text key)
{
    uint32_t low = 0;
    uint32_t high = image->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (config_key_compare(config_row_key(config_image_row(image, middle)), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const config_row *config_image_find(const config_image *image, struct text key)
{
    uint32_t at = config_image_seek(image, key);

    if (at == image->count) {
        return NULL;
    }
    const config_row *row = config_image_row(image, at);
    return text_equal(config_row_key(row), key) ? row : NULL;
}
