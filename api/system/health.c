/* Is it alive, and can it be given work? */
#include "api/system/system_impl.h"

void system_healthz(struct http_request *request)
{
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_member_string(out, "status", "ok");
    json_out_close_object(out);
    http_answer_header(request, "Cache-Control", TEXT("no-store"));
    http_answer_json(request, 200);
}

struct checked {
    bool ok;
    char detail[SYSTEM_CHECK_DETAIL_BYTES];
};

static void write_check(struct json_out *out, const struct system_check *check, const struct checked *checked)
{
    json_out_open_object(out);
    json_out_member_string(out, "name", check->name);
    json_out_member_bool(out, "ok", checked->ok);
    json_out_member_string(out, "detail", checked->detail);
    json_out_close_object(out);
}

void system_readyz(struct http_request *request)
{
    const struct system_context *context = system_context_get();
    struct checked checked[SYSTEM_CHECKS_MAX];
    bool ok = true;
    for (size_t i = 0; i < context->check_count; i++) {
        checked[i].detail[0] = '\0';
        checked[i].ok =
            context->checks[i].ok(context->checks[i].ctx, checked[i].detail, sizeof(checked[i].detail));
        ok = ok && checked[i].ok;
    }
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_member_string(out, "status", ok ? "ok" : "unavailable");
    json_out_key(out, "checks");
    json_out_open_array(out);
    for (size_t i = 0; i < context->check_count; i++) {
        write_check(out, &context->checks[i], &checked[i]);
    }
    json_out_close_array(out);
    json_out_close_object(out);
    http_answer_header(request, "Cache-Control", TEXT("no-store"));
    http_answer_json(request, ok ? 200 : 503);
}
