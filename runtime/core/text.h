/* text.h: text written into the caller's buffer, which may be too short: what did not fit is only counted.
 *
 * Invariants: 1. at most size bytes are written, and no NUL; 2. wanted is the length of the whole text. tr__text_end puts the
 * NUL behind what fitted.
 */
#ifndef TROUPE_CORE_TEXT_H
#define TROUPE_CORE_TEXT_H

#include <stddef.h>
#include <troupe/base.h>

typedef struct tr__text {
    char *out; /* NULL when size is 0 */
    size_t size;
    size_t wanted;
} tr__text;

void tr__text_put(tr__text *into, const char *bytes, size_t length);
void tr__text_puts(tr__text *into, const char *text);
void TR_PRINTF(2, 3) tr__text_printf(tr__text *into, const char *format, ...);
/** A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void tr__text_json(tr__text *into, const char *text);
/** Ends the text. Returns: the length it wanted. */
size_t tr__text_end(tr__text *into);

#endif
