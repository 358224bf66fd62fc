#include "api/payments/answers.h"

#include "api/payments/payment_json.h"
#include "server/problem.h"

#define PAYMENT_OUTCOME_KEPT(name, kept) [OUTCOME_##name] = (kept),
static const bool kept_outcomes[] = {PAYMENT_OUTCOMES(PAYMENT_OUTCOME_KEPT)};
#undef PAYMENT_OUTCOME_KEPT

struct refusal {
    enum problem_code code;
    const char *detail;
    unsigned retry_after_s;
};

static const struct refusal refusals[PAYMENT_OUTCOMES_COUNT] = {
    [OUTCOME_CARD_DECLINED] = {PROBLEM_CARD_DECLINED, "the card was declined; the payment stays as it was",
                               0},
    [OUTCOME_GATEWAY_DECLINED] = {PROBLEM_GATEWAY_DECLINED,
                                  "the gateway refused the operation; the payment stays as it was", 0},
    [OUTCOME_INVALID_EVENT] = {PROBLEM_INVALID_EVENT, "this cannot be done to the payment in its state", 0},
    [OUTCOME_TERMINAL_STATE] = {PROBLEM_TERMINAL_STATE,
                                "the payment has reached a state in which this is over", 0},
    [OUTCOME_INVALID_AMOUNT] = {PROBLEM_INVALID_AMOUNT, "the amount is not one that can be given back", 0},
    [OUTCOME_IN_PROGRESS] = {PROBLEM_OPERATION_IN_PROGRESS,
                             "another operation of this payment is open; nothing was done", 1},
    [OUTCOME_VERSION_CONFLICT] = {PROBLEM_VERSION_CONFLICT, "the payment has changed in the meantime", 0},
    [OUTCOME_KEY_IN_USE] = {PROBLEM_IDEMPOTENCY_KEY_IN_USE,
                            "the request with this key has not been answered yet", 1},
    [OUTCOME_KEY_REUSED] = {PROBLEM_IDEMPOTENCY_KEY_REUSED, "another request was sent with this key", 0},
    [OUTCOME_GATEWAY_UNAVAILABLE] = {PROBLEM_GATEWAY_UNAVAILABLE,
                                     "the gateway could not be asked; nothing was moved, and nothing will be",
                                     1},
    [OUTCOME_STORAGE_FULL] = {PROBLEM_STORAGE_FULL, "the disk is full; nothing was changed", 0},
    [OUTCOME_UNAVAILABLE] = {PROBLEM_UNAVAILABLE,
                             "the payment could not be changed; read it to see what holds", 1},
    [OUTCOME_ASK_AGAIN] = {PROBLEM_UNAVAILABLE, "the payment could not be changed; read it to see what holds",
                           1},
};

bool answer_is_kept(enum payment_outcome outcome)
{
    return kept_outcomes[outcome];
}

unsigned answer_retry_after_s(enum payment_outcome outcome)
{
    return refusals[outcome].retry_after_s;
}

/* The members that some problems have besides the usual ones. */
static void write_members(struct json_out *out, enum payment_outcome outcome, const struct payment *payment,
                          const char *code)
{
    if (outcome == OUTCOME_CARD_DECLINED || outcome == OUTCOME_GATEWAY_DECLINED) {
        json_out_member_string(out, "decline_code", code);
    }
    if (payment != NULL) {
        json_out_member_string(out, "state", payment_state_text(payment->state));
    }
}

unsigned answer_write(struct json_out *out, enum payment_outcome outcome, const struct payment *payment,
                      const char *code, const char *request_id)
{
    if (outcome == OUTCOME_DONE || outcome == OUTCOME_CREATED || outcome == OUTCOME_ACCEPTED) {
        payment_write(out, payment);
        return outcome == OUTCOME_DONE ? 200 : outcome == OUTCOME_CREATED ? 201 : 202;
    }
    const struct refusal *refusal = &refusals[outcome];
    struct json_errors errors;
    struct problem problem = {
        .code = refusal->code, .detail = text_of(refusal->detail), .request_id = text_of(request_id)};
    if (outcome == OUTCOME_INVALID_AMOUNT) {
        json_errors_init(&errors);
        json_errors_add(&errors, NULL, "amount", "has to be 1 to %lld",
                        payment == NULL ? 0 : (long long)payment_refundable(payment));
        problem.errors = &errors;
    }
    problem_begin(out, &problem);
    write_members(out, outcome, payment, code);
    problem_end(out);
    return problem_status(refusal->code);
}
