/* flag: one feature flag, judged and compiled, as one run of bytes; and images of all flags.
 *
 * Invariants
 *  F1  a row is position-independent and a multiple of 8 bytes long: it is copied as bytes between agent and snapshot.
 *  F2  what is in a row was judged: variants of one type, a default among them, a rule that compiles. Its document is JSON
 *      text written by json_out, answered as it stands; variants and metadata are texts of the same kind.
 *  F3  an image is an index and rows sorted by key; it is never changed.
 *
 * Limits: keys of FLAG_KEY_BYTES_MAX, documents of FLAG_BYTES_MAX (the settings allow less), FLAG_VARIANTS_MAX variants.
 * Source: flagd.dev/reference/flag-definitions.
 */
#ifndef API_FLAGS_FLAG_H
#define API_FLAGS_FLAG_H

#include "api/flags/rule.h"

#define FLAG_KEY_BYTES_MAX 256
#define FLAG_BYTES_MAX     32768
#define FLAG_VARIANTS_MAX  256
#define FLAG_NO_VARIANT    UINT32_MAX

/* A part of a row: offset from its start, and length. */
typedef struct flag_span {
    uint32_t at, bytes;
} flag_span;

typedef struct flag_variant {
    flag_span name, value;
} flag_variant;

typedef struct flag_row {
    uint32_t bytes; /* of the whole row */
    uint32_t enabled;
    uint64_t version;
    int64_t at_ms;
    flag_span key, document;
    flag_span metadata; /* empty: none */
    flag_span nodes;    /* empty: no targeting */
    flag_span texts;    /* of the nodes */
    flag_span variants; /* of flag_variant */
    uint32_t default_variant;
    uint32_t spare;
} flag_row;

/* What a row is made of beside its document. */
typedef struct flag_facts {
    struct text key;
    uint64_t version;
    int64_t at_ms;
    size_t bytes_max; /* of the document */
} flag_facts;

/** Judges and compiles a flag's document into a row in the arena.   Borrows: nothing afterwards but the arena.
 *  Errors: NULL, and errors has pointers; with none in it, the arena was too small. */
flag_row *flag_make(const cJSON *document, const flag_facts *facts, struct json_arena *arena,
                    struct json_errors *errors);

/** Whether a key may be one: 1 to FLAG_KEY_BYTES_MAX bytes of UTF-8 without control characters. */
bool flag_key_ok(struct text key);

static inline struct text flag_text(const flag_row *row, flag_span span)
{
    return (struct text){.bytes = (const char *)row + span.at, .count = span.bytes};
}

/* ---- evaluation ---- */

enum flag_reason { FLAG_STATIC, FLAG_TARGETING_MATCH, FLAG_SPLIT, FLAG_DEFAULT, FLAG_DISABLED };

/* Why there is none. */
enum flag_failure { FLAG_EVALUATED, FLAG_NO_TARGETING_KEY, FLAG_TOO_LONG, FLAG_UNKNOWN_VARIANT };

typedef struct flag_answer {
    enum flag_reason reason;
    uint32_t variant; /* index, or FLAG_NO_VARIANT: the caller's own default holds */
} flag_answer;

/** Evaluates a flag over a context (an object, or NULL).   Blocks: no.   Cost: at most RULE_STEPS_MAX steps. */
enum flag_failure flag_evaluate(const flag_row *row, const cJSON *context, int64_t now_s,
                                struct json_arena *arena, flag_answer *out);

const char *flag_reason_text(enum flag_reason reason);

static inline const flag_variant *flag_variant_at(const flag_row *row, uint32_t i)
{
    return (const flag_variant *)(const void *)((const char *)row + row->variants.at) + i;
}

/* ---- images ---- */

typedef struct flag_image {
    uint32_t count;
    uint32_t offsets[]; /* of the rows, from the image's start */
} flag_image;

size_t flag_image_bytes(flag_row *const *rows, size_t count);
void flag_image_write(flag_row *const *rows, size_t count, flag_image *image);

static inline const flag_row *flag_image_row(const flag_image *image, uint32_t i)
{
    return (const flag_row *)(const void *)((const char *)image + image->offsets[i]);
}

/** Order of keys: bytes, then length. */
int flag_key_compare(struct text one, struct text other);
/** Index of the first row whose key is not less than this one; count when all are. */
uint32_t flag_image_seek(const flag_image *image, struct text key);
/** The row of a key, or NULL. Borrows: from the image. */
const flag_row *flag_image_find(const flag_image *image, struct text key);

#endif
