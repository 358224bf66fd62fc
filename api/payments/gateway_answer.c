#include "api/payments/gateway_answer.h"

#include "server/json.h"
#include "server/json_shape.h"

#define ARENA_BYTES     2048
#define ARENA_BYTES_MAX 65536

struct answer {
    struct text id, currency, decline_code, reference;
    int64_t amount;
    int status;
};

static const char *const statuses[] = {"applied", "declined", "void", "pending", NULL};
enum { APPLIED, DECLINED, VOID, PENDING };

/* Members the protocol does not know are the gateway's own business, so this is read by name and not by a strict shape. */
static bool text_member(const cJSON *body, const char *name, struct text *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, name);
    if (item == NULL || cJSON_IsNull(item)) {
        *out = TEXT("");
        return true;
    }
    *out = json_string(item);
    return cJSON_IsString(item);
}

static int status_of(struct text word)
{
    for (int i = 0; statuses[i] != NULL; i++) {
        if (text_equal(word, text_of(statuses[i]))) {
            return i;
        }
    }
    return -1;
}

static bool read_answer(const cJSON *body, struct answer *answer)
{
    struct text status;
    *answer = (struct answer){0};
    if (!cJSON_IsObject(body) || !text_member(body, "id", &answer->id) ||
        !text_member(body, "status", &status) || !text_member(body, "currency", &answer->currency) ||
        !text_member(body, "decline_code", &answer->decline_code) ||
        !text_member(body, "reference", &answer->reference)) {
        return false;
    }
    answer->status = status_of(status);
    if (answer->status != APPLIED) {
        return answer->status >= 0;
    }
    const cJSON *amount = cJSON_GetObjectItemCaseSensitive(body, "amount");
    return amount != NULL && json_integer(amount, &answer->amount) &&
           answer->currency.count == CURRENCY_BYTES - 1; /* cut to size, another one would look like ours */
}

static void copy(char *out, size_t bytes, struct text text)
{
    size_t count = text.count < bytes ? text.count : bytes - 1;
    memcpy(out, text.bytes, count);
    out[count] = 0;
}

static void fill(const struct answer *answer, struct gateway_outcome *out)
{
    *out = (struct gateway_outcome){.result = GATEWAY_UNKNOWN};
    switch (answer->status) {
    case APPLIED:
        out->result = GATEWAY_APPLIED;
        out->amount = answer->amount;
        copy(out->currency, sizeof(out->currency), answer->currency);
        copy(out->reference, sizeof(out->reference), answer->reference);
        break;
    case DECLINED:
        out->result = GATEWAY_DECLINED;
        copy(out->decline_code, sizeof(out->decline_code),
             answer->decline_code.count > 0 ? answer->decline_code : TEXT("declined"));
        break;
    case VOID:
        out->result = GATEWAY_NEVER;
        copy(out->detail, sizeof(out->detail), TEXT("not_applied"));
        break;
    default:
        copy(out->detail, sizeof(out->detail), TEXT("pending"));
        break;
    }
}

void gateway_answer_read(struct text body, const struct gateway_operation *operation,
                         struct gateway_outcome *out)
{
    uint64_t buffer[ARENA_BYTES / sizeof(uint64_t)];
    struct json_arena arena;
    struct json_error error;
    struct answer answer;
    cJSON *root = NULL;
    json_arena_init(&arena, buffer, sizeof(buffer), ARENA_BYTES_MAX);
    *out = (struct gateway_outcome){.result = GATEWAY_UNKNOWN, .detail = "bad_answer"};
    if (json_parse(&arena, body, &json_limits_default, &root, &error) && read_answer(root, &answer) &&
        text_equal(answer.id, text_of(operation->id))) {
        fill(&answer, out);
    }
    json_arena_fini(&arena);
}
