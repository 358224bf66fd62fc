/* digits: decimal numbers written straight into a buffer; printf takes longer than what it prints.
 *
 * Invariant: DIGITS_MAX bytes are enough for any 64-bit number; there is no NUL behind them.
 */
#ifndef TROUPE_SERVER_DIGITS_H
#define TROUPE_SERVER_DIGITS_H

#include <stdint.h>
#include <string.h>

#define DIGITS_MAX 20

/** How many digits a number has. Most are small. */
static inline unsigned digits_count(uint64_t number)
{
    unsigned count = 1;
    while (number >= 10000) {
        number /= 10000;
        count += 4;
    }
    return count + (number >= 10) + (number >= 100) + (number >= 1000);
}

/** Writes a number to `at`. Returns: the end of its digits. */
static inline char *digits_put(char *at, uint64_t number)
{
    static const char pairs[201] = "00010203040506070809101112131415161718192021222324"
                                   "25262728293031323334353637383940414243444546474849"
                                   "50515253545556575859606162636465666768697071727374"
                                   "75767778798081828384858687888990919293949596979899";
    char *end = at + digits_count(number);
    char *to = end;
    while (number >= 100) {
        to -= 2;
        memcpy(to, pairs + 2 * (number % 100), 2);
        number /= 100;
    }
    if (number >= 10) {
        memcpy(at, pairs + 2 * number, 2);
    } else {
        *at = (char)('0' + number);
    }
    return end;
}

#endif
