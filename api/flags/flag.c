#include "api/flags/flag.h"

#include "server/json_out.h"
#include "server/utf8.h"

struct flag_body {
    int state;
    const cJSON *variants;
    struct text default_variant;
    const cJSON *targeting;
    const cJSON *metadata;
};

static const char *const states[] = {"DISABLED", "ENABLED", NULL};

static const struct json_member flag_members[] = {
    JSON_MEMBER("state", JSON_WORD, struct flag_body, state, .required = true, .words = states),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("variants", JSON_OBJECT, struct flag_body, variants, .required = true),
    JSON_MEMBER("defaultVariant", JSON_TEXT, struct flag_body, default_variant, .nullable = true),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("targeting", JSON_OBJECT, struct flag_body, targeting, .nullable = true),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("metadata", JSON_OBJECT, struct flag_body, metadata, .nullable = true),
};
static const struct json_shape flag_shape = JSON_SHAPE(flag_members);

bool flag_key_ok(struct text key)
{
    for (size_t i = 0; i < key.count; i++) {
        if ((unsigned char)key.bytes[i] < 0x20 || key.bytes[i] == 0x7f) {
            return false;
        }
    }
    return key.count >= 1 && key.count <= FLAG_KEY_BYTES_MAX && utf8_valid(key.bytes, key.count);
}

/* ---- judging ---- */

/* Arrays are objects, as flagd has it. */
static int type_of(const cJSON *value)
{
    return cJSON_IsBool(value)     ? cJSON_True
           : cJSON_IsString(value) ? cJSON_String
           : cJSON_IsNumber(value) ? cJSON_Number
           : cJSON_IsNull(value)   ? cJSON_NULL
                                   : cJSON_Object;
}

static bool judge_variants(const cJSON *variants, struct json_errors *errors)
{
    struct json_where where = {.name = "variants"};
    size_t count = (size_t)cJSON_GetArraySize(variants);
    const cJSON *item;

    if (count == 0 || count > FLAG_VARIANTS_MAX) {
        json_errors_add(errors, &where, NULL, "must have 1 to %d members", FLAG_VARIANTS_MAX);
        return false;
    }
    cJSON_ArrayForEach(item, variants)
    {
        if (cJSON_IsNull(item)) {
            json_errors_add(errors, &where, item->string, "must not be null");
            return false;
        }
        if (type_of(item) != type_of(variants->child)) {
            json_errors_add(errors, &where, item->string, "must be of the type of the other variants");
            return false;
        }
    }
    return true;
}

static uint32_t variant_named(const cJSON *variants, struct text name)
{
    const cJSON *item;
    uint32_t i = 0;

    cJSON_ArrayForEach(item, variants)
    {
        if (text_equal(text_of(item->string), name)) {
            return i;
        }
        i++;
    }
    return FLAG_NO_VARIANT;
}

static bool judge_default(const struct flag_body *body, struct json_errors *errors)
{
    if (body->default_variant.bytes == NULL ||
        variant_named(body->variants, body->default_variant) != FLAG_NO_VARIANT) {
        return true;
    }
    json_errors_add(errors, NULL, "defaultVariant", "must be the name of one of the variants");
    return false;
}

static bool judge_metadata(const cJSON *metadata, struct json_errors *errors)
{
    struct json_where where = {.name = "metadata"};
    const cJSON *item;

    cJSON_ArrayForEach(item, metadata)
    {
        if (type_of(item) == cJSON_Object || cJSON_IsNull(item)) {
            json_errors_add(errors, &where, item->string, "must be a boolean, a string or a number");
            return false;
        }
    }
    return true;
}

static bool read_body(const cJSON *document, struct flag_body *body, struct json_errors *errors)
{
    return json_read_object(document, NULL, &flag_shape, body, errors) &&
           judge_variants(body->variants, errors) && judge_default(body, errors) &&
           judge_metadata(body->metadata, errors);
}

/* ---- making a row ---- */

/* A row that is being made, in a buffer that was measured generously: the document is at most bytes_max long, and so are
 * together the texts that are taken out of it. */
struct making {
    flag_row *row;
    size_t used, room;
    bool failed;
};

static size_t aligned(size_t bytes)
{
    return (bytes + 7u) & ~(size_t)7;
}

