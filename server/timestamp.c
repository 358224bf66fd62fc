#include "server/timestamp.h"

#include <stddef.h>

#define DAY_MS        INT64_C(86400000)
#define YEAR_0_MS     INT64_C(-62167219200000)
#define YEAR_10000_MS INT64_C(253402300800000)

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar; years begin in March inside. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2) {
        year--;
    }
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

static void put_digits(char *at, int64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

bool timestamp_write(int64_t unix_ms, char out[TIMESTAMP_BYTES])
{
    if (unix_ms < YEAR_0_MS || unix_ms >= YEAR_10000_MS) {
        return false;
    }
    int64_t days = unix_ms / DAY_MS;
    int64_t ms = unix_ms % DAY_MS;
    if (ms < 0) {
        ms += DAY_MS;
        days--;
    }
    int64_t year;
    int64_t month;
    int64_t day;
    date_from_days(days, &year, &month, &day);
    memcpy(out, "0000-00-00T00:00:00.000Z", TIMESTAMP_BYTES);
    put_digits(out, year, 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, day, 2);
    put_digits(out + 11, ms / 3600000, 2);
    put_digits(out + 14, ms / 60000 % 60, 2);
    put_digits(out + 17, ms / 1000 % 60, 2);
    put_digits(out + 20, ms % 1000, 3);
    return true;
}

struct cursor {
    const char *at;
    const char *end;
};

static bool take_number(struct cursor *c, int digits, int64_t *value)
{
    int64_t v = 0;
    if (c->end - c->at < digits) {
        return false;
    }
    for (int i = 0; i < digits; i++, c->at++) {
        if (*c->at < '0' || *c->at > '9') {
            return false;
        }
        v = v * 10 + (*c->at - '0');
    }
    *value = v;
    return true;
}

static bool take_byte(struct cursor *c, char upper, char other)
{
    if (c->at == c->end || (*c->at != upper && *c->at != other)) {
        return false;
    }
    c->at++;
    return true;
}

static bool take_fraction_ms(struct cursor *c, int64_t *ms)
{
    *ms = 0;
    if (c->at == c->end || *c->at != '.') {
        return true;
    }
    c->at++;
    int64_t unit = 100;
    const char *first = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, unit /= 10) {
        *ms += (*c->at - '0') * unit;
    }
    return c->at > first;
}

static bool take_offset_ms(struct cursor *c, int64_t *offset_ms)
{
    *offset_ms = 0;
    if (take_byte(c, 'Z', 'z')) {
        return true;
    }
    if (c->at == c->end || (*c->at != '+' && *c->at != '-')) {
        return false;
    }
    int64_t sign = *c->at++ == '+' ? 1 : -1;
    int64_t hours;
    int64_t minutes;
    if (!take_number(c, 2, &hours) || !take_byte(c, ':', ':') || !take_number(c, 2, &minutes) || hours > 23 ||
        minutes > 59) {
        return false;
    }
    *offset_ms = sign * (hours * 60 + minutes) * 60000;
    return true;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool timestamp_parse(struct text text, int64_t *unix_ms)
{
    struct cursor c = {.at = text.bytes, .end = text.bytes + text.count};
    int64_t year, month, day, hour, minute, second, ms, offset_ms;
    if (!take_number(&c, 4, &year) || !take_byte(&c, '-', '-') || !take_number(&c, 2, &month) ||
        !take_byte(&c, '-', '-') || !take_number(&c, 2, &day) || !take_byte(&c, 'T', 't') ||
        !take_number(&c, 2, &hour) || !take_byte(&c, ':', ':') || !take_number(&c, 2, &minute) ||
        !take_byte(&c, ':', ':') || !take_number(&c, 2, &second) || !take_fraction_ms(&c, &ms) ||
        !take_offset_ms(&c, &offset_ms) || c.at != c.end) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
        second > 60) {
        return false;
    }
    *unix_ms = days_from_date(year, month, day) * DAY_MS + hour * 3600000 + minute * 60000 + second * 1000 +
               ms - offset_ms;
    return true;
}
