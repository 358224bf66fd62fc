/* policy: the numbers of a rate limit, and which of them may be.
 *
 * Purpose: turn integers that somebody asked for into a policy value that is known to be sound, or say which
 * member is wrong, with the JSON pointer and the sentence an answer needs. Reading JSON is not done here.
 *
 * Invariants
 *  P1  a policy written by rl_policy_make() is inside every range below; nothing else checks them again.
 *  P2  all faults are found in one pass, so a person mends a body once.
 *
 * Life cycle: a plain value; copy it, compare it, throw it away.
 * Limits: limit 0..2^31-1, amount 1..2^31-1, every_ms 1..31622400000 (366 days), default_cost 1..max(1, limit),
 * name 1..64 bytes of [A-Za-z0-9._-].
 */
#ifndef API_RATE_LIMITS_POLICY_H
#define API_RATE_LIMITS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RL_LIMIT_MAX       INT64_C(2147483647)
#define RL_AMOUNT_MAX      INT64_C(2147483647)
#define RL_EVERY_MS_MAX    INT64_C(31622400000)
#define RL_POLICY_NAME_MAX 64
#define RL_KEY_BYTES_MAX   256

enum rl_style {
    RL_GRADUAL, /* continuous, exact to the nanosecond */
    RL_INTERVAL /* `amount` at once at every multiple of `every_ms` since service start */
};

enum rl_mode {
    RL_ENFORCE,
    RL_SHADOW /* decides and counts, always admits; what it would have denied takes nothing */
};

/** What was asked for, before anything is known about it. */
typedef struct rl_policy_request {
    int64_t limit;
    int64_t amount;
    int64_t every_ms;
    int64_t default_cost;
    enum rl_style style;
    enum rl_mode mode;
} rl_policy_request;

typedef struct rl_policy {
    uint32_t limit;
    uint32_t amount;
    uint64_t every_ms;
    uint32_t default_cost;
    enum rl_style style;
    enum rl_mode mode;
} rl_policy;

/* One bit for each member that can be out of range. */
enum rl_policy_fault {
    RL_FAULT_LIMIT = 1 << 0,
    RL_FAULT_AMOUNT = 1 << 1,
    RL_FAULT_EVERY_MS = 1 << 2,
    RL_FAULT_DEFAULT_COST = 1 << 3
};

typedef struct rl_policy_fault_text {
    enum rl_policy_fault fault;
    const char *pointer; /* JSON pointer into the policy's body */
    const char *detail;
} rl_policy_fault_text;

#define RL_POLICY_FAULTS 4
extern const rl_policy_fault_text rl_policy_fault_texts[RL_POLICY_FAULTS];

/** The policy every service starts with: 100 tokens, 10 a second, gradual, enforced. */
rl_policy rl_policy_default(void);

/** Checks all ranges and makes the policy.
 *  Returns: 0, or the set of enum rl_policy_fault bits; *out is written only when it is 0. */
unsigned rl_policy_make(const rl_policy_request *request, rl_policy *out);

/** Tells whether two policies are the same in every member (an identical PUT changes nothing). */
bool rl_policy_same(const rl_policy *one, const rl_policy *other);

/** Tells whether `name` (not terminated, `length` bytes) may name a policy. */
bool rl_policy_name_ok(const char *name, size_t length);

/** The words of the contract, and back. The parsers answer false for an unknown word and leave *out alone. */
const char *rl_style_name(enum rl_style style);
const char *rl_mode_name(enum rl_mode mode);
bool rl_style_parse(const char *word, enum rl_style *out);
bool rl_mode_parse(const char *word, enum rl_mode *out);

#endif
