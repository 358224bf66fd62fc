#include "server/http/headers.h"

/* ---- known fields ---- */

enum repeated { REFUSE, DROP, FIRST };

struct field {
    struct text name;
    enum repeated repeated;
};

#define FIELD_ROW(name, text, repeated) [HTTP_FIELD_##name] = {{text, sizeof(text) - 1}, repeated},
static const struct field fields[HTTP_FIELDS_COUNT] = {HTTP_FIELDS(FIELD_ROW)};
#undef FIELD_ROW

/* Whether a token is this field's name. Ours are letters and '-', and setting the bit that tells 'a' from 'A' makes no
 * other token byte one of those: so eight bytes are compared at once, the last eight of them again. */
static bool is_name(struct text field, struct text name)
{
    const uint64_t fold = UINT64_C(0x2020202020202020);
    uint64_t difference = 0;
    size_t last = field.count < 8 ? 0 : field.count - 8;
    if (field.count != name.count || field.bytes[0] != (name.bytes[0] | 0x20)) {
        return false;
    }
    for (size_t i = 0; field.count >= 8; i = i + 8 < last ? i + 8 : last) {
        uint64_t ours;
        uint64_t theirs;
        memcpy(&ours, field.bytes + i, 8);
        memcpy(&theirs, name.bytes + i, 8);
        difference |= ours ^ (theirs | fold);
        if (i == last) {
            return difference == 0;
        }
    }
    return text_equal_nocase(field, name);
}

bool http_headers_note(struct http_headers *headers, struct text name, struct text value)
{
    if (name.count < 4 || name.count > 17) {
        return true; /* shorter and longer ones are none of ours */
    }
    for (unsigned f = 0; f < HTTP_FIELDS_COUNT; f++) {
        const struct field *field = &fields[f];
        if (!is_name(field->name, name)) {
            continue;
        }
        uint32_t bit = UINT32_C(1) << f;
        if (((headers->present | headers->repeated) & bit) == 0) {
            headers->present |= bit;
            headers->values[f] = value;
            return true;
        }
        headers->repeated |= bit;
        if (field->repeated == DROP) {
            headers->present &= ~bit;
        }
        return field->repeated != REFUSE;
    }
    return true;
}

/* ---- bytes ---- */

static bool is_alpha(unsigned char byte)
{
    unsigned char lower = text_lower(byte);
    return lower >= 'a' && lower <= 'z';
}

static bool is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

/* RFC 9110 5.6.2. */
static inline bool is_token_byte(unsigned char byte)
{
#define RANGE(first, last) [first... last] = true
    static const bool is_token[256] = {
        RANGE('0', '9'), RANGE('A', 'Z'), RANGE('a', 'z'), ['!'] = true, ['#'] = true, ['$'] = true,
        ['%'] = true,    ['&'] = true,    ['\''] = true,   ['*'] = true, ['+'] = true, ['-'] = true,
        ['.'] = true,    ['^'] = true,    ['_'] = true,    ['`'] = true, ['|'] = true, ['~'] = true,
    };
#undef RANGE
    return is_token[byte];
}

