/* term_print.c: terms as text, the way Erlang's shell shows them. */
#include "runtime/core/box.h"

#include "runtime/core/atom.h"
#include "runtime/core/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX   1000u
#define DIGITS_MAX  17
#define EXACT_BELOW 9007199254740992.0 /* 2^53: larger floats are always written with an exponent */

typedef struct text {
    char *out;
    size_t size;   /* with the NUL */
    size_t wanted; /* without it */
} text;

static void put(text *into, const char *bytes, size_t length)
{
    if (into->wanted < into->size) {
        size_t left = into->size - into->wanted;
        memcpy(into->out + into->wanted, bytes, length < left ? length : left);
    }
    into->wanted += length;
}

static void put_text(text *into, const char *bytes)
{
    put(into, bytes, strlen(bytes));
}

static void put_quoted(text *into, char quote, const char *bytes, size_t length)
{
    put(into, &quote, 1);
    for (size_t i = 0; i < length;) {
        unsigned char byte = (unsigned char)bytes[i];
        size_t width = tr__utf8_width(bytes + i, length - i);
        char escape[12];
        if (byte == (unsigned char)quote || byte == '\\') {
            put(into, "\\", 1);
            put(into, bytes + i, 1);
        } else if (byte == '\n' || byte == '\r' || byte == '\t') {
            put_text(into, byte == '\n' ? "\\n" : byte == '\r' ? "\\r" : "\\t");
        } else if (width == 0 || byte < 0x20 || byte == 0x7f) {
            snprintf(escape, sizeof escape, "\\x{%x}", byte);
            put_text(into, escape);
        } else {
            put(into, bytes + i, width);
        }
        i += width == 0 ? 1 : width;
    }
    put(into, &quote, 1);
}

static bool is_bare_atom(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        bool lower = c >= 'a' && c <= 'z';
        bool later = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '@';
        if (!lower && (i == 0 || !later)) {
            return false;
        }
    }
    return length > 0;
}

static void put_atom(text *into, tr_term atom)
{
    size_t length;
    const char *bytes = tr__atom_text((uint32_t)(atom.word >> TR__TAG_BITS), &length);
    if (is_bare_atom(bytes, length)) {
        put(into, bytes, length);
    } else {
        put_quoted(into, '\'', bytes, length);
    }
}

/* ---- floats
 * ------------------------------------------------------------------------------------------------------ */
typedef struct decimal {
    char digits[DIGITS_MAX + 1]; /* no zeros at the end */
    int length;
    int point; /* 0.DIGITS * 10^point */
} decimal;

/* The fewest digits that read back as the same value; value is finite and above 0. */
static decimal shortest(double value)
{
    decimal result = {.length = 0};
    char buffer[40];
    for (int precision = 0; precision < DIGITS_MAX; precision++) {
        snprintf(buffer, sizeof buffer, "%.*e", precision, value);
        if (strtod(buffer, NULL) == value) {
            break;
        }
    }
    const char *at = buffer;
    for (; *at != 'e'; at++) {
        if (*at >= '0' && *at <= '9') { /* everything else is the point, whatever the locale calls it */
            result.digits[result.length] = *at;
            result.length++;
        }
    }
    result.point = (int)strtol(at + 1, NULL, 10) + 1;
    while (result.length > 1 && result.digits[result.length - 1] == '0') {
        result.length--;
    }
    return result;
}

static void put_zeros(text *into, int count)
{
    for (int i = 0; i < count; i++) {
        put(into, "0", 1);
    }
}

static void put_exponent(text *into, const decimal *number)
{
    char exponent[16];
    put(into, number->digits, 1);
    put(into, ".", 1);
    if (number->length > 1) {
        put(into, number->digits + 1, (size_t)number->length - 1);
    } else {
        put(into, "0", 1);
    }
    snprintf(exponent, sizeof exponent, "e%d", number->point - 1);
    put_text(into, exponent);
}

static void put_plain(text *into, const decimal *number)
{
    int whole = number->point < number->length ? number->point : number->length;
    if (number->point <= 0) {
        put(into, "0.", 2);
        put_zeros(into, -number->point);
        put(into, number->digits, (size_t)number->length);
        return;
    }
    put(into, number->digits, (size_t)whole);
    put_zeros(into, number->point - whole);
    put(into, ".", 1);
    if (whole < number->length) {
        put(into, number->digits + whole, (size_t)(number->length - whole));
    } else {
        put(into, "0", 1);
    }
}

static int plain_length(const decimal *number)
{
    if (number->point <= 0) {
        return 2 - number->point + number->length;
    }
    return number->point >= number->length ? number->point + 2 : number->length + 1;
}

