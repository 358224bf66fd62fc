#include "server/settings_scan.h"

#include "server/utf8.h"

#include <stdlib.h>
#include <string.h>

static bool scan_value(struct settings_scan *scan, int depth);

static bool wrong(struct settings_scan *scan, const char *problem)
{
    scan->problem = scan->problem != NULL ? scan->problem : problem;
    return false;
}

static char peek(const struct settings_scan *scan)
{
    return scan->at < scan->bytes ? scan->text[scan->at] : '\0';
}

static void skip_space(struct settings_scan *scan)
{
    while (scan->at < scan->bytes && strchr(" \t\n\r", scan->text[scan->at]) != NULL &&
           scan->text[scan->at] != '\0') {
        scan->at++;
    }
}

static bool take(struct settings_scan *scan, char c)
{
    if (peek(scan) != c || scan->at >= scan->bytes) {
        return false;
    }
    scan->at++;
    return true;
}

static size_t take_digits(struct settings_scan *scan)
{
    size_t count = 0;
    for (; peek(scan) >= '0' && peek(scan) <= '9'; count++) {
        scan->at++;
    }
    return count;
}

static bool scan_number(struct settings_scan *scan)
{
    (void)take(scan, '-');
    bool zero = peek(scan) == '0';
    size_t digits = take_digits(scan);
    if (digits == 0 || (zero && digits > 1)) {
        return wrong(scan, "a number is not written as JSON wants it");
    }
    if (take(scan, '.') && take_digits(scan) == 0) {
        return wrong(scan, "a number has no digits after its point");
    }
    if (take(scan, 'e') || take(scan, 'E')) {
        (void)(take(scan, '+') || take(scan, '-'));
        if (take_digits(scan) == 0) {
            return wrong(scan, "a number has no digits in its exponent");
        }
    }
    return true;
}

static bool scan_hex(struct settings_scan *scan, unsigned *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++, scan->at++) {
        char c = peek(scan);
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16U;
        if (digit == 16) {
            return wrong(scan, "\\u needs four hexadecimal digits");
        }
        *value = *value << 4 | digit;
    }
    return true;
}

static bool scan_escape(struct settings_scan *scan)
{
    char c = peek(scan);
    if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL) {
        return wrong(scan, "there is no such escape");
    }
    scan->at++;
    unsigned first = 0;
    unsigned second = 0;
    if (c != 'u') {
        return true;
    }
    if (!scan_hex(scan, &first)) {
        return false;
    }
    if (first == 0) {
        return wrong(scan, "a string has a NUL");
    }
    if (first < 0xD800 || first > 0xDFFF) {
        return true;
    }
    bool pair = first < 0xDC00 && take(scan, '\\') && take(scan, 'u') && scan_hex(scan, &second) &&
                second >= 0xDC00 && second <= 0xDFFF;
    return pair || wrong(scan, "half of a surrogate pair is missing");
}

static bool scan_string(struct settings_scan *scan)
{
    if (!take(scan, '"')) {
        return wrong(scan, "a string must begin here");
    }
    while (scan->at < scan->bytes) {
        if (take(scan, '"')) {
            return true;
        }
        if (take(scan, '\\')) {
            if (!scan_escape(scan)) {
                return false;
            }
            continue;
        }
        if ((unsigned char)peek(scan) < 0x20) {
            return wrong(scan, "a control character must be escaped");
        }
        size_t length = utf8_sequence(scan->text + scan->at, scan->bytes - scan->at);
        if (length == 0) {
            return wrong(scan, "the text is not UTF-8");
        }
        scan->at += length;
    }
    return wrong(scan, "the string does not end");
}

static bool scan_word(struct settings_scan *scan, const char *word)
{
    size_t length = strlen(word);
    if (scan->bytes - scan->at < length || memcmp(scan->text + scan->at, word, length) != 0) {
        return wrong(scan, "a value must be here");
    }
    scan->at += length;
    return true;
}

static bool remember(struct settings_scan *scan, size_t start)
{
    if ((scan->member_count & (scan->member_count + 1)) == 0) { /* 0, 1, 3, 7 ...: full */
        size_t room = 2 * scan->member_count + 1;
        struct settings_span *larger = realloc(scan->members, room * sizeof *larger);
        if (larger == NULL) {
            return wrong(scan, "there is not enough memory");
        }
        scan->members = larger;
    }
    scan->members[scan->member_count++] = (struct settings_span){start, scan->at - start};
    return true;
}

static bool scan_member(struct settings_scan *scan, int depth)
{
    if (!scan_string(scan)) {
        return false;
    }
    skip_space(scan);
    if (!take(scan, ':')) {
        return wrong(scan, "a ':' must be here");
    }
    skip_space(scan);
    size_t start = scan->at;
    return scan_value(scan, depth) && (depth > 1 || remember(scan, start));
}

static bool scan_items(struct settings_scan *scan, int depth, char end)
{
    skip_space(scan);
    if (take(scan, end)) {
        return true;
    }
    for (;;) {
        skip_space(scan);
        if (!(end == '}' ? scan_member(scan, depth) : scan_value(scan, depth))) {
            return false;
        }
        skip_space(scan);
        if (take(scan, end)) {
            return true;
        }
        if (!take(scan, ',')) {
            return wrong(scan, end == '}' ? "a ',' or '}' must be here" : "a ',' or ']' must be here");
        }
    }
}

static bool scan_value(struct settings_scan *scan, int depth)
{
    if (depth >= SETTINGS_SCAN_DEPTH) {
        return wrong(scan, "the nesting is too deep");
    }
    switch (peek(scan)) {
    case '{':
        scan->at++;
        return scan_items(scan, depth + 1, '}');
    case '[':
        scan->at++;
        return scan_items(scan, depth + 1, ']');
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "true");
    case 'f':
        return scan_word(scan, "false");
    case 'n':
        return scan_word(scan, "null");
    default:
        return (peek(scan) == '-' || (peek(scan) >= '0' && peek(scan) <= '9'))
                   ? scan_number(scan)
                   : wrong(scan, "a value must be here");
    }
}

bool settings_scan(struct settings_scan *scan, const char *text, size_t bytes)
{
    *scan = (struct settings_scan){.text = text, .bytes = bytes};
    skip_space(scan);
    if (peek(scan) != '{') {
        return wrong(scan, "an object must be here");
    }
    if (!scan_value(scan, 0)) {
        return false;
    }
    skip_space(scan);
    return scan->at == scan->bytes || wrong(scan, "the document ended before this");
}
