/* semver: comparing versions as flagd's `sem_ver` does.
 *
 * 1. A version is MAJOR[.MINOR[.PATCH[-PRERELEASE][+BUILD]]] with or without a "v" in front; what is left out is 0. Build
 *    metadata says nothing about order.
 * 2. Numbers have any length: they are compared as digits.
 * No state, no allocation.   Source: Semantic Versioning 2.0.0; the short forms are those of golang.org/x/mod/semver.
 */
#ifndef API_FLAGS_SEMVER_H
#define API_FLAGS_SEMVER_H

#include "server/text.h"

struct semver {
    struct text numbers[3];
    struct text prerelease; /* empty: a release */
};

/** Errors: false for a text that is no version. Borrows: the text. */
bool semver_parse(struct text text, struct semver *version);

/** Less than, equal to or greater than 0. */
int semver_compare(const struct semver *one, const struct semver *other);

enum semver_operator {
    SEMVER_EQUAL,
    SEMVER_NOT_EQUAL,
    SEMVER_LESS,
    SEMVER_LESS_EQUAL,
    SEMVER_GREATER,
    SEMVER_GREATER_EQUAL,
    SEMVER_SAME_MAJOR,
    SEMVER_SAME_MINOR,
    SEMVER_NO_OPERATOR
};

/** "=", "!=", "<", "<=", ">", ">=", "^", "~"; SEMVER_NO_OPERATOR for any other text. */
enum semver_operator semver_operator_of(struct text text);

bool semver_holds(const struct semver *one, enum semver_operator operator, const struct semver * other);

#endif
