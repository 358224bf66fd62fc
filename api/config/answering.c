#include "api/config/answering.h"

config_entry config_entry_of(const config_row *row)
{
    config_parts parts = config_row_parts(row);

    return (config_entry){.key = parts.key,
                          .value = config_parts_value(&parts),
                          .version = parts.version,
                          .revision = parts.revision,
                          .source = config_parts_source(&parts),
                          .secret = config_parts_secret(&parts),
                          .at_ms = parts.at_ms};
}

void config_entry_write(struct json_out *out, const config_entry *entry, bool reveal)
{
    bool gone = entry->value.bytes == NULL;

    json_out_open_object(out);
    json_out_member_text(out, "key", entry->key);
    json_out_key(out, "value");
    if (gone || (entry->secret && !reveal)) {
        json_out_null(out);
    } else {
        json_out_raw(out, entry->value);
    }
    json_out_key(out, "version");
    json_out_uint(out, entry->version);
    json_out_key(out, "revision");
    json_out_uint(out, entry->revision);
    json_out_key(out, "source");
    if (gone) {
        json_out_null(out);
        json_out_member_bool(out, "deleted", true);
    } else {
        json_out_text_value(out, text_of(config_source_text(entry->source)));
    }
    json_out_member_bool(out, "secret", entry->secret);
    json_out_member_time(out, "updated_at", entry->at_ms);
    json_out_close_object(out);
}

bool config_query_bool(struct http_request *request, const char *name, bool absent, bool *value)
{
    struct text given = http_request_query(request, name);
    struct json_errors errors;

    *value = given.bytes == NULL ? absent : text_equal(given, TEXT("true"));
    if (given.bytes == NULL || *value || text_equal(given, TEXT("false"))) {
        return true;
    }
    json_errors_init(&errors);
    json_errors_add_query(&errors, text_of(name), "must be true or false");
    http_answer_errors(request, &errors);
    return false;
}

bool config_reveal(struct http_request *request, bool *reveal)
{
    if (!config_query_bool(request, "reveal", false, reveal)) {
        return false;
    }
    if (*reveal && http_request_principal(request) != HTTP_ADMIN) {
        *reveal = false;
        http_answer_problem(request, PROBLEM_FORBIDDEN, "only an admin may ask for the values of secrets");
        return false;
    }
    return true;
}

bool config_path_key(struct http_request *request, struct text *key)
{
    struct json_errors errors;

    *key = http_request_param(request, 0);
    if (config_key_ok(*key, (size_t)config_service.settings->max_config_key_bytes)) {
        return true;
    }
    json_errors_init(&errors);
    json_errors_add(&errors, NULL, "key", "must be 1 to %lld letters, digits and . _ : / -",
                    (long long)config_service.settings->max_config_key_bytes);
    http_answer_errors(request, &errors);
    return false;
}

uint64_t config_version_now(struct text key)
{
    const config_view *view = TR_SNAPSHOT_GET(&config_now, config_view);
    const config_row *row = view == NULL ? NULL : config_image_find(config_view_image(view), key);
    uint64_t version = row == NULL ? 0 : row->version;

    tr_snapshot_release(view);
    return version;
}

void config_answer_no_key(struct http_request *request, struct text key)
{
    http_answer_problem(request, PROBLEM_CONFIG_KEY_NOT_FOUND, "there is no key \"%.*s\"", (int)key.count,
                        key.bytes);
}

static void answer_limit(struct http_request *request, const char *what)
{
    struct json_errors errors;

    json_errors_init(&errors);
    json_errors_add(&errors, NULL, NULL, "%s", what);
    http_answer_errors(request, &errors);
}

void config_answer_failure(struct http_request *request, enum config_outcome outcome)
{
    switch (outcome) {
    case CONFIG_CONFLICT:
        http_answer_problem(request, PROBLEM_VERSION_CONFLICT, "it was changed in the meantime");
        break;
    case CONFIG_NO_SUCH_VERSION:
        http_answer_problem(request, PROBLEM_CONFIG_VERSION_NOT_FOUND,
                            "the history of this key has no such version");
        break;
    case CONFIG_WAS_GONE:
        answer_limit(request, "the key was not there at that version: delete it instead");
        break;
    case CONFIG_UNFIT:
        answer_limit(request, "the setting of the service does not take this value");
        break;
    case CONFIG_TOO_MANY_KEYS:
        answer_limit(request, "there would be more keys than max_config_keys allows");
        break;
    case CONFIG_TOO_LARGE:
        answer_limit(request, "all keys and values together would be too large");
        break;
    case CONFIG_STORAGE_FULL:
        http_answer_problem(request, PROBLEM_STORAGE_FULL, "the disk is full; nothing was changed");
        break;
    default:
        http_answer_header(request, "Retry-After", TEXT("1"));
        http_answer_problem(request, PROBLEM_UNAVAILABLE, "the change could not be stored");
        break;
    }
}