bool http_is_token(struct text text)
{
    for (size_t i = 0; i < text.count; i++) {
        if (!is_token_byte((unsigned char)text.bytes[i])) {
            return false;
        }
    }
    return text.count > 0;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

struct text http_trim(struct text value)
{
    while (value.count > 0 && is_blank(value.bytes[0])) {
        value.bytes++;
        value.count--;
    }
    while (value.count > 0 && is_blank(value.bytes[value.count - 1])) {
        value.count--;
    }
    return value;
}

/* ---- Content-Type ---- */

static struct text take_token(struct text *rest)
{
    struct text token = {.bytes = rest->bytes};
    while (rest->count > 0 && is_token_byte((unsigned char)rest->bytes[0])) {
        rest->bytes++;
        rest->count--;
        token.count++;
    }
    return token;
}

static bool take_byte(struct text *rest, char byte)
{
    if (rest->count == 0 || rest->bytes[0] != byte) {
        return false;
    }
    rest->bytes++;
    rest->count--;
    return true;
}

static bool take_quoted(struct text *rest)
{
    if (!take_byte(rest, '"')) {
        return false;
    }
    while (rest->count > 0 && rest->bytes[0] != '"') {
        size_t step = rest->bytes[0] == '\\' ? 2 : 1;
        if (step > rest->count) {
            return false;
        }
        rest->bytes += step;
        rest->count -= step;
    }
    return take_byte(rest, '"');
}

static void skip_blanks(struct text *rest)
{
    while (rest->count > 0 && is_blank(rest->bytes[0])) {
        rest->bytes++;
        rest->count--;
    }
}

bool http_media_type_is_json(struct text content_type)
{
    struct text rest = http_trim(content_type);
    if (text_equal(rest, TEXT("application/json"))) { /* as nearly everybody writes it */
        return true;
    }
    struct text type = take_token(&rest);
    if (!text_equal_nocase(type, TEXT("application")) || !take_byte(&rest, '/')) {
        return false;
    }
    struct text subtype = take_token(&rest);
    if (!text_equal_nocase(subtype, TEXT("json"))) {
        return false;
    }
    for (skip_blanks(&rest); rest.count > 0; skip_blanks(&rest)) {
        if (!take_byte(&rest, ';')) {
            return false;
        }
        skip_blanks(&rest);
        if (rest.count == 0 || rest.bytes[0] == ';') {
            continue; /* an empty parameter, as RFC 9110 5.6.6 lets be */
        }
        if (take_token(&rest).count == 0 || !take_byte(&rest, '=')) {
            return false;
        }
        if (take_token(&rest).count == 0 && !take_quoted(&rest)) {
            return false;
        }
    }
    return true;
}

/* ---- Authorization ---- */

struct text http_bearer_token(struct text authorization)
{
    struct text absent = {0};
    struct text value = http_trim(authorization);
    if (value.count < 8 || !text_equal_nocase((struct text){value.bytes, 6}, TEXT("bearer")) ||
        value.bytes[6] != ' ') {
        return absent;
    }
    struct text token = http_trim((struct text){value.bytes + 7, value.count - 7});
    for (size_t i = 0; i < token.count; i++) {
        if (token.bytes[i] <= ' ' ||
            token.bytes[i] == 0x7F) { /* also what is not ASCII, where char is signed */
            return absent;
        }
    }
    return token.count > 0 ? token : absent;
}

bool http_token_equal(struct text expected, struct text presented)
{
    /* Walks over the expected token whatever was presented; where that is shorter, bytes are compared with
     * themselves and the length decides. volatile keeps the compiler from leaving early. */
    volatile unsigned char difference = (unsigned char)(expected.count != presented.count);
    for (size_t i = 0; i < expected.count; i++) {
        const char *other = i < presented.count ? presented.bytes + i : expected.bytes + i;
        difference = (unsigned char)(difference | (unsigned char)(expected.bytes[i] ^ *other));
    }
    return difference == 0 && expected.count > 0;
}

/* ---- Host ---- */

/* Splits "host[:port]"; an IPv6 literal keeps its brackets. False when it is neither. */
static bool split_port(struct text value, struct text *host, struct text *port)
{
    size_t end = 0;
    if (value.count > 0 && value.bytes[0] == '[') {
        while (end < value.count && value.bytes[end] != ']') {
            end++;
        }
        if (end++ == value.count) {
            return false;
        }
    } else {
        while (end < value.count && value.bytes[end] != ':') {
            end++;
        }
    }
    *host = (struct text){.bytes = value.bytes, .count = end};
    *port = (struct text){.bytes = value.bytes + end, .count = value.count - end};
    if (port->count == 0) {
        return true;
    }
    if (port->bytes[0] != ':' || port->count > 6) {
        return false;
    }
    for (size_t i = 1; i < port->count; i++) {
        if (!is_digit((unsigned char)port->bytes[i])) {
            return false;
        }
    }
    return true;
}

bool http_host_valid(struct text host)
{
    struct text name;
    struct text port;
    if (!split_port(http_trim(host), &name, &port)) {
        return false;
    }
    bool literal = name.count > 0 && name.bytes[0] == '[';
    for (size_t i = literal ? 1 : 0; i < name.count - (literal ? 1 : 0); i++) {
        unsigned char byte = (unsigned char)name.bytes[i];
        bool ok = is_alpha(byte) || is_digit(byte) || strchr("-._~!$&'()*+,;=", byte) != NULL || byte == '%';
        if (!(ok || (literal && byte == ':')) || byte == 0) {
            return false;
        }
    }
    return !literal || name.count > 2;
}

/* Four decimal numbers without leading zeros, the first of them 127. */
static bool is_ipv4_loopback(struct text name)
{
    unsigned parts = 0;
    size_t i = 0;
    for (; parts < 4; parts++) {
        unsigned value = 0;
        size_t first = i;
        while (i < name.count && is_digit((unsigned char)name.bytes[i]) && i - first < 3) {
            value = value * 10 + (unsigned)(name.bytes[i++] - '0');
        }
        if (i == first || value > 255 || (i - first > 1 && name.bytes[first] == '0') ||
            (parts == 0 && value != 127)) {
            return false;
        }
        if (parts < 3 && (i == name.count || name.bytes[i++] != '.')) {
            return false;
        }
    }
    return i == name.count;
}

bool http_host_is_loopback(struct text host)
{
    struct text name;
    struct text port;
    if (!split_port(http_trim(host), &name, &port)) {
        return false;
    }
    if (name.count > 1 && name.bytes[name.count - 1] == '.') {
        name.count--; /* the root's dot: the same name */
    }
    return text_equal_nocase(name, TEXT("localhost")) || text_equal(name, TEXT("[::1]")) ||
           is_ipv4_loopback(name);
}

/* ---- entity tags ---- */

/* One entity tag from the front of rest; `opaque` gets it with its quotes and without W/. */
static bool take_etag(struct text *rest, struct text *opaque, bool *weak)
{
    *weak = rest->count >= 2 && rest->bytes[0] == 'W' && rest->bytes[1] == '/';
    if (*weak) {
        rest->bytes += 2;
        rest->count -= 2;
    }
    opaque->bytes = rest->bytes;
    if (!take_byte(rest, '"')) {
        return false;
    }
    while (rest->count > 0 && rest->bytes[0] != '"') {
        unsigned char byte = (unsigned char)rest->bytes[0];
        if (byte < 0x21 || byte == 0x7F) {
            return false;
        }
        rest->bytes++;
        rest->count--;
    }
    if (!take_byte(rest, '"')) {
        return false;
    }
    opaque->count = (size_t)(rest->bytes - opaque->bytes);
    return true;
}

static enum http_etags judge(struct text value, struct text etag, bool strong)
{
    struct text rest = http_trim(value);
    bool found = false;
    size_t tags = 0;
    if (text_equal(rest, TEXT("*"))) {
        return HTTP_ETAGS_ANY;
    }
    while (rest.count > 0) {
        struct text opaque;
        bool weak;
        if (take_byte(&rest, ',')) { /* empty elements are let be: RFC 9110 5.6.1 */
            skip_blanks(&rest);
            continue;
        }
        if (!take_etag(&rest, &opaque, &weak)) {
            return HTTP_ETAGS_INVALID;
        }
        tags++;
        found = found || (etag.bytes != NULL && !(strong && weak) && text_equal(opaque, etag));
        skip_blanks(&rest);
        if (rest.count > 0 && rest.bytes[0] != ',') {
            return HTTP_ETAGS_INVALID;
        }
    }
    return tags == 0 ? HTTP_ETAGS_INVALID : found ? HTTP_ETAGS_MATCH : HTTP_ETAGS_NO_MATCH;
}

enum http_etags http_if_match(struct text value, struct text etag)
{
    return judge(value, etag, true);
}

enum http_etags http_if_none_match(struct text value, struct text etag)
{
    return judge(value, etag, false);
}
