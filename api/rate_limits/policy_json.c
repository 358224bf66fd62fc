#include "api/rate_limits/policy_json.h"

struct policy_body {
    struct text name;
    int algorithm;
    int64_t limit;
    const cJSON *refill;
    int64_t default_cost;
    int mode;
    int64_t expires_in_ms;
};

struct refill_body {
    int64_t amount;
    int64_t every_ms;
    int style;
};

static const char *const algorithms[] = {"token_bucket", NULL};
static const char *const styles[] = {"gradual", "interval", NULL}; /* in the order of enum rl_style */
static const char *const modes[] = {"enforce", "shadow", NULL};    /* in the order of enum rl_mode */

static const struct json_member policy_members[] = {
    JSON_MEMBER("name", JSON_TEXT, struct policy_body, name),
    JSON_MEMBER("algorithm", JSON_WORD, struct policy_body, algorithm, .words = algorithms),
    JSON_MEMBER("limit", JSON_INT, struct policy_body, limit, .required = true),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("refill", JSON_OBJECT, struct policy_body, refill, .required = true),
    JSON_MEMBER("default_cost", JSON_INT, struct policy_body, default_cost),
    JSON_MEMBER("mode", JSON_WORD, struct policy_body, mode, .words = modes),
};
static const struct json_shape policy_shape = JSON_SHAPE(policy_members);

static const struct json_member override_members[] = {
    JSON_MEMBER("limit", JSON_INT, struct policy_body, limit, .required = true),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("refill", JSON_OBJECT, struct policy_body, refill, .required = true),
    JSON_MEMBER("mode", JSON_WORD, struct policy_body, mode, .words = modes),
    JSON_MEMBER("expires_in_ms", JSON_INT, struct policy_body, expires_in_ms, .nullable = true, .min = 1,
                .max = RL_EXPIRES_IN_MS_MAX),
};
static const struct json_shape override_shape = JSON_SHAPE(override_members);

static const struct json_member refill_members[] = {
    JSON_MEMBER("amount", JSON_INT, struct refill_body, amount, .required = true),
    JSON_MEMBER("every_ms", JSON_INT, struct refill_body, every_ms, .required = true),
    JSON_MEMBER("style", JSON_WORD, struct refill_body, style, .words = styles),
};
static const struct json_shape refill_shape = JSON_SHAPE(refill_members);

/* Ranges of members that are there; what is missing or no integer has been told already. */
static void judge_ranges(const rl_policy_request *request, rl_policy *out, struct json_errors *errors)
{
    static const struct json_where refill = {.name = "refill"};
    unsigned faults = rl_policy_make(request, out);

    for (size_t i = 0; i < RL_POLICY_FAULTS; i++) {
        const rl_policy_fault_text *text = &rl_policy_fault_texts[i];
        const char *name = strrchr(text->pointer, '/') + 1;
        if ((faults & text->fault) != 0) {
            json_errors_add(errors, strncmp(text->pointer, "/refill/", 8) == 0 ? &refill : NULL, name, "%s",
                            text->detail);
        }
    }
}

static bool read_body(const cJSON *body, const struct json_shape *shape, struct policy_body *given,
                      rl_policy *out, struct json_errors *errors)
{
    static const struct json_where where = {.name = "refill"};
    struct refill_body refill = {.style = RL_GRADUAL};
    bool fits = json_read_object(body, NULL, shape, given, errors);

    if (given->refill != NULL) {
        fits = json_read_object(given->refill, &where, &refill_shape, &refill, errors) && fits;
    }
    if (fits) {
        rl_policy_request request = {.limit = given->limit,
                                     .amount = refill.amount,
                                     .every_ms = refill.every_ms,
                                     .default_cost = given->default_cost,
                                     .style = (enum rl_style)refill.style,
                                     .mode = (enum rl_mode)given->mode};
        judge_ranges(&request, out, errors);
    }
    return fits && errors->count == 0;
}

bool rl_policy_read(const cJSON *body, struct text name, rl_policy *out, struct json_errors *errors)
{
    struct policy_body given = {.default_cost = 1, .mode = RL_ENFORCE};
    bool fits = read_body(body, &policy_shape, &given, out, errors);

    if (!rl_policy_name_ok(name.bytes, name.count)) {
        json_errors_add(errors, NULL, "name", "must be 1 to %d of the characters A-Z a-z 0-9 . _ -",
                        RL_POLICY_NAME_MAX);
        return false;
    }
    if (given.name.bytes != NULL && !text_equal(given.name, name)) {
        json_errors_add(errors, NULL, "name", "is not the name in the path");
        return false;
    }
    return fits;
}

bool rl_override_read(const cJSON *body, enum rl_mode mode, rl_policy *out, int64_t *expires_in_ms,
                      struct json_errors *errors)
{
    struct policy_body given = {.default_cost = 1, .mode = (int)mode};
    bool fits = read_body(body, &override_shape, &given, out, errors);

    *expires_in_ms = given.expires_in_ms;
    return fits;
}

static void write_refill(struct json_out *out, const rl_policy *policy)
{
    json_out_key(out, "refill");
    json_out_open_object(out);
    json_out_member_int(out, "amount", policy->amount);
    json_out_member_int(out, "every_ms", (int64_t)policy->every_ms);
    json_out_member_string(out, "style", rl_style_name(policy->style));
    json_out_close_object(out);
}

void rl_policy_write(struct json_out *out, const rl_policy_entry *entry)
{
    json_out_open_object(out);
    json_out_member_string(out, "name", entry->name);
    json_out_member_string(out, "algorithm", algorithms[0]);
    json_out_member_int(out, "limit", entry->policy.limit);
    write_refill(out, &entry->policy);
    json_out_member_int(out, "default_cost", entry->policy.default_cost);
    json_out_member_string(out, "mode", rl_mode_name(entry->policy.mode));
    json_out_close_object(out);
}

void rl_override_write(struct json_out *out, struct text policy, const rl_override_row *row)
{
    json_out_open_object(out);
    json_out_member_text(out, "policy", policy);
    json_out_member_text(out, "key", (struct text){.bytes = row->name.key, .count = row->name.key_bytes});
    json_out_member_int(out, "limit", row->policy.limit);
    write_refill(out, &row->policy);
    json_out_member_string(out, "mode", rl_mode_name(row->policy.mode));
    if (row->expires_at_ms == RL_NEVER) {
        json_out_member_null(out, "expires_at");
    } else {
        json_out_member_time(out, "expires_at", row->expires_at_ms);
    }
    json_out_close_object(out);
}
