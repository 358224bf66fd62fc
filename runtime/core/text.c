#include "runtime/core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/core/utf8.h"

void tr__text_put(tr__text *into, const char *bytes, size_t length)
{
    if (into->wanted < into->size) {
        size_t left = into->size - into->wanted;
        memcpy(into->out + into->wanted, bytes, length < left ? length : left);
    }
    into->wanted += length;
}

void tr__text_puts(tr__text *into, const char *text)
{
    tr__text_put(into, text, strlen(text));
}

void tr__text_printf(tr__text *into, const char *format, ...)
{
    char local[256];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(local, sizeof local, format, args);
    va_end(args);
    TR_ASSERT(length >= 0 && (size_t)length < sizeof local);
    tr__text_put(into, local, (size_t)length);
}

void tr__text_json(tr__text *into, const char *bytes)
{
    size_t length = strlen(bytes);
    char escape[8];
    tr__text_put(into, "\"", 1);
    for (size_t i = 0; i < length;) {
        unsigned char byte = (unsigned char)bytes[i];
        size_t width = tr__utf8_width(bytes + i, length - i);
        if (byte == '"' || byte == '\\') {
            tr__text_put(into, "\\", 1);
            tr__text_put(into, bytes + i, 1);
        } else if (width == 0) {
            tr__text_put(into, "\\ufffd", 6);
        } else if (byte < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", byte);
            tr__text_put(into, escape, 6);
        } else {
            tr__text_put(into, bytes + i, width);
        }
        i += width == 0 ? 1 : width;
    }
    tr__text_put(into, "\"", 1);
}

size_t tr__text_end(tr__text *into)
{
    if (into->size > 0) {
        into->out[into->wanted < into->size ? into->wanted : into->size - 1] = '\0';
    }
    return into->wanted;
}
