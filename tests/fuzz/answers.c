#include "tests/fuzz/answers.h"

#include "server/json.h"
#include "server/problem.h"

#include <stdio.h>
#include <stdlib.h>

struct answer {
    const char *bytes; /* of the whole stream from here on */
    size_t count;
    unsigned status;
    bool has_length;
    bool closes;
    size_t length;
    struct text type;
    struct text request_id;
};

void answers_demand(bool holds, const char *what, const char *bytes, size_t count)
{
    if (!holds) {
        fprintf(stderr, "broken: %s\n", what);
        fwrite(bytes, 1, count < 4096 ? count : 4096, stderr);
        fputc('\n', stderr);
        abort();
    }
}

static void demand(const struct answer *answer, bool holds, const char *what)
{
    answers_demand(holds, what, answer->bytes, answer->count);
}

/* ---- the head ---- */

static struct text cut_line(const struct answer *answer, size_t *at)
{
    const char *line = answer->bytes + *at;
    const char *lf = memchr(line, '\n', answer->count - *at);
    demand(answer, lf != NULL, "an answer's head is cut short");
    demand(answer, lf > line && lf[-1] == '\r', "a line of the head ends in CR LF");
    *at = (size_t)(lf + 1 - answer->bytes);
    return (struct text){.bytes = line, .count = (size_t)(lf - 1 - line)};
}

static void read_status(struct answer *answer, struct text line)
{
    bool shaped = line.count >= 13 &&
                  (memcmp(line.bytes, "HTTP/1.1 ", 9) == 0 || memcmp(line.bytes, "HTTP/1.0 ", 9) == 0) &&
                  line.bytes[12] == ' ';
    demand(answer, shaped, "a status line");
    for (size_t i = 9; i < 12; i++) {
        demand(answer, line.bytes[i] >= '0' && line.bytes[i] <= '9', "a status of three digits");
        answer->status = answer->status * 10 + (unsigned)(line.bytes[i] - '0');
    }
    demand(answer, answer->status == 100 || (answer->status >= 200 && answer->status <= 599),
           "a status of 200..599");
}

static void read_length(struct answer *answer, struct text value)
{
    demand(answer, !answer->has_length && value.count > 0 && value.count < 10, "one Content-Length");
    answer->has_length = true;
    for (size_t i = 0; i < value.count; i++) {
        demand(answer, value.bytes[i] >= '0' && value.bytes[i] <= '9', "a Content-Length of digits");
        answer->length = answer->length * 10 + (size_t)(value.bytes[i] - '0');
    }
}

static bool is_token(struct text name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.count; i++) {
        char c = (char)text_lower((unsigned char)name.bytes[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            memchr(others, c, sizeof(others) - 1) == NULL) {
            return false;
        }
    }
    return name.count > 0;
}

static void read_field(struct answer *answer, struct text line)
{
    const char *colon = memchr(line.bytes, ':', line.count);
    demand(answer, colon != NULL, "a field has a colon");
    struct text name = {.bytes = line.bytes, .count = (size_t)(colon - line.bytes)};
    struct text value = {.bytes = colon + 1, .count = line.count - name.count - 1};
    while (value.count > 0 && value.bytes[0] == ' ') {
        value.bytes++;
        value.count--;
    }
    demand(answer, is_token(name), "a field's name is a token");
    for (size_t i = 0; i < value.count; i++) {
        unsigned char byte = (unsigned char)value.bytes[i];
        demand(answer, (byte >= 0x20 || byte == '\t') && byte != 0x7F,
               "a field's value has no control bytes");
    }
    demand(answer, !text_equal_nocase(name, TEXT("Transfer-Encoding")), "no Transfer-Encoding");
    if (text_equal_nocase(name, TEXT("Content-Length"))) {
        read_length(answer, value);
    } else if (text_equal_nocase(name, TEXT("Content-Type"))) {
        answer->type = value;
    } else if (text_equal_nocase(name, TEXT("X-Request-Id"))) {
        demand(answer, answer->request_id.bytes == NULL, "one X-Request-Id");
        answer->request_id = value;
    } else if (text_equal_nocase(name, TEXT("Connection"))) {
        answer->closes = text_equal_nocase(value, TEXT("close"));
    }
}

/* Returns: the length of the head. */
static size_t read_head(struct answer *answer)
{
    size_t at = 0;
    read_status(answer, cut_line(answer, &at));
    for (struct text line = cut_line(answer, &at); line.count > 0; line = cut_line(answer, &at)) {
        read_field(answer, line);
    }
    return at;
}

/* ---- the body ---- */

static struct text string_of(const struct answer *answer, const cJSON *body, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, name);
    demand(answer, cJSON_IsString(item), name);
    return json_string(item);
}

