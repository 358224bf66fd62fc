/* term.c: making terms and taking them apart. */
#include "runtime/core/box.h"

#include "runtime/core/atom.h"

#include <string.h>

/* ---- boxes
 * ------------------------------------------------------------------------------------------------------ */
size_t tr__box_bytes(const tr__box *box)
{
    size_t count = tr__box_count(box);
    switch (tr__box_kind(box)) {
    case TR_TERM_REF:
        return sizeof(tr__box) + sizeof(tr_ref);
    case TR_TERM_STRING:
        return sizeof(tr__box) + ((count + 8u) & ~(size_t)7u);
    case TR_TERM_TUPLE:
    case TR_TERM_LIST:
        return sizeof(tr__box) + count * sizeof(tr_term);
    case TR_TERM_MAP:
        return sizeof(tr__box) + 2u * count * sizeof(tr_term);
    default:
        return sizeof(tr__box) + sizeof(uint64_t);
    }
}

tr__box *tr__box_new(tr_term_kind kind, size_t count, size_t words)
{
    TR_CHECK(count <= TR__COUNT_MAX);
    size_t bytes = sizeof(tr__box) + words * sizeof(uint64_t);
    tr__box *box = tr_scratch_alloc(bytes);
    box->kind_count = ((uint32_t)kind << TR__COUNT_BITS) | (uint32_t)count;
    box->flat = bytes < TR__FLAT_MAX ? (uint32_t)bytes : TR__FLAT_MAX;
    return box;
}

static tr_term box_term(const tr__box *box)
{
    return (tr_term){(uint64_t)(uintptr_t)box};
}

tr_term tr__box_fill(tr__box *box, const tr_term *items, size_t count)
{
    uint64_t flat = box->flat;
    for (size_t i = 0; i < count; i++) {
        box->words[i] = items[i].word;
        flat += tr__is_box(items[i]) ? tr__box_of(items[i])->flat : 0;
    }
    box->flat = flat < TR__FLAT_MAX ? (uint32_t)flat : TR__FLAT_MAX;
    return box_term(box);
}

/* ---- constructors
 * ----------------------------------------------------------------------------------------------- */
tr_term tr_int(int64_t value)
{
    if (value >= TR__INT_MIN && value <= TR__INT_MAX) {
        return (tr_term){((uint64_t)value << TR__TAG_BITS) | TR__TAG_INT};
    }
    tr__box *box = tr__box_new(TR_TERM_INT, 1, 1);
    box->words[0] = (uint64_t)value;
    return box_term(box);
}

tr_term tr_float(double value)
{
    tr__box *box = tr__box_new(TR_TERM_FLOAT, 1, 1);
    memcpy(box->words, &value, sizeof value);
    return box_term(box);
}

tr_term tr_pid_term(tr_pid pid)
{
    tr__box *box = tr__box_new(TR_TERM_PID, 1, 1);
    box->words[0] = pid;
    return box_term(box);
}

tr_term tr_ref_term(tr_ref ref)
{
    tr__box *box = tr__box_new(TR_TERM_REF, 1, 2);
    box->words[0] = ref.owner;
    box->words[1] = ref.id;
    return box_term(box);
}

tr_term tr_string(const char *text)
{
    return tr_string_n(text, strlen(text));
}

tr_term tr_string_n(const void *bytes, size_t length)
{
    size_t words = (length + 8u) / 8u; /* at least one byte more: the NUL */
    tr__box *box = tr__box_new(TR_TERM_STRING, length, words);
    box->words[words - 1] = 0;
    if (length > 0) {
        memcpy(box->words, bytes, length);
    }
    return box_term(box);
}

tr_term tr_tuple_n(size_t count, const tr_term *items)
{
    return tr__box_fill(tr__box_new(TR_TERM_TUPLE, count, count), items, count);
}

tr_term tr_list_n(size_t count, const tr_term *items)
{
    return tr__box_fill(tr__box_new(TR_TERM_LIST, count, count), items, count);
}

