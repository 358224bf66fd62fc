/* term_compare.c: the exact order of terms, equality and hash, without recursion. */
#include "runtime/core/box.h"

#include "runtime/core/atom.h"

#include <math.h>
#include <string.h>

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* Position of each kind in the order of kinds. */
static const uint8_t rank[] = {
    [TR_TERM_NONE] = 0, [TR_TERM_INT] = 1,   [TR_TERM_FLOAT] = 1, [TR_TERM_ATOM] = 2, [TR_TERM_REF] = 3,
    [TR_TERM_PID] = 4,  [TR_TERM_TUPLE] = 5, [TR_TERM_MAP] = 6,   [TR_TERM_LIST] = 7, [TR_TERM_STRING] = 8,
};

/* Floats: by value; not-a-number is equal to itself and above all others, so that the order is total. */
static int compare_floats(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return (isnan(a) ? 1 : 0) - (isnan(b) ? 1 : 0);
    }
    return ORDER(a, b);
}

/* Exact, without turning the integer into a float. The integer is the smaller one of an equal pair. */
static int compare_int_float(int64_t integer, double real)
{
    const double limit = 9223372036854775808.0; /* 2^63 */
    if (isnan(real) || real >= limit) {
        return -1;
    }
    if (real < -limit) {
        return 1;
    }
    int64_t whole = (int64_t)real;
    if (integer != whole) {
        return ORDER(integer, whole);
    }
    double rest = real - (double)whole;
    return rest < 0 ? 1 : -1;
}

static int compare_numbers(tr_term a, tr_term_kind kind_a, tr_term b, tr_term_kind kind_b)
{
    if (kind_a == TR_TERM_INT && kind_b == TR_TERM_INT) {
        return ORDER(tr_int_value(a), tr_int_value(b));
    }
    if (kind_a == TR_TERM_FLOAT && kind_b == TR_TERM_FLOAT) {
        return compare_floats(tr_float_value(a), tr_float_value(b));
    }
    return kind_a == TR_TERM_INT ? compare_int_float(tr_int_value(a), tr_float_value(b))
                                 : -compare_int_float(tr_int_value(b), tr_float_value(a));
}

static int compare_bytes(const char *a, size_t length_a, const char *b, size_t length_b)
{
    size_t shorter = length_a < length_b ? length_a : length_b;
    int order = memcmp(a, b, shorter);
    return order != 0 ? order : ORDER(length_a, length_b);
}

static int compare_refs(tr_ref a, tr_ref b)
{
    return a.owner != b.owner ? ORDER(a.owner, b.owner) : ORDER(a.id, b.id);
}

/* Two terms of one rank that hold no terms. */
static int compare_leaves(tr_term a, tr_term_kind kind_a, tr_term b, tr_term_kind kind_b)
{
    size_t length_a;
    size_t length_b;
    const char *text_a;
    const char *text_b;
    switch (kind_a) {
    case TR_TERM_INT:
    case TR_TERM_FLOAT:
        return compare_numbers(a, kind_a, b, kind_b);
    case TR_TERM_ATOM:
        text_a = tr__atom_text((uint32_t)(a.word >> TR__TAG_BITS), &length_a);
        text_b = tr__atom_text((uint32_t)(b.word >> TR__TAG_BITS), &length_b);
        return compare_bytes(text_a, length_a, text_b, length_b);
    case TR_TERM_PID:
        return ORDER(tr_pid_value(a), tr_pid_value(b));
    case TR_TERM_REF:
        return compare_refs(tr_ref_value(a), tr_ref_value(b));
    default:
        text_a = tr_string_bytes(a, &length_a);
        text_b = tr_string_bytes(b, &length_b);
        return compare_bytes(text_a, length_a, text_b, length_b);
    }
}

/* Two tuples, lists or maps: pushes what has to be compared inside. Returns: the order when it is known
 * already. */
static int enter_containers(tr__walk *walk, const tr__box *a, const tr__box *b)
{
    uint32_t count_a = tr__box_count(a);
    uint32_t count_b = tr__box_count(b);
    int16_t tail = (int16_t)ORDER(count_a, count_b);
    const tr_term *items_a = tr__box_items(a);
    const tr_term *items_b = tr__box_items(b);
    switch (tr__box_kind(a)) {
    case TR_TERM_LIST:
        tr__walk_push(walk, (tr__frame){.a = items_a,
                                        .b = items_b,
                                        .left = count_a < count_b ? count_a : count_b,
                                        .stride = 1,
                                        .tail = tail});
        return 0;
    case TR_TERM_TUPLE:
        if (tail == 0) {
            tr__walk_push(walk, (tr__frame){.a = items_a, .b = items_b, .left = count_a, .stride = 1});
        }
        return tail;
    default: /* maps: all keys first, then all values */
        if (tail == 0 && count_a > 0) {
            tr__walk_push(walk,
                          (tr__frame){.a = items_a + 1, .b = items_b + 1, .left = count_a, .stride = 2});
            tr__walk_push(walk, (tr__frame){.a = items_a, .b = items_b, .left = count_a, .stride = 2});
        }
        return tail;
    }
}

