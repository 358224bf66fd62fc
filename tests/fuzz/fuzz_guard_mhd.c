/* The guard behind the real library: bytes go over a socket pair into libmicrohttpd; a head the guard lets
 * pass must be a proper one to a strict parser that sees the bytes as they came. The first byte chooses how
 * they arrive. */
#include "tests/fuzz/strict_head.h"
#include "tests/server/mhd_pair.h"

#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t calls;
    struct guard first;
};

static void note(void *cls, const struct guard *guard)
{
    struct seen *seen = cls;
    if (seen->calls++ == 0) {
        seen->first = *guard;
    }
}

/* The library passes over lines that are empty or begin with NUL before a request. */
static size_t lines_before(const char *bytes, size_t count)
{
    size_t skip = 0;
    while (skip < count) {
        const char *lf = memchr(bytes + skip, '\n', count - skip);
        bool empty = bytes[skip] == '\n' || bytes[skip] == '\0' ||
                     (bytes[skip] == '\r' && skip + 1 < count && bytes[skip + 1] == '\n');
        if (lf == NULL || !empty) {
            break;
        }
        skip = (size_t)(lf - bytes) + 1;
    }
    return skip;
}

static void check(const struct seen *seen, const char *bytes, size_t count)
{
    const struct guard *guard = &seen->first;
    struct strict_head head;
    size_t skip = lines_before(bytes, count);
    if (seen->calls == 0 || guard->verdict != GUARD_OK) {
        return;
    }
    size_t head_bytes = guard->next + 2 - (uintptr_t)guard->method;
    if (head_bytes > count - skip) {
        abort();
    }
    char *copy = malloc(head_bytes);
    memcpy(copy, bytes + skip, head_bytes);
    if (!strict_head_read(copy, head_bytes, &head) || head.fields != guard->header_count ||
        guard->has_length != (head.lengths == 1) || guard->chunked != (head.codings == 1)) {
        abort();
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    struct mhd_pair pair = {.on_guard = note, .on_guard_cls = &seen};
    if (size < 2 || !mhd_pair_start(&pair)) {
        return 0;
    }
    const char *bytes = (const char *)data + 1;
    size_t piece = data[0] == 0 ? size : data[0];
    int fd = mhd_pair_connect(&pair);
    if (fd >= 0) {
        mhd_pair_send(&pair, fd, bytes, size - 1, piece);
        check(&seen, bytes, size - 1);
        close(fd);
        mhd_pair_run(&pair);
    }
    mhd_pair_stop(&pair);
    return 0;
}