/* ---- accessors
 * -------------------------------------------------------------------------------------------------- */
tr_term_kind tr_term_kind_of(tr_term term)
{
    switch (term.word & 7u) {
    case TR__TAG_ATOM:
        return TR_TERM_ATOM;
    case TR__TAG_INT:
        return TR_TERM_INT;
    default:
        return term.word == 0 ? TR_TERM_NONE : tr__box_kind(tr__box_of(term));
    }
}

const char *tr_atom_text(tr_term atom)
{
    TR_CHECK(tr_is_atom(atom));
    return tr__atom_text((uint32_t)(atom.word >> TR__TAG_BITS), NULL);
}

int64_t tr_int_value(tr_term term)
{
    TR_CHECK(tr_term_kind_of(term) == TR_TERM_INT);
    if ((term.word & 7u) == TR__TAG_INT) {
        return (int64_t)term.word >> TR__TAG_BITS;
    }
    return (int64_t)tr__box_of(term)->words[0];
}

double tr_float_value(tr_term term)
{
    TR_CHECK(tr_term_kind_of(term) == TR_TERM_FLOAT);
    double value;
    memcpy(&value, tr__box_of(term)->words, sizeof value);
    return value;
}

tr_pid tr_pid_value(tr_term term)
{
    TR_CHECK(tr_term_kind_of(term) == TR_TERM_PID);
    return tr__box_of(term)->words[0];
}

tr_ref tr_ref_value(tr_term term)
{
    TR_CHECK(tr_term_kind_of(term) == TR_TERM_REF);
    const tr__box *box = tr__box_of(term);
    return (tr_ref){box->words[0], box->words[1]};
}

const char *tr_string_bytes(tr_term term, size_t *length)
{
    TR_CHECK(tr_term_kind_of(term) == TR_TERM_STRING);
    const tr__box *box = tr__box_of(term);
    if (length != NULL) {
        *length = tr__box_count(box);
    }
    return (const char *)box->words;
}

static bool is_container(tr_term term)
{
    tr_term_kind kind = tr_term_kind_of(term);
    return kind == TR_TERM_TUPLE || kind == TR_TERM_LIST || kind == TR_TERM_MAP;
}

size_t tr_term_count(tr_term term)
{
    TR_CHECK(is_container(term));
    return tr__box_count(tr__box_of(term));
}

const tr_term *tr_term_items(tr_term term)
{
    TR_CHECK(is_container(term));
    return tr__box_items(tr__box_of(term));
}

bool tr_is_tagged(tr_term term, const char *tag, size_t count)
{
    if (tr_term_kind_of(term) != TR_TERM_TUPLE || count == 0 || tr_term_count(term) != count) {
        return false;
    }
    tr_term first = tr_term_items(term)[0];
    return tr_is_atom(first) && strcmp(tr_atom_text(first), tag) == 0;
}

bool tr_reason_is_clean(tr_term reason)
{
    return tr_same(reason, TR_ATOM(NORMAL)) || tr_same(reason, TR_ATOM(SHUTDOWN)) ||
           tr_is_tagged(reason, "shutdown", 2);
}

/* ---- walking
 * ---------------------------------------------------------------------------------------------------- */
void tr__walk_begin(tr__walk *walk)
{
    walk->frames = walk->local;
    walk->used = 0;
    walk->capacity = TR__WALK_LOCAL;
}

void tr__walk_push(tr__walk *walk, tr__frame frame)
{
    if (walk->used == walk->capacity) {
        if (walk->frames == walk->local) {
            walk->mark = tr_scratch();
        }
        size_t bytes = walk->used * sizeof(tr__frame);
        tr__frame *larger = tr_scratch_alloc(2 * bytes);
        memcpy(larger, walk->frames, bytes);
        walk->frames = larger;
        walk->capacity *= 2;
    }
    walk->frames[walk->used] = frame;
    walk->used++;
}

void tr__walk_end(tr__walk *walk)
{
    if (walk->frames != walk->local) {
        tr_scratch_release(walk->mark);
    }
}
