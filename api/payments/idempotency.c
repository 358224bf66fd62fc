#include "api/payments/idempotency.h"

#include "api/payments/answers.h"
#include "api/payments/payment_routes.h"
#include "api/payments/service.h"
#include "server/digest.h"

#include <string.h>

/* ---- the field ---- */

/* Takes the text out of an RFC 8941 string; a bare one is its own. Returns: false when the quotes do not match. */
static bool unquote(struct text field, char out[IDEMPOTENCY_KEY_MAX + 1], size_t *count)
{
    *count = 0;
    bool quoted = field.count > 0 && field.bytes[0] == '"';
    if (quoted && (field.count < 2 || field.bytes[field.count - 1] != '"')) {
        return false;
    }
    size_t end = quoted ? field.count - 1 : field.count;
    for (size_t i = quoted; i < end; i++) {
        char byte = field.bytes[i];
        if (quoted && byte == '\\') {
            if (++i >= end || (field.bytes[i] != '"' && field.bytes[i] != '\\')) {
                return false;
            }
            byte = field.bytes[i];
        } else if (quoted && byte == '"') {
            return false;
        }
        if (*count == IDEMPOTENCY_KEY_MAX || (unsigned char)byte < 0x20 || byte == 0x7f) {
            return false;
        }
        out[(*count)++] = byte;
    }
    out[*count] = 0;
    return *count > 0;
}

static void hash(struct http_request *request, struct idempotency_key *key)
{
    struct text token = http_request_header(request, HTTP_FIELD_AUTHORIZATION);
    struct text body = http_request_body(request);
    struct text path = text_of(http_request_route(request)->pattern);
    struct text subject = strchr(path.bytes, '{') != NULL ? http_request_param(request, 0) : TEXT("");
    struct text method = text_of(http_method_text(http_request_method(request)));
    token = token.bytes == NULL ? TEXT("") : token;
    body = body.bytes == NULL ? TEXT("") : body;
    struct sha256 scope = digest_sha256(&token, 1);
    struct sha256 fingerprint =
        digest_sha256((struct text[]){method, TEXT(" "), path, TEXT(" "), subject, TEXT("\n"), body}, 7);
    memcpy(key->scope, scope.bytes, sizeof(key->scope));
    memcpy(key->fingerprint, fingerprint.bytes, sizeof(key->fingerprint));
}

bool idempotency_read(struct http_request *request, struct idempotency_key *key)
{
    struct text field = http_request_header(request, HTTP_FIELD_IDEMPOTENCY_KEY);
    size_t count;
    *key = (struct idempotency_key){.key = ""};
    if (field.bytes == NULL) {
        return true;
    }
    if (!unquote(field, key->key, &count)) {
        http_answer_problem(request, PROBLEM_BAD_REQUEST,
                            "Idempotency-Key has to be 1 to %d visible bytes, bare or in quotes",
                            IDEMPOTENCY_KEY_MAX);
        return false;
    }
    hash(request, key);
    return true;
}

/* ---- what is known ---- */

static void replay(struct http_request *request, const struct stored_answer *stored,
                   const struct store_found *body)
{
    metric_count(payments.metrics.replays, 1);
    http_answer_header(request, "Idempotent-Replayed", TEXT("true"));
    payment_answer_send(request, stored->status, stored->version,
                        (struct text){.bytes = body->bytes, .count = body->count});
}

static void refuse(struct http_request *request, enum payment_outcome outcome)
{
    char request_id[PAYMENT_REQUEST_ID_MAX + 1];
    payment_request_id(request, request_id);
    tr_msg *answer = append_answer(NULL, outcome, "", request_id);
    payment_answer_forward(request, answer);
    tr_msg_drop(answer);
}

enum key_state idempotency_look(struct http_request *request, const struct idempotency_key *key)
{
    struct stored_answer stored = {0};
    struct store_found body = {0};
    struct store_read read = {.fn = records_answer,
                              .arg = key,
                              .arg_bytes = sizeof(*key),
                              .result = &stored,
                              .result_bytes = sizeof(stored),
                              .timeout_ms = PAYMENTS_READ_TIMEOUT_MS};
    if (key->key[0] == 0) {
        return KEY_NEW;
    }
    if (store_read_rows(&read, &body) != STORE_OK) {
        refuse(request, OUTCOME_UNAVAILABLE);
        return KEY_ANSWERED;
    }
    if (stored.found && !stored.same) {
        refuse(request, OUTCOME_KEY_REUSED);
    } else if (stored.found && stored.running) {
        refuse(request, OUTCOME_KEY_IN_USE);
    } else if (stored.found) {
        replay(request, &stored, &body);
    }
    tr_msg_drop(body.reply);
    return stored.found ? KEY_ANSWERED : KEY_NEW;
}
