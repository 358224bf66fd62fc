/* The service about itself: an index of links, its version, its metrics, its description. */
#include "api/system/openapi.h"
#include "api/system/system_impl.h"
#include "server/metrics.h"
#include "server/version.h"

struct link {
    const char *rel;
    const char *href;
    const char *title;
};

void system_index(struct http_request *request)
{
    static const struct link links[] = {
        {"self", "/", "This index"},
        {"health", "/healthz", "Whether the process lives"},
        {"readiness", "/readyz", "Whether it can be given work"},
        {"service-desc", "/openapi.json", "The API's description (OpenAPI 3.1)"},
        {"service-desc-yaml", "/openapi.yaml", "The same as YAML"},
        {"metrics", "/metrics", "Metrics for Prometheus"},
        {"version", "/version", "Which version runs"},
        {"rate-limits", "/v1/rate-limits", "Rate limits: policies, overrides, checks"},
        {"payments", "/v1/payments", "Payments: a state machine each"},
        {"webhooks", "/v1/webhooks", "Webhooks: who is told of events"},
        {"processes", "/v1/processes", "The processes of the runtime"},
        {"supervisors", "/v1/supervisors", "The supervision tree"},
    };
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_member_string(out, "name", "troupe");
    json_out_member_string(out, "version", version_number());
    json_out_key(out, "links");
    json_out_open_array(out);
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        json_out_open_object(out);
        json_out_member_string(out, "rel", links[i].rel);
        json_out_member_string(out, "href", links[i].href);
        json_out_member_string(out, "title", links[i].title);
        json_out_close_object(out);
    }
    json_out_close_array(out);
    json_out_close_object(out);
    http_answer_json(request, 200);
}

void system_version(struct http_request *request)
{
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_member_string(out, "name", "troupe");
    json_out_member_string(out, "version", version_number());
    json_out_member_string(out, "commit", version_commit());
    json_out_close_object(out);
    http_answer_json(request, 200);
}

void system_metrics(struct http_request *request)
{
    size_t bytes = 0;
    char *text = metrics_text(&bytes);
    if (text == NULL) {
        http_answer_header(request, "Retry-After", TEXT("1"));
        http_answer_problem(request, PROBLEM_OVERLOADED, "no memory to show the metrics");
        return;
    }
    http_answer_take(request, 200, METRICS_CONTENT_TYPE, text, bytes);
}

void system_openapi_yaml(struct http_request *request)
{
    http_answer_bytes(request, 200, "application/yaml",
                      (struct text){.bytes = (const char *)openapi_yaml, .count = openapi_yaml_bytes});
}

void system_openapi_json(struct http_request *request)
{
    http_answer_bytes(request, 200, "application/json",
                      (struct text){.bytes = (const char *)openapi_json, .count = openapi_json_bytes});
}
