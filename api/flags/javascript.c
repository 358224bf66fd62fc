#include "api/flags/javascript.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NESTED_MAX 32 /* arrays within arrays that are made a text */

void *js_take(struct js_room *room, size_t bytes)
{
    void *memory = NULL;

    if (!room->full && bytes <= *room->left) {
        memory = json_arena_take(room->arena, bytes);
    }
    if (memory == NULL) {
        room->full = true;
        return NULL;
    }
    *room->left -= (uint32_t)bytes;
    return memory;
}

bool js_truth(const rule_value *value)
{
    switch ((enum rule_value_kind)value->kind) {
    case RULE_IS_NULL:
        return false;
    case RULE_IS_BOOL:
        return value->truth;
    case RULE_IS_NUMBER:
        return value->is.number != 0 && !isnan(value->is.number);
    case RULE_IS_TEXT:
    case RULE_IS_LIST:
        return value->count != 0;
    default:
        return true;
    }
}

/* ---- numbers ---- */

static bool is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static size_t digits_at(struct text text, size_t at)
{
    size_t count = 0;

    while (at + count < text.count && is_digit(text.bytes[at + count])) {
        count++;
    }
    return count;
}

/* How long the decimal number at the start of text is; 0: there is none. */
static size_t decimal_bytes(struct text text)
{
    size_t at = text.count != 0 && (text.bytes[0] == '-' || text.bytes[0] == '+');
    size_t whole = digits_at(text, at);
    size_t part = 0;

    at += whole;
    if (at < text.count && text.bytes[at] == '.') {
        part = digits_at(text, at + 1);
        at += whole + part == 0 ? 0 : part + 1;
    }
    if (whole + part == 0) {
        return 0;
    }
    if (at < text.count && (text.bytes[at] == 'e' || text.bytes[at] == 'E')) {
        size_t sign = at + 1 < text.count && (text.bytes[at + 1] == '-' || text.bytes[at + 1] == '+');
        size_t exponent = digits_at(text, at + 1 + sign);
        at += exponent == 0 ? 0 : 1 + sign + exponent;
    }
    return at;
}

static struct text trimmed(struct text text)
{
    while (text.count != 0 && is_blank(text.bytes[0])) {
        text.bytes++;
        text.count--;
    }
    while (text.count != 0 && is_blank(text.bytes[text.count - 1])) {
        text.count--;
    }
    return text;
}

/* Digits as strtod wants them: with a NUL. What is longer than any number that means something is cut by the room. */
static double decimal(struct js_room *room, struct text text)
{
    char small[64];
    char *copy = text.count < sizeof(small) ? small : js_take(room, text.count + 1);

    if (copy == NULL) {
        return NAN;
    }
    *text_put(copy, text) = '\0';
    return strtod(copy, NULL);
}

static bool infinity_at(struct text text, bool whole, double *number)
{
    bool minus = text.count != 0 && text.bytes[0] == '-';
    bool sign = minus || (text.count != 0 && text.bytes[0] == '+');
    struct text word = {.bytes = text.bytes + sign, .count = text.count - sign};

    *number = minus ? -INFINITY : INFINITY;
    return word.count >= 8 && memcmp(word.bytes, "Infinity", 8) == 0 && (!whole || word.count == 8);
}

static int digit_of(char byte)
{
    unsigned char lower = text_lower((unsigned char)byte);

    return is_digit(byte) ? byte - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
}

/* 0x, 0o, 0b. */
static bool radix_number(struct text text, double *number)
{
    unsigned char letter =
        text.count < 3 || text.bytes[0] != '0' ? 0 : text_lower((unsigned char)text.bytes[1]);
    int radix = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;

    *number = 0;
    for (size_t i = 2; radix != 0 && i < text.count; i++) {
        int digit = digit_of(text.bytes[i]);
        *number = digit < radix ? *number * radix + digit : NAN;
    }
    return radix != 0;
}

static double number_of_text(struct js_room *room, struct text text)
{
    double number;

    text = trimmed(text);
    if (text.count == 0) {
        return 0;
    }
    if (radix_number(text, &number) || infinity_at(text, true, &number)) {
        return number;
    }
    return decimal_bytes(text) == text.count ? decimal(room, text) : NAN;
}

double js_number(struct js_room *room, const rule_value *value)
{
    switch ((enum rule_value_kind)value->kind) {
    case RULE_IS_NULL:
        return 0;
    case RULE_IS_BOOL:
        return value->truth ? 1 : 0;
    case RULE_IS_NUMBER:
        return value->is.number;
    default:
        return number_of_text(room, js_text(room, value));
    }
}

double js_parse_float(struct js_room *room, const rule_value *value)
{
    double number;

    if (value->kind == RULE_IS_NUMBER) {
        return value->is.number;
    }
    struct text text = trimmed(js_text(room, value));
    if (infinity_at(text, false, &number)) {
        return number;
    }
    text.count = decimal_bytes(text);
    return text.count == 0 ? NAN : decimal(room, text);
}

/* ---- texts ---- */

/* Digits and an exponent in JavaScript's layout. */
static size_t laid_out(const char *digits, int count, int point, char *out)
{
    char *at = out;

    if (point >= count && point <= 21) {
        at = text_put(at, (struct text){digits, (size_t)count});
        memset(at, '0', (size_t)(point - count));
        return (size_t)(at - out) + (size_t)(point - count);
    }
    if (point > 0 && point <= 21) {
        return (size_t)sprintf(out, "%.*s.%s", point, digits, digits + point);
    }
    if (point > -6 && point <= 0) {
        return (size_t)sprintf(out, "0.%.*s%s", -point, "00000", digits);
    }
    return (size_t)sprintf(out, "%c%s%se%+d", digits[0], count == 1 ? "" : ".", digits + 1, point - 1);
}

