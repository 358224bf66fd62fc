#include "api/flags/semver.h"

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_identifier_byte(char byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '-';
}

static bool all_digits(struct text text)
{
    for (size_t i = 0; i < text.count; i++) {
        if (!is_digit(text.bytes[i])) {
            return false;
        }
    }
    return text.count != 0;
}

static struct text advanced(struct text text, size_t count)
{
    return (struct text){.bytes = text.bytes + count, .count = text.count - count};
}

/* A number without leading zeros. */
static bool take_number(struct text *rest, struct text *number)
{
    size_t count = 0;

    while (count < rest->count && is_digit(rest->bytes[count])) {
        count++;
    }
    *number = (struct text){.bytes = rest->bytes, .count = count};
    *rest = advanced(*rest, count);
    return count == 1 || (count > 1 && number->bytes[0] != '0');
}

/* The next identifier of a dotted list. */
static struct text next_identifier(struct text *rest)
{
    size_t count = 0;

    while (count < rest->count && rest->bytes[count] != '.') {
        count++;
    }
    struct text identifier = {.bytes = rest->bytes, .count = count};
    *rest = advanced(*rest, count < rest->count ? count + 1 : count);
    return identifier;
}

/* Identifiers with dots between them; those of a prerelease that are numbers have no leading zeros. */
static bool are_identifiers(struct text list, bool no_zeros)
{
    if (list.count == 0 || list.bytes[list.count - 1] == '.') {
        return false;
    }
    while (list.count != 0) {
        struct text one = next_identifier(&list);
        for (size_t i = 0; i < one.count; i++) {
            if (!is_identifier_byte(one.bytes[i])) {
                return false;
            }
        }
        if (one.count == 0 || (no_zeros && one.count > 1 && one.bytes[0] == '0' && all_digits(one))) {
            return false;
        }
    }
    return true;
}

/* What stands behind the patch number. */
static bool parse_suffix(struct text rest, struct semver *version)
{
    if (rest.count != 0 && rest.bytes[0] == '-') {
        size_t count = 1;
        while (count < rest.count && rest.bytes[count] != '+') {
            count++;
        }
        version->prerelease = (struct text){.bytes = rest.bytes + 1, .count = count - 1};
        rest = advanced(rest, count);
        if (!are_identifiers(version->prerelease, true)) {
            return false;
        }
    }
    return rest.count == 0 || (rest.bytes[0] == '+' && are_identifiers(advanced(rest, 1), false));
}

bool semver_parse(struct text text, struct semver *version)
{
    struct text rest = text.count != 0 && text.bytes[0] == 'v' ? advanced(text, 1) : text;

    *version = (struct semver){.numbers = {TEXT("0"), TEXT("0"), TEXT("0")}, .prerelease = TEXT("")};
    for (int i = 0; i < 3; i++) {
        if (!take_number(&rest, &version->numbers[i])) {
            return false;
        }
        if (rest.count == 0) {
            return true;
        }
        if (i < 2) {
            if (rest.bytes[0] != '.') {
                return false;
            }
            rest = advanced(rest, 1);
        }
    }
    return parse_suffix(rest, version);
}

static int order_of(struct text one, struct text other)
{
    size_t common = one.count < other.count ? one.count : other.count;
    int order = common == 0 ? 0 : memcmp(one.bytes, other.bytes, common);

    return order != 0 ? order : (one.count > other.count) - (one.count < other.count);
}

static int compare_numbers(struct text one, struct text other)
{
    return one.count != other.count ? (one.count > other.count ? 1 : -1) : order_of(one, other);
}

static int compare_identifiers(struct text one, struct text other)
{
    bool digits = all_digits(one);

    if (digits != all_digits(other)) {
        return digits ? -1 : 1;
    }
    return digits ? compare_numbers(one, other) : order_of(one, other);
}

static int compare_prereleases(struct text one, struct text other)
{
    if (one.count == 0 || other.count == 0) { /* a release is above its prereleases */
        return (one.count == 0) - (other.count == 0);
    }
    while (one.count != 0 && other.count != 0) {
        int order = compare_identifiers(next_identifier(&one), next_identifier(&other));
        if (order != 0) {
            return order;
        }
    }
    return (one.count != 0) - (other.count != 0);
}

static int compare_upto(const struct semver *one, const struct semver *other, int numbers)
{
    int order = 0;

    for (int i = 0; i < numbers && order == 0; i++) {
        order = compare_numbers(one->numbers[i], other->numbers[i]);
    }
    return order;
}

int semver_compare(const struct semver *one, const struct semver *other)
{
    int order = compare_upto(one, other, 3);

    return order != 0 ? order : compare_prereleases(one->prerelease, other->prerelease);
}

enum semver_operator semver_operator_of(struct text text)
{
    static const char *const names[] = {"=", "!=", "<", "<=", ">", ">=", "^", "~"};
    int i = 0;

    while (i < SEMVER_NO_OPERATOR && !text_equal(text, text_of(names[i]))) {
        i++;
    }
    return (enum semver_operator)i;
}

bool semver_holds(const struct semver *one, enum semver_operator operator, const struct semver * other)
{
    int order = semver_compare(one, other);

    switch (operator) {
    case SEMVER_EQUAL:
        return order == 0;
    case SEMVER_NOT_EQUAL:
        return order != 0;
    case SEMVER_LESS:
        return order < 0;
    case SEMVER_LESS_EQUAL:
        return order <= 0;
    case SEMVER_GREATER:
        return order > 0;
    case SEMVER_GREATER_EQUAL:
        return order >= 0;
    case SEMVER_SAME_MAJOR:
        return compare_upto(one, other, 1) == 0;
    case SEMVER_SAME_MINOR:
        return compare_upto(one, other, 2) == 0;
    default:
        return false;
    }
}
