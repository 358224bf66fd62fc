#include "server/utf8.h"

static bool continues(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

size_t utf8_sequence(const char *text, size_t bytes)
{
    const unsigned char *b = (const unsigned char *)text;
    if (bytes == 0) {
        return 0;
    }
    if (b[0] < 0x80) {
        return 1;
    }
    if (b[0] >= 0xC2 && b[0] <= 0xDF) {
        return bytes >= 2 && continues(b[1]) ? 2 : 0;
    }
    if (b[0] >= 0xE0 && b[0] <= 0xEF) {
        unsigned char low = b[0] == 0xE0 ? 0xA0 : 0x80;  /* no overlong forms */
        unsigned char high = b[0] == 0xED ? 0x9F : 0xBF; /* no surrogates */
        return bytes >= 3 && b[1] >= low && b[1] <= high && continues(b[2]) ? 3 : 0;
    }
    if (b[0] >= 0xF0 && b[0] <= 0xF4) {
        unsigned char low = b[0] == 0xF0 ? 0x90 : 0x80;
        unsigned char high = b[0] == 0xF4 ? 0x8F : 0xBF;
        return bytes >= 4 && b[1] >= low && b[1] <= high && continues(b[2]) && continues(b[3]) ? 4 : 0;
    }
    return 0;
}

bool utf8_valid(const char *text, size_t bytes)
{
    while (bytes > 0) {
        size_t length = utf8_sequence(text, bytes);
        if (length == 0) {
            return false;
        }
        text += length;
        bytes -= length;
    }
    return true;
}