static void *take(struct making *making, size_t bytes, flag_span *span)
{
    size_t at = aligned(making->used);

    if (making->failed || at > making->room || bytes > making->room - at) {
        making->failed = true;
        return NULL;
    }
    *span = (flag_span){.at = (uint32_t)at, .bytes = (uint32_t)bytes};
    making->used = at + bytes;
    return (char *)making->row + at;
}

static void put_text(struct making *making, struct text text, flag_span *span)
{
    char *at = take(making, text.count, span);

    if (at != NULL) {
        (void)text_put(at, text);
    }
}

static void put_json(struct making *making, const cJSON *json, size_t bytes_max, flag_span *span)
{
    size_t at = aligned(making->used);
    struct json_out out;

    if (making->failed || at > making->room) {
        making->failed = true;
        return;
    }
    size_t left = making->room - at;
    json_out_init(&out, (char *)making->row + at, left < bytes_max ? left : bytes_max);
    json_out_tree(&out, json);
    struct text text = json_out_text(&out);
    making->failed = text.bytes == NULL;
    *span = (flag_span){.at = (uint32_t)at, .bytes = (uint32_t)text.count};
    making->used = at + text.count;
}

static void put_variants(struct making *making, const cJSON *variants, size_t bytes_max)
{
    size_t count = (size_t)cJSON_GetArraySize(variants);
    flag_variant *all = take(making, count * sizeof(*all), &making->row->variants);
    const cJSON *item;

    cJSON_ArrayForEach(item, variants)
    {
        if (making->failed) {
            return;
        }
        put_text(making, text_of(item->string), &all->name);
        put_json(making, item, bytes_max, &all->value);
        all++;
    }
}

static bool put_rule(struct making *making, const cJSON *rule, const flag_facts *facts,
                     struct json_arena *arena, struct json_errors *errors)
{
    struct json_where where = {.name = "targeting"};
    rule_build build = {.nodes = json_arena_take(arena, RULE_NODES_MAX * sizeof(rule_node)),
                        .nodes_max = RULE_NODES_MAX,
                        .texts = json_arena_take(arena, facts->bytes_max),
                        .texts_max = facts->bytes_max};

    if (build.nodes == NULL || build.texts == NULL) {
        making->failed = true;
        return false;
    }
    if (!rule_compile(&build, rule, &where, errors)) {
        return false;
    }
    rule_node *nodes = take(making, build.count * sizeof(*nodes), &making->row->nodes);
    if (nodes != NULL) {
        memcpy(nodes, build.nodes, build.count * sizeof(*nodes));
    }
    put_text(making, (struct text){build.texts, build.used}, &making->row->texts);
    return true;
}

static bool fill(struct making *making, const struct flag_body *body, const flag_facts *facts,
                 struct json_arena *arena, struct json_errors *errors)
{
    flag_row *row = making->row;

    put_text(making, facts->key, &row->key);
    put_variants(making, body->variants, facts->bytes_max);
    row->enabled = body->state == 1;
    row->default_variant = body->default_variant.bytes == NULL
                               ? FLAG_NO_VARIANT
                               : variant_named(body->variants, body->default_variant);
    if (cJSON_GetArraySize(body->metadata) != 0) {
        put_json(making, body->metadata, facts->bytes_max, &row->metadata);
    }
    if (cJSON_GetArraySize(body->targeting) != 0 &&
        !put_rule(making, body->targeting, facts, arena, errors)) {
        return false;
    }
    row->bytes = (uint32_t)aligned(making->used);
    return !making->failed && row->bytes <= making->room;
}

flag_row *flag_make(const cJSON *document, const flag_facts *facts, struct json_arena *arena,
                    struct json_errors *errors)
{
    struct flag_body body = {.state = 0};
    struct making making = {.room = aligned(sizeof(flag_row) + FLAG_KEY_BYTES_MAX + 4 * facts->bytes_max +
                                            FLAG_VARIANTS_MAX * (sizeof(flag_variant) + 16) +
                                            RULE_NODES_MAX * sizeof(rule_node) + 64)};

    if (!read_body(document, &body, errors)) {
        return NULL;
    }
    making.row = json_arena_take(arena, making.room);
    if (making.row == NULL) {
        return NULL;
    }
    memset(making.row, 0, making.room);
    making.row->version = facts->version;
    making.row->at_ms = facts->at_ms;
    making.used = sizeof(flag_row);
    put_json(&making, document, facts->bytes_max, &making.row->document);
    if (making.failed) {
        json_errors_add(errors, NULL, NULL, "takes at most %zu bytes of JSON", facts->bytes_max);
        return NULL;
    }
    return fill(&making, &body, facts, arena, errors) ? making.row : NULL;
}