static int exponent_length(const decimal *number)
{
    char exponent[16];
    int digits = snprintf(exponent, sizeof exponent, "%d", number->point - 1);
    return (number->length > 1 ? number->length + 1 : 3) + 1 + digits;
}

static void put_float(text *into, double value)
{
    if (!isfinite(value)) {
        put_text(into, isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    if (signbit(value)) {
        put(into, "-", 1);
        value = -value;
    }
    if (value == 0) {
        put_text(into, "0.0");
        return;
    }
    decimal number = shortest(value);
    if (value < EXACT_BELOW && plain_length(&number) <= exponent_length(&number)) {
        put_plain(into, &number);
    } else {
        put_exponent(into, &number);
    }
}

/* ---- terms
 * ------------------------------------------------------------------------------------------------------- */
static void put_pid(text *into, const char *open, tr_pid pid, const char *close)
{
    char buffer[64];
    snprintf(buffer, sizeof buffer, "%s%" PRIu32 ".%" PRIu32 "%s", open, TR_PID_SLOT(pid),
             TR_PID_GENERATION(pid), close);
    put_text(into, buffer);
}

static void put_leaf(text *into, tr_term term, tr_term_kind kind)
{
    char buffer[64];
    size_t length;
    const char *bytes;
    switch (kind) {
    case TR_TERM_ATOM:
        put_atom(into, term);
        break;
    case TR_TERM_INT:
        snprintf(buffer, sizeof buffer, "%" PRId64, tr_int_value(term));
        put_text(into, buffer);
        break;
    case TR_TERM_FLOAT:
        put_float(into, tr_float_value(term));
        break;
    case TR_TERM_PID:
        put_pid(into, "<", tr_pid_value(term), ">");
        break;
    case TR_TERM_REF:
        put_pid(into, "#Ref<", tr_ref_value(term).owner, "");
        snprintf(buffer, sizeof buffer, ".%" PRIu64 ">", tr_ref_value(term).id);
        put_text(into, buffer);
        break;
    case TR_TERM_STRING:
        bytes = tr_string_bytes(term, &length);
        put_quoted(into, '"', bytes, length);
        break;
    default:
        put_text(into, "none");
        break;
    }
}

/* A leaf is written; of a container the opening, and its items are pushed. */
static void put_term(text *into, tr__walk *walk, tr_term term)
{
    tr_term_kind kind = tr_term_kind_of(term);
    if (kind != TR_TERM_TUPLE && kind != TR_TERM_LIST && kind != TR_TERM_MAP) {
        put_leaf(into, term, kind);
        return;
    }
    if (walk->used == DEPTH_MAX) {
        put_text(into, "...");
        return;
    }
    const tr__box *box = tr__box_of(term);
    put_text(into, kind == TR_TERM_TUPLE ? "{" : kind == TR_TERM_LIST ? "[" : "#{");
    tr__walk_push(walk, (tr__frame){.a = tr__box_items(box),
                                    .b = tr__box_items(box),
                                    .left = (uint32_t)tr__box_terms(box),
                                    .tail = (int16_t)kind});
}

static void put_separator(text *into, const tr__frame *frame)
{
    size_t done = (size_t)(frame->a - frame->b);
    if (done == 0) {
        return;
    }
    put_text(into, frame->tail == TR_TERM_MAP && done % 2 == 1 ? "=>" : ",");
}

size_t tr_term_print(tr_term term, char *out, size_t size)
{
    text into = {.out = out, .size = size};
    tr__walk walk;
    tr__walk_begin(&walk);
    put_term(&into, &walk, term);
    while (walk.used > 0) {
        tr__frame *top = &walk.frames[walk.used - 1];
        if (top->left == 0) {
            put_text(&into, top->tail == TR_TERM_LIST ? "]" : "}");
            walk.used--;
            continue;
        }
        put_separator(&into, top);
        tr_term next = *top->a;
        top->a++;
        top->left--;
        put_term(&into, &walk, next);
    }
    tr__walk_end(&walk);
    if (size > 0) {
        size_t end = into.wanted < size ? into.wanted : size - 1;
        if (into.wanted >= size) {
            size_t dots = end < 3 ? end : 3;
            memset(out + end - dots, '.', dots);
        }
        out[end] = '\0';
    }
    return into.wanted;
}

const char *tr_term_text(tr_term term)
{
    size_t size = tr_term_print(term, NULL, 0) + 1;
    char *out = tr_scratch_alloc(size);
    tr_term_print(term, out, size);
    return out;
}