static void check_problem(const struct answer *answer, const cJSON *body)
{
    static const char prefix[] = PROBLEM_TYPE_PREFIX;
    demand(answer, cJSON_IsObject(body), "a problem is an object");
    struct text code = string_of(answer, body, "code");
    struct text type = string_of(answer, body, "type");
    struct text title = string_of(answer, body, "title");
    struct text id = string_of(answer, body, "request_id");
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(body, "errors");
    int64_t status = 0;
    enum problem_code known = problem_by_text(code);
    demand(answer, known != PROBLEM_NONE, "a problem's code is in the table");
    demand(answer, json_integer(cJSON_GetObjectItemCaseSensitive(body, "status"), &status),
           "a problem's status");
    demand(answer, status == answer->status && problem_status(known) == answer->status,
           "a problem's status is its code's and the answer's");
    demand(answer, text_equal(title, text_of(problem_title(known))), "a problem's title is its code's");
    demand(answer, string_of(answer, body, "detail").count > 0, "a problem's detail says something");
    demand(answer,
           type.count == sizeof(prefix) - 1 + code.count &&
               memcmp(type.bytes, prefix, sizeof(prefix) - 1) == 0,
           "a problem's type is the prefix and its code");
    demand(answer, text_equal(id, answer->request_id), "a problem's request_id is that of the field");
    demand(answer, known != PROBLEM_INVALID_REQUEST || cJSON_GetArraySize(errors) > 0,
           "an invalid request has errors");
    for (const cJSON *item = errors == NULL ? NULL : errors->child; item != NULL; item = item->next) {
        struct text pointer = string_of(answer, item, "pointer");
        demand(answer, pointer.count == 0 || pointer.bytes[0] == '/', "an error's pointer is one");
        demand(answer, string_of(answer, item, "detail").count > 0, "an error's detail says something");
    }
}

/* What the library refuses before a handler is called. */
static bool is_library_page(const struct answer *answer, struct text body)
{
    static const unsigned statuses[] = {400, 413, 414, 431, 505};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (answer->status == statuses[i]) {
            return answer->closes && answer->type.bytes == NULL && body.count >= 6 &&
                   memcmp(body.bytes, "<html>", 6) == 0;
        }
    }
    return false;
}

static void check_body(const struct answer *answer, struct text body)
{
    bool problem = text_equal(answer->type, TEXT(PROBLEM_MEDIA_TYPE));
    demand(answer, answer->status < 400 || problem || body.count == 0 || is_library_page(answer, body),
           "an error is a problem");
    demand(answer, !problem || answer->status >= 400, "a problem is an error");
    if (!problem && !text_equal(answer->type, TEXT("application/json"))) {
        return;
    }
    struct json_arena arena;
    struct json_error error;
    cJSON *root = NULL;
    json_arena_init(&arena, NULL, 0, (size_t)64 << 20);
    demand(answer, json_parse(&arena, body, &json_limits_default, &root, &error), "a JSON body is JSON");
    if (problem) {
        check_problem(answer, root);
    }
    json_arena_fini(&arena);
}

static bool begins_answer(struct text rest)
{
    return rest.count >= 7 && memcmp(rest.bytes, "HTTP/1.", 7) == 0;
}

/* Returns: how much of the stream this answer took. */
static size_t check_answer(struct answer *answer, bool head_asked)
{
    size_t at = read_head(answer);
    struct text rest = {.bytes = answer->bytes + at, .count = answer->count - at};
    if (answer->status == 100) {
        demand(answer, !answer->has_length, "100 has no length");
        return at;
    }
    if (answer->status == 204 || answer->status == 304) {
        demand(answer, answer->status == 304 || answer->length == 0, "204 has no length");
        return at;
    }
    demand(answer, answer->has_length, "an answer has a Content-Length");
    if (answer->closes && answer->type.bytes == NULL && rest.count >= at &&
        memcmp(rest.bytes, answer->bytes, at) == 0) {
        /* libmicrohttpd 0.9.75 sends the head of its own refusals twice. */
        rest = (struct text){.bytes = rest.bytes + at, .count = rest.count - at};
        at *= 2;
    }
    if (head_asked && (rest.count == 0 || begins_answer(rest))) {
        return at;
    }
    demand(answer, rest.count >= answer->length, "an answer's body is cut short");
    check_body(answer, (struct text){.bytes = rest.bytes, .count = answer->length});
    return at + answer->length;
}

size_t answers_check(const char *bytes, size_t count, bool head_asked)
{
    size_t answers = 0;
    for (size_t at = 0; at < count;) {
        struct answer answer = {.bytes = bytes + at, .count = count - at};
        at += check_answer(&answer, head_asked);
        answers += answer.status != 100;
        demand(&answer, !answer.closes || at == count, "nothing comes after an answer that closes");
    }
    return answers;
}