size_t js_number_text(double number, char out[JS_NUMBER_BYTES])
{
    char text[40];
    char digits[20];
    int count = 0;

    if (isnan(number) || isinf(number) || number == 0) {
        const char *word = isnan(number) ? "NaN" : number == 0 ? "0" : number > 0 ? "Infinity" : "-Infinity";
        return (size_t)(text_put(out, text_of(word)) - out);
    }
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, fabs(number));
        if (strtod(text, NULL) == fabs(number)) {
            break;
        }
    }
    char *e = strchr(text, 'e');
    for (const char *at = text; at < e; at++) {
        if (is_digit(*at)) {
            digits[count++] = *at;
        }
    }
    digits[count] = '\0';
    bool minus = number < 0;
    out[0] = '-';
    return minus + laid_out(digits, count, (int)strtol(e + 1, NULL, 10) + 1, out + minus);
}

/* A text that is being made; with at NULL it is only measured. Lists share their items, so that a small rule makes a
 * text without end: it is given up after visits_max items. */
struct joining {
    char *at;
    size_t count;
    uint32_t visits, visits_max;
};

static void join_text(struct joining *joining, struct text text)
{
    if (joining->at != NULL) {
        joining->at = text_put(joining->at, text);
    }
    joining->count += text.count;
}

static void join(struct joining *joining, const rule_value *value, int depth);

static void join_list(struct joining *joining, const rule_value *list, int depth)
{
    for (uint32_t i = 0; i < list->count && depth < NESTED_MAX; i++) {
        if (joining->visits++ >= joining->visits_max) {
            return;
        }
        if (i != 0) {
            join_text(joining, TEXT(","));
        }
        if (list->is.items[i].kind != RULE_IS_NULL) {
            join(joining, &list->is.items[i], depth + 1);
        }
    }
}

static void join(struct joining *joining, const rule_value *value, int depth)
{
    char number[JS_NUMBER_BYTES];

    switch ((enum rule_value_kind)value->kind) {
    case RULE_IS_NULL:
        join_text(joining, TEXT("null"));
        break;
    case RULE_IS_BOOL:
        join_text(joining, value->truth ? TEXT("true") : TEXT("false"));
        break;
    case RULE_IS_NUMBER:
        join_text(joining, (struct text){number, js_number_text(value->is.number, number)});
        break;
    case RULE_IS_TEXT:
        join_text(joining, rule_value_text(value));
        break;
    case RULE_IS_LIST:
        join_list(joining, value, depth);
        break;
    default:
        join_text(joining, TEXT("[object Object]"));
    }
}

struct text js_text(struct js_room *room, const rule_value *value)
{
    struct joining joining = {.visits_max = *room->left / 16};

    if (value->kind == RULE_IS_TEXT) {
        return rule_value_text(value);
    }
    join(&joining, value, 0);
    room->full |= joining.visits > joining.visits_max;
    char *bytes = js_take(room, joining.count + joining.visits);
    if (bytes == NULL) {
        return TEXT("");
    }
    joining = (struct joining){.at = bytes, .visits_max = joining.visits_max};
    join(&joining, value, 0);
    return (struct text){.bytes = bytes, .count = (size_t)(joining.at - bytes)};
}

/* ---- comparing ---- */

static bool is_structure(const rule_value *value)
{
    return value->kind >= RULE_IS_LIST;
}

bool js_same(const rule_value *one, const rule_value *other)
{
    if (one->kind != other->kind) {
        return false;
    }
    switch ((enum rule_value_kind)one->kind) {
    case RULE_IS_NULL:
        return true;
    case RULE_IS_BOOL:
        return one->truth == other->truth;
    case RULE_IS_NUMBER:
        return one->is.number == other->is.number;
    case RULE_IS_TEXT:
        return text_equal(rule_value_text(one), rule_value_text(other));
    default:
        return false;
    }
}

bool js_equal(struct js_room *room, const rule_value *one, const rule_value *other)
{
    if (one->kind == other->kind || (is_structure(one) && is_structure(other))) {
        return js_same(one, other);
    }
    if (one->kind == RULE_IS_NULL || other->kind == RULE_IS_NULL) {
        return false;
    }
    if ((is_structure(one) && other->kind == RULE_IS_TEXT) ||
        (is_structure(other) && one->kind == RULE_IS_TEXT)) {
        return text_equal(js_text(room, one), js_text(room, other));
    }
    return js_number(room, one) == js_number(room, other);
}

static bool is_textual(const rule_value *value)
{
    return value->kind == RULE_IS_TEXT || is_structure(value);
}

bool js_less(struct js_room *room, const rule_value *one, const rule_value *other, bool or_equal)
{
    if (is_textual(one) && is_textual(other)) {
        struct text a = js_text(room, one);
        struct text b = js_text(room, other);
        size_t common = a.count < b.count ? a.count : b.count;
        int order = common == 0 ? 0 : memcmp(a.bytes, b.bytes, common);
        bool shorter = or_equal ? a.count <= b.count : a.count < b.count;
        return order != 0 ? order < 0 : shorter;
    }
    double a = js_number(room, one);
    double b = js_number(room, other);
    return or_equal ? a <= b : a < b;
}