/* ---- evaluation ---- */

const char *flag_reason_text(enum flag_reason reason)
{
    static const char *const texts[] = {"STATIC", "TARGETING_MATCH", "SPLIT", "DEFAULT", "DISABLED"};

    return texts[reason];
}

static enum flag_failure variant_of(const flag_row *row, const rule_value *value, flag_answer *out)
{
    struct text name = value->kind == RULE_IS_TEXT   ? rule_value_text(value)
                       : value->kind == RULE_IS_BOOL ? (value->truth ? TEXT("true") : TEXT("false"))
                                                     : (struct text){0};
    uint32_t count = row->variants.bytes / (uint32_t)sizeof(flag_variant);

    if (value->kind == RULE_IS_NULL) {
        *out = (flag_answer){.reason = FLAG_DEFAULT, .variant = row->default_variant};
        return FLAG_EVALUATED;
    }
    for (uint32_t i = 0; name.bytes != NULL && i < count; i++) {
        if (text_equal(flag_text(row, flag_variant_at(row, i)->name), name)) {
            *out = (flag_answer){.reason = value->split ? FLAG_SPLIT : FLAG_TARGETING_MATCH, .variant = i};
            return FLAG_EVALUATED;
        }
    }
    return FLAG_UNKNOWN_VARIANT;
}

enum flag_failure flag_evaluate(const flag_row *row, const cJSON *context, int64_t now_s,
                                struct json_arena *arena, flag_answer *out)
{
    rule_value value;

    if (!row->enabled || row->nodes.bytes == 0) {
        *out = (flag_answer){.reason = !row->enabled                             ? FLAG_DISABLED
                                       : row->default_variant == FLAG_NO_VARIANT ? FLAG_DEFAULT
                                                                                 : FLAG_STATIC,
                             .variant = row->enabled ? row->default_variant : FLAG_NO_VARIANT};
        return FLAG_EVALUATED;
    }
    enum rule_outcome outcome = rule_run(
        &(rule_run_args){.nodes = (const rule_node *)(const void *)((const char *)row + row->nodes.at),
                         .texts = (const char *)row + row->texts.at,
                         .context = context,
                         .flag_key = flag_text(row, row->key),
                         .now_s = now_s,
                         .arena = arena,
                         .steps = RULE_STEPS_MAX,
                         .bytes = RULE_BYTES_MAX},
        &value);
    return outcome == RULE_DONE               ? variant_of(row, &value, out)
           : outcome == RULE_NO_TARGETING_KEY ? FLAG_NO_TARGETING_KEY
                                              : FLAG_TOO_LONG;
}

/* ---- images ---- */

int flag_key_compare(struct text one, struct text other)
{
    size_t common = one.count < other.count ? one.count : other.count;
    int order = common == 0 ? 0 : memcmp(one.bytes, other.bytes, common);

    return order != 0 ? order : (one.count > other.count) - (one.count < other.count);
}

static size_t index_bytes(size_t count)
{
    return aligned(sizeof(flag_image) + count * sizeof(uint32_t));
}

size_t flag_image_bytes(flag_row *const *rows, size_t count)
{
    size_t bytes = index_bytes(count);

    for (size_t i = 0; i < count; i++) {
        bytes += rows[i]->bytes;
    }
    return bytes;
}

void flag_image_write(flag_row *const *rows, size_t count, flag_image *image)
{
    size_t at = index_bytes(count);

    image->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        image->offsets[i] = (uint32_t)at;
        memcpy((char *)image + at, rows[i], rows[i]->bytes);
        at += rows[i]->bytes;
    }
}

uint32_t flag_image_seek(const flag_image *image, struct text key)
{
    uint32_t low = 0;
    uint32_t high = image->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const flag_row *row = flag_image_row(image, middle);
        if (flag_key_compare(flag_text(row, row->key), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const flag_row *flag_image_find(const flag_image *image, struct text key)
{
    uint32_t i = flag_image_seek(image, key);
    const flag_row *row = i < image->count ? flag_image_row(image, i) : NULL;

    return row != NULL && text_equal(flag_text(row, row->key), key) ? row : NULL;
}
