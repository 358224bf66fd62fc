#include "api/webhooks/webhook.h"

#include "server/client/private_address.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#define HOST_BYTES 256

const char *webhook_state_text(enum webhook_state state)
{
#define WEBHOOK_STATE_TEXT(name, text) text,
    static const char *const texts[] = {WEBHOOK_STATES(WEBHOOK_STATE_TEXT)};
#undef WEBHOOK_STATE_TEXT
    return texts[state];
}

/* ---- names, patterns ---- */

static bool is_word(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_made_of(struct text text, size_t max, const char *others)
{
    for (size_t i = 0; i < text.count; i++) {
        if (!is_word(text.bytes[i]) && (text.bytes[i] == '\0' || strchr(others, text.bytes[i]) == NULL)) {
            return false;
        }
    }
    return text.count >= 1 && text.count <= max;
}

bool webhook_name_fits(struct text name)
{
    return is_made_of(name, WEBHOOK_NAME_MAX, ".-");
}

bool webhook_subject_fits(struct text subject)
{
    return is_made_of(subject, WEBHOOK_SUBJECT_MAX, "-");
}

static bool ends_in_star(struct text pattern)
{
    return pattern.count >= 2 && memcmp(pattern.bytes + pattern.count - 2, ".*", 2) == 0;
}

bool webhook_pattern_fits(struct text pattern)
{
    if (text_equal(pattern, TEXT("*"))) {
        return true;
    }
    struct text words = {pattern.bytes, pattern.count - (ends_in_star(pattern) ? 2 : 0)};
    bool after_word = false;
    for (size_t i = 0; i < words.count; i++) {
        if (!is_word(words.bytes[i]) && !(words.bytes[i] == '.' && after_word)) {
            return false;
        }
        after_word = words.bytes[i] != '.';
    }
    return after_word && pattern.count <= WEBHOOK_PATTERN_MAX;
}

static bool matches(struct text pattern, struct text type)
{
    if (text_equal(pattern, TEXT("*"))) {
        return true;
    }
    if (!ends_in_star(pattern)) {
        return text_equal(pattern, type);
    }
    struct text head = {pattern.bytes, pattern.count - 1}; /* with its '.' */
    return type.count > head.count && memcmp(type.bytes, head.bytes, head.count) == 0;
}

bool webhook_wants(struct text events, struct text type)
{
    while (events.count != 0) {
        const char *blank = memchr(events.bytes, ' ', events.count);
        size_t length = blank == NULL ? events.count : (size_t)(blank - events.bytes);
        if (matches((struct text){events.bytes, length}, type)) {
            return true;
        }
        size_t step = blank == NULL ? length : length + 1;
        events = (struct text){events.bytes + step, events.count - step};
    }
    return false;
}

void webhook_message_id(const char *subject, int64_t sequence, char out[WEBHOOK_MESSAGE_MAX])
{
    snprintf(out, WEBHOOK_MESSAGE_MAX, "msg_%s_%" PRId64, subject, sequence);
}

/* ---- where a URL leads ---- */

/* The host between the scheme and whatever comes first of port, path, query and fragment; brackets are taken off. */
static bool host_of(const char *url, char out[HOST_BYTES])
{
    const char *at = strstr(url, "://");
    if (at == NULL) {
        return false;
    }
    at += 3;
    const char *end = at + strcspn(at, "/?#\\");
    if (*at == '[') {
        at++;
        const char *close = memchr(at, ']', (size_t)(end - at));
        end = close == NULL ? end : close;
    } else {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        end = colon == NULL ? end : colon;
    }
    size_t length = (size_t)(end - at);
    if (length == 0 || length >= HOST_BYTES) {
        return false;
    }
    memcpy(out, at, length);
    out[length] = '\0';
    return true;
}

static bool is_localhost(struct text host)
{
    static const struct text name = TEXT("localhost");
    static const struct text below = TEXT(".localhost");
    if (host.count > 1 && host.bytes[host.count - 1] == '.') {
        host.count--;
    }
    return text_equal_nocase(host, name) ||
           (host.count > below.count &&
            text_equal_nocase((struct text){host.bytes + host.count - below.count, below.count}, below));
}

bool webhook_url_is_private(const char *url)
{
    char host[HOST_BYTES];
    uint8_t address[16];
    if (!host_of(url, host)) {
        return true; /* whatever it is, it is not plainly public */
    }
    char *zone = strchr(host, '%');
    if (zone != NULL) {
        return true; /* an address of one link */
    }
    bool digits = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    return digits ? address_text_is_private(host) : is_localhost(text_of(host));
}
