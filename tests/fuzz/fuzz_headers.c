/* Values of the fields that mean something: whatever they hold, readers stay inside them and agree with each other.
 * The first NUL, if there is one, parts the value from a second text (the token, the tag, the host it is held against). */
#include "server/http/headers.h"
#include "server/http/request_id.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

static bool is_inside(struct text part, struct text whole)
{
    return part.bytes >= whole.bytes && part.bytes + part.count <= whole.bytes + whole.count;
}

static bool begins_nocase(struct text value, struct text prefix)
{
    return value.count >= prefix.count &&
           text_equal_nocase((struct text){.bytes = value.bytes, .count = prefix.count}, prefix);
}

static void try_tokens(struct text value, struct text other)
{
    struct text trimmed = http_trim(value);
    demand(trimmed.count == 0 || is_inside(trimmed, value), "what is trimmed is a part");
    demand(text_equal(http_trim(trimmed), trimmed), "trimming again changes nothing");
    struct text token = http_bearer_token(value);
    if (token.bytes != NULL) {
        demand(token.count > 0 && is_inside(token, trimmed), "a token is a part of the value");
        demand(begins_nocase(trimmed, TEXT("bearer ")), "a token comes behind its scheme");
        demand(memchr(token.bytes, ' ', token.count) == NULL, "a token has no blanks");
    }
    bool same = value.count > 0 && text_equal(value, other);
    demand(http_token_equal(value, other) == same, "tokens are equal when their bytes are");
    demand(http_token_equal(value, value) == (value.count > 0), "a token equals itself");
    demand(!http_media_type_is_json(value) || begins_nocase(trimmed, TEXT("application/json")),
           "JSON is application/json");
}

static void try_host(struct text value)
{
    struct text trimmed = http_trim(value);
    bool loopback = http_host_is_loopback(value);
    demand(!loopback || http_host_valid(value), "a loopback host is a host");
    demand(!loopback || begins_nocase(trimmed, TEXT("localhost")) || begins_nocase(trimmed, TEXT("127.")) ||
               begins_nocase(trimmed, TEXT("[::1]")),
           "loopback is localhost, 127.0.0.0/8 or [::1]");
    demand(!http_host_valid(value) || trimmed.count == 0 || memchr(trimmed.bytes, '@', trimmed.count) == NULL,
           "a host has no userinfo");
}

static void try_tags(struct text value, struct text tag)
{
    enum http_etags strong = http_if_match(value, tag);
    enum http_etags weak = http_if_none_match(value, tag);
    demand((strong == HTTP_ETAGS_INVALID) == (weak == HTTP_ETAGS_INVALID), "both fields have one grammar");
    demand((strong == HTTP_ETAGS_ANY) == text_equal(http_trim(value), TEXT("*")), "only * is any");
    demand(strong != HTTP_ETAGS_MATCH || weak == HTTP_ETAGS_MATCH, "what matches strongly matches weakly");
    demand(weak != HTTP_ETAGS_MATCH || memmem(value.bytes, value.count, tag.bytes, tag.count) != NULL,
           "a tag that matches is there");
    demand(http_if_match(value, (struct text){0}) != HTTP_ETAGS_MATCH, "what does not exist matches no tag");
}

static void try_ids(struct text value)
{
    struct request_id_source source;
    struct request_id id;
    struct trace_context trace;
    struct trace_context again;
    char written[TRACEPARENT_BYTES];
    request_id_source_seed(&source, 1, 2);
    request_id_choose(&id, &source, value);
    demand(request_id_valid(request_id_text(&id)), "an id is valid");
    demand(text_equal(request_id_text(&id), value) == request_id_valid(value), "a valid id is taken over");
    trace_context_choose(&trace, &source, value);
    trace_context_write(&trace, written);
    trace_context_choose(&again, &source, (struct text){.bytes = written, .count = sizeof(written)});
    demand(again.continued && again.trace_high == trace.trace_high && again.trace_low == trace.trace_low &&
               again.parent == trace.span && again.flags == trace.flags,
           "a trace that is written is continued");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *parting = size == 0 ? NULL : memchr(data, 0, size);
    size_t count = parting == NULL ? size : (size_t)(parting - data);
    size_t rest = parting == NULL ? 0 : size - count - 1;
    /* Each in a block of exactly its size. */
    char *first = malloc(count + (count == 0));
    char *second = malloc(rest + (rest == 0));
    demand(first != NULL && second != NULL, "memory");
    memcpy(first, data, count);
    memcpy(second, data + size - rest, rest);
    struct text value = {.bytes = first, .count = count};
    struct text other = {.bytes = second, .count = rest};
    try_tokens(value, other);
    try_host(value);
    try_tags(value, other);
    try_ids(value);
    free(first);
    free(second);
    return 0;
}
