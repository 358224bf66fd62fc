/* The guard on bytes: a parser as lax as the library cuts them up in place; whatever the guard then lets pass
 * must be a proper head to a strict second parser that sees the bytes as they came. */
#include "server/http/guard.h"
#include "tests/fuzz/strict_head.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct lax {
    char *at;
    char *end;
    char *line;
    char *copies[64]; /* folded fields, outside the buffer, as the library keeps them */
    size_t copy_count;
};

/* Cuts the next line off at LF, and CR before it. */
static bool next_line(struct lax *lax)
{
    char *lf = lax->at == lax->end ? NULL : memchr(lax->at, '\n', (size_t)(lax->end - lax->at));
    if (lf == NULL) {
        return false;
    }
    lax->line = lax->at;
    *lf = '\0';
    if (lf > lax->line && lf[-1] == '\r') {
        lf[-1] = '\0';
    }
    lax->at = lf + 1;
    return true;
}

static bool cut_request_line(struct lax *lax, struct guard *guard)
{
    char *blank = strchr(lax->line, ' ');
    char *last = strrchr(lax->line, ' ');
    /* The library looks for blanks on the whole line, NUL or not. */
    if (blank == NULL || blank == last) {
        return false;
    }
    *blank = '\0';
    *last = '\0';
    char *uri = blank + 1;
    uri += strspn(uri, " ");
    guard_on_uri(guard, uri, strlen(uri));
    for (char *c = uri; *c != '\0'; c++) {
        *c = *c == '?' || *c == '&' || *c == '=' ? '\0' : *c; /* as the library does with a query */
        if (*c == '\0') {
            break;
        }
    }
    guard_start(guard, lax->line, last + 1);
    return true;
}

/* Joins lines that go on with a blank, in memory of their own. */
static char *unfold(struct lax *lax, char *field)
{
    while (lax->at < lax->end && (*lax->at == ' ' || *lax->at == '\t') && lax->copy_count < 64) {
        size_t before = strlen(field);
        if (!next_line(lax)) {
            return NULL;
        }
        char *joined = malloc(before + strlen(lax->line) + 1);
        memcpy(joined, field, before);
        strcpy(joined + before, lax->line);
        lax->copies[lax->copy_count++] = joined;
        field = joined;
    }
    return field;
}

static bool cut_fields(struct lax *lax, struct guard *guard)
{
    while (next_line(lax)) {
        if (lax->line[0] == '\0') {
            return true;
        }
        char *field = unfold(lax, lax->line);
        char *colon = field == NULL ? NULL : strchr(field, ':');
        if (colon == NULL) {
            return false;
        }
        *colon = '\0';
        char *value = colon + 1 + strspn(colon + 1, " \t");
        (void)guard_header(guard, text_of(field), text_of(value));
    }
    return false;
}

static void check(const struct guard *guard, const char *data, size_t head_bytes)
{
    struct strict_head head;
    char *copy = malloc(head_bytes);
    memcpy(copy, data, head_bytes);
    if (!strict_head_read(copy, head_bytes, &head) || head.fields != guard->header_count ||
        guard->has_length != (head.lengths == 1) || guard->chunked != (head.codings == 1)) {
        abort();
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard guard;
    char *bytes = malloc(size + 1);
    memcpy(bytes, data, size);
    bytes[size] = '\0';
    size_t skip = 0;
    while (skip < size && (bytes[skip] == '\r' || bytes[skip] == '\n')) {
        skip++;
    }
    struct lax lax = {.at = bytes + skip, .end = bytes + size};
    if (next_line(&lax) && cut_request_line(&lax, &guard) && cut_fields(&lax, &guard)) {
        size_t head_bytes = (size_t)(lax.at - bytes) - skip;
        if (guard_finish(&guard, head_bytes) == GUARD_OK) {
            check(&guard, (const char *)data + skip, head_bytes);
        }
    }
    for (size_t i = 0; i < lax.copy_count; i++) {
        free(lax.copies[i]);
    }
    free(bytes);
    return 0;
}