static int compare_step(tr__walk *walk, tr_term a, tr_term b)
{
    if (tr_same(a, b)) {
        return 0;
    }
    tr_term_kind kind_a = tr_term_kind_of(a);
    tr_term_kind kind_b = tr_term_kind_of(b);
    if (rank[kind_a] != rank[kind_b]) {
        return ORDER(rank[kind_a], rank[kind_b]);
    }
    if (kind_a == TR_TERM_TUPLE || kind_a == TR_TERM_LIST || kind_a == TR_TERM_MAP) {
        return enter_containers(walk, tr__box_of(a), tr__box_of(b));
    }
    return compare_leaves(a, kind_a, b, kind_b);
}

int tr_term_compare(tr_term a, tr_term b)
{
    tr__walk walk;
    tr__walk_begin(&walk);
    int order = compare_step(&walk, a, b);
    while (order == 0 && walk.used > 0) {
        tr__frame *top = &walk.frames[walk.used - 1];
        if (top->left == 0) {
            order = top->tail;
            walk.used--;
            continue;
        }
        tr_term next_a = *top->a;
        tr_term next_b = *top->b;
        top->left--;
        top->a += top->stride;
        top->b += top->stride;
        order = compare_step(&walk, next_a, next_b);
    }
    tr__walk_end(&walk);
    return order;
}

bool tr_term_equal(tr_term a, tr_term b)
{
    if (tr_same(a, b)) {
        return true;
    }
    if (!tr__is_box(a) || !tr__is_box(b)) {
        return false;
    }
    const tr__box *box_a = tr__box_of(a);
    const tr__box *box_b = tr__box_of(b);
    return box_a->kind_count == box_b->kind_count && box_a->flat == box_b->flat && tr_term_compare(a, b) == 0;
}

/* ---- hash
 * ------------------------------------------------------------------------------------------------------- */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(hash ^ 0x9e3779b97f4a7c15u) * (wide)(word ^ 0xd6e8feb86659fd93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64) ^ hash;
}

static uint64_t float_word(tr_term term)
{
    double value = tr_float_value(term);
    uint64_t word;
    if (isnan(value)) {
        return UINT64_MAX;
    }
    value = value == 0 ? 0.0 : value; /* both zeros are equal */
    memcpy(&word, &value, sizeof word);
    return word;
}

/* The hash of a term without those inside it. Pushes a container's items. */
static uint64_t hash_step(tr__walk *walk, uint64_t hash, tr_term term)
{
    if (!tr__is_box(term)) {
        return mix(hash, term.word);
    }
    const tr__box *box = tr__box_of(term);
    hash = mix(hash, box->kind_count);
    size_t words = (tr__box_bytes(box) - sizeof(tr__box)) / sizeof(uint64_t);
    switch (tr__box_kind(box)) {
    case TR_TERM_FLOAT:
        return mix(hash, float_word(term));
    case TR_TERM_TUPLE:
    case TR_TERM_LIST:
    case TR_TERM_MAP:
        if (words > 0) {
            tr__walk_push(walk, (tr__frame){.a = tr__box_items(box), .left = (uint32_t)words, .stride = 1});
        }
        return hash;
    default: /* the bytes behind a string's end are 0 */
        for (size_t i = 0; i < words; i++) {
            hash = mix(hash, box->words[i]);
        }
        return hash;
    }
}

uint64_t tr_term_hash(tr_term term)
{
    tr__walk walk;
    tr__walk_begin(&walk);
    uint64_t hash = hash_step(&walk, 0x2545f4914f6cdd1du, term);
    while (walk.used > 0) {
        tr__frame *top = &walk.frames[walk.used - 1];
        tr_term next = *top->a;
        top->a++;
        top->left--;
        if (top->left == 0) {
            walk.used--;
        }
        hash = hash_step(&walk, hash, next);
    }
    tr__walk_end(&walk);
    return mix(hash, hash >> 29);
}
