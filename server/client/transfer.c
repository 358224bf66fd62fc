/* One exchange: what was asked, copied; what libcurl is told; what came of it. */
#include "server/client/transfer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/client/private_address.h"
#include "server/http/bytes.h"
#include "server/text.h"

#define RESPONSE_MAX_BYTES ((size_t)1 << 20)
#define HEAD_MAX_BYTES     ((size_t)1 << 16)
#define FIRST_ROOM_BYTES   4096
#define METHOD_BYTES_MAX   16
#define FIELD_BYTES_MAX    8192
#define TIMEOUT_MAX_MS     ((int64_t)86400000)
#define IDLE_MAX_S         10L /* of a kept connection: less than what common servers grant */

/* ---- the copy ---- */

static bool is_token(const char *text, size_t bytes_max)
{
    size_t count = text == NULL ? 0 : strnlen(text, bytes_max + 1);
    return count != 0 && count <= bytes_max && bytes_are_visible(text, count) &&
           strpbrk(text, "()<>@,;:\\\"/[]?={}") == NULL;
}

static bool is_value(const char *text)
{
    size_t count = text == NULL ? SIZE_MAX : strnlen(text, FIELD_BYTES_MAX + 1);
    return count <= FIELD_BYTES_MAX && bytes_are_field_value(text, count);
}

static bool is_sendable(const struct http_call *call)
{
    if (call->url == NULL || call->timeout_ms < 1 || call->connect_timeout_ms < 0 ||
        call->header_count > HTTP_CLIENT_HEADERS_MAX || (call->body == NULL && call->body_bytes != 0) ||
        (call->method != NULL && !is_token(call->method, METHOD_BYTES_MAX)) ||
        (call->unix_path != NULL && !call->private_allowed)) {
        return false;
    }
    for (size_t i = 0; i < call->header_count; i++) {
        if (!is_token(call->headers[i].name, FIELD_BYTES_MAX) || !is_value(call->headers[i].value)) {
            return false;
        }
    }
    return true;
}

/* Memory behind the struct, given out piece by piece. */
struct shelf {
    char *at;
};

static const char *keep(struct shelf *shelf, const void *bytes, size_t count)
{
    char *copy = shelf->at;
    memcpy(copy, bytes, count);
    copy[count] = '\0';
    shelf->at += count + 1;
    return copy;
}

static const char *keep_text(struct shelf *shelf, const char *text)
{
    return text == NULL ? NULL : keep(shelf, text, strlen(text));
}

static size_t room_of(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

/* libcurl adds fields of its own: a Content-Type nobody named, and an Expect that costs a second. */
static const char *const unwanted[] = {"Content-Type", "Expect"};
#define UNWANTED_COUNT (sizeof(unwanted) / sizeof(unwanted[0]))

static bool names(const struct http_call *call, const char *name)
{
    for (size_t i = 0; i < call->header_count; i++) {
        if (text_equal_nocase(text_of(call->headers[i].name), text_of(name))) {
            return true;
        }
    }
    return false;
}

static const char *keep_field(struct shelf *shelf, const char *name, const char *value)
{
    char *field = shelf->at;
    bool empty =
        value[0] == '\0'; /* libcurl sends "Name;" as an empty field, and takes "Name:" for "do not send" */
    shelf->at += sprintf(field, empty ? "%s;" : "%s: %s", name, value) + 1;
    return field;
}

static size_t fields_bytes(const struct http_call *call)
{
    size_t bytes = UNWANTED_COUNT * (sizeof(struct curl_slist) + 16);
    for (size_t i = 0; i < call->header_count; i++) {
        bytes +=
            sizeof(struct curl_slist) + room_of(call->headers[i].name) + room_of(call->headers[i].value) + 2;
    }
    return bytes;
}

static void list_add(struct transfer *transfer, struct curl_slist *link, const char *text)
{
    *link = (struct curl_slist){.data = (char *)(uintptr_t)text, .next = transfer->fields};
    transfer->fields = link;
}

static void copy_fields(struct transfer *transfer, const struct http_call *call, struct curl_slist *links,
                        struct shelf *shelf)
{
    for (size_t i = 0; i < UNWANTED_COUNT; i++) {
        if (!names(call, unwanted[i])) {
            char *text = shelf->at;
            shelf->at += sprintf(text, "%s:", unwanted[i]) + 1;
            list_add(transfer, links++, text);
        }
    }
    for (size_t i = call->header_count; i-- > 0;) { /* a stack: the first goes on last */
        list_add(transfer, links++, keep_field(shelf, call->headers[i].name, call->headers[i].value));
    }
}

static bool is_repeatable(const struct http_call *call)
{
    static const char *const idempotent[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
    for (size_t i = 0; call->method != NULL && i < sizeof(idempotent) / sizeof(idempotent[0]); i++) {
        if (strcmp(call->method, idempotent[i]) == 0) {
            return true;
        }
    }
    return call->method == NULL || call->repeatable;
}

static void process_ended(tr_resource *resource)
{
    client_core_cancel((struct transfer *)(void *)((char *)resource - offsetof(struct transfer, resource)));
}

tr_err transfer_create(const struct http_call *call, struct client_core *core, struct transfer **transfer)
{
    if (!is_sendable(call)) {
        return TR_E_BADARG;
    }
    size_t bytes = sizeof(struct transfer) + fields_bytes(call) + room_of(call->method) + room_of(call->url) +
                   room_of(call->unix_path) + call->body_bytes + 1;
    struct transfer *made = calloc(1, bytes);
    if (made == NULL) {
        return TR_E_NOMEM;
    }
    struct curl_slist *links = (struct curl_slist *)(void *)(made + 1);
    struct shelf shelf = {(char *)(links + call->header_count + UNWANTED_COUNT)};
    made->resource.destroy = process_ended;
    made->holders = 2;
    made->core = core;
    made->method = call->method == NULL ? "GET" : keep_text(&shelf, call->method);
    made->url = keep_text(&shelf, call->url);
    made->unix_path = keep_text(&shelf, call->unix_path);
    made->body = call->body == NULL ? NULL : keep(&shelf, call->body, call->body_bytes);
    made->body_bytes = call->body_bytes;
    copy_fields(made, call, links, &shelf);
    made->response_max_bytes = call->response_max_bytes == 0 ? RESPONSE_MAX_BYTES : call->response_max_bytes;
    made->timeout_ms = call->timeout_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : call->timeout_ms;
    made->connect_timeout_ms = call->connect_timeout_ms == 0 || call->connect_timeout_ms > made->timeout_ms
                                   ? made->timeout_ms
                                   : call->connect_timeout_ms;
    made->private_allowed = call->private_allowed;
    made->repeatable = is_repeatable(call);
    made->reply.retry_after_ms = -1;
    *transfer = made;
    return TR_OK;
}

void transfer_drop(struct transfer *transfer)
{
    /* acq_rel: the other side's last writes come before the memory is used again */
    if (__atomic_sub_fetch(&transfer->holders, 1, __ATOMIC_ACQ_REL) == 0) {
        free(transfer->bytes);
        free(transfer);
    }
}

/* ---- what libcurl calls, on the core's thread ---- */

/* Makes room for more bytes, at most for as many as are wanted. */
static bool reserve(struct transfer *transfer, size_t more)
{
    size_t needed = transfer->count + more;
    if (needed <= transfer->room) {
        return true;
    }
    size_t room = transfer->room == 0 ? FIRST_ROOM_BYTES : transfer->room * 2;
    curl_off_t announced = -1;
    if (transfer->room == 0) {
        curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
        room = announced > 0 ? (size_t)announced : room;
    }
    room = room < needed ? needed : room;
    room = room > transfer->response_max_bytes ? transfer->response_max_bytes : room;
    char *bytes = realloc(transfer->bytes, room);
    if (bytes == NULL) {
        return false;
    }
    transfer->bytes = bytes;
    transfer->room = room;
    return true;
}

static size_t body_came(char *bytes, size_t size, size_t items, void *ctx)
{
    struct transfer *transfer = ctx;
    size_t count = size * items;
    if (count > transfer->response_max_bytes - transfer->count) {
        transfer->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    if (!reserve(transfer, count)) {
        return CURL_WRITEFUNC_ERROR;
    }
    memcpy(transfer->bytes + transfer->count, bytes, count);
    transfer->count += count;
    return count;
}

static struct text trimmed(struct text text)
{
    while (text.count != 0 && (text.bytes[0] == ' ' || text.bytes[0] == '\t')) {
        text = (struct text){text.bytes + 1, text.count - 1};
    }
    while (text.count != 0 && (unsigned char)text.bytes[text.count - 1] <= ' ') {
        text.count--;
    }
    return text;
}

static void note_field(struct text line, struct text name, char *out, size_t bytes)
{
    if (line.count <= name.count || line.bytes[name.count] != ':' ||
        !text_equal_nocase((struct text){line.bytes, name.count}, name)) {
        return;
    }
    struct text value = trimmed((struct text){line.bytes + name.count + 1, line.count - name.count - 1});
    if (value.count < bytes && bytes_are_field_value(value.bytes, value.count)) {
        *text_put(out, value) = '\0';
    }
}

static size_t head_came(char *bytes, size_t size, size_t items, void *ctx)
{
    struct transfer *transfer = ctx;
    struct text line = {bytes, size * items};
    transfer->head_bytes += line.count;
    if (transfer->head_bytes > HEAD_MAX_BYTES) {
        transfer->too_large = true;
        return 0;
    }
    if (line.count > 5 &&
        memcmp(line.bytes, "HTTP/", 5) == 0) { /* after a 1xx the answer's own head begins */
        transfer->reply.content_type[0] = transfer->reply.date[0] = '\0';
    }
    note_field(line, TEXT("Content-Type"), transfer->reply.content_type,
               sizeof(transfer->reply.content_type));
    note_field(line, TEXT("Date"), transfer->reply.date, sizeof(transfer->reply.date));
    return line.count;
}

static bool may_reach(const struct transfer *transfer, const struct curl_sockaddr *address)
{
    return transfer->private_allowed || (address->family != AF_UNIX && !address_is_private(&address->addr));
}

static curl_socket_t socket_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = ctx;
    (void)purpose;
    if (!may_reach(transfer, address)) {
        transfer->refused_private = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    client_core_opened(transfer->core, fd);
    transfer->opened[transfer->opened_count++ % TRANSFER_SOCKETS] = fd;
    return fd;
}

/* A connection outlives the transfer that opened it. */
static int socket_close(void *ctx, curl_socket_t fd)
{
    client_core_closed(ctx, fd);
    return close(fd);
}

/* Of several that were tried, the one that has a peer. */
static void note_connection(struct transfer *transfer)
{
    struct sockaddr_storage peer;
    for (unsigned i = 0; i < TRANSFER_SOCKETS && i < transfer->opened_count; i++) {
        socklen_t bytes = sizeof(peer);
        if (getpeername(transfer->opened[i], (struct sockaddr *)&peer, &bytes) == 0) {
            client_core_connected(transfer->core, transfer->opened[i]);
        }
    }
    transfer->opened_count = 0;
}

/* Connected, nothing sent. The connection may be one that was kept after a call that was allowed more. */
static int request_begins(void *ctx, char *remote, char *local, int remote_port, int local_port)
{
    (void)local;
    (void)remote_port;
    (void)local_port;
    struct transfer *transfer = ctx;
    if (!transfer->private_allowed && address_text_is_private(remote)) {
        transfer->refused_private = true;
        return CURL_PREREQFUNC_ABORT;
    }
    note_connection(transfer);
    transfer->sending = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- the handle ---- */

static void set_request(struct transfer *transfer, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
    if (transfer->body != NULL) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body_bytes);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body);
    } else if (strcmp(transfer->method, "POST") == 0 || strcmp(transfer->method, "PUT") == 0 ||
               strcmp(transfer->method, "PATCH") == 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0); /* says Content-Length: 0 */
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    }
    if (strcmp(transfer->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, transfer->method);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->fields);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, http_client_the.options.user_agent);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, transfer->repeatable ? 0L : 1L);
    if (transfer->unix_path != NULL) {
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, transfer->unix_path);
    }
}

static void set_limits(const struct transfer *transfer, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)transfer->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)transfer->connect_timeout_ms);
    if (strcmp(transfer->method, "HEAD") != 0) {
        curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->response_max_bytes);
    }
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_MAX_S);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* taking it out must not wait for a resolver's thread */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
}

static void set_callbacks(struct transfer *transfer, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_came);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, head_came);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer->core);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, request_begins);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
}

bool transfer_open(struct transfer *transfer)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL) {
        return false;
    }
    transfer->easy = easy;
    set_request(transfer, easy);
    set_limits(transfer, easy);
    set_callbacks(transfer, easy);
    return true;
}

void transfer_close(struct transfer *transfer)
{
    if (transfer->easy != NULL) {
        curl_easy_cleanup(transfer->easy);
        transfer->easy = NULL;
    }
}

/* ---- the end ---- */

static enum http_failure before_sending(CURLcode result)
{
    switch (result) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED:
        return HTTP_FAILURE_BAD_URL;
    case CURLE_COULDNT_RESOLVE_HOST:
        return HTTP_FAILURE_RESOLVE;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return HTTP_FAILURE_TLS;
    default:
        return HTTP_FAILURE_CONNECT;
    }
}

static enum http_failure failure_of(const struct transfer *transfer, CURLcode result)
{
    if (result == CURLE_OK) {
        return HTTP_FAILURE_NONE;
    }
    if (transfer->too_large || result == CURLE_FILESIZE_EXCEEDED) {
        return HTTP_FAILURE_TOO_LARGE;
    }
    if (result == CURLE_OUT_OF_MEMORY || result == CURLE_WRITE_ERROR) {
        return HTTP_FAILURE_NO_MEMORY;
    }
    if (result == CURLE_OPERATION_TIMEDOUT) {
        return HTTP_FAILURE_TIMEOUT;
    }
    if (transfer->sending) {
        return HTTP_FAILURE_LOST;
    }
    return transfer->refused_private ? HTTP_FAILURE_REFUSED_PRIVATE : before_sending(result);
}

static int64_t micros(CURL *easy, CURLINFO info)
{
    curl_off_t value = 0;
    curl_easy_getinfo(easy, info, &value);
    return (int64_t)value;
}

static void note_times(struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    long connects = 0;
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    transfer->reply.timings =
        (struct http_timings){.resolved_us = micros(easy, CURLINFO_NAMELOOKUP_TIME_T),
                              .connected_us = micros(easy, CURLINFO_CONNECT_TIME_T),
                              .first_byte_us = micros(easy, CURLINFO_STARTTRANSFER_TIME_T),
                              .total_us = micros(easy, CURLINFO_TOTAL_TIME_T),
                              .reused = transfer->sending && connects == 0};
}

static void note_answer(struct transfer *transfer)
{
    long status = 0;
    curl_off_t retry_after_s = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    transfer->reply.status = (unsigned)status;
    transfer->reply.retry_after_ms = retry_after_s > 0 ? (int64_t)retry_after_s * 1000 : -1;
}

void transfer_judge(struct transfer *transfer, CURLcode result)
{
    struct http_reply *reply = &transfer->reply;
    reply->failure = failure_of(transfer, result);
    reply->may_have_been_sent = transfer->sending;
    if (transfer->easy != NULL) {
        note_times(transfer);
    }
    if (reply->failure == HTTP_FAILURE_NONE) {
        note_answer(transfer);
        return;
    }
    reply->content_type[0] = reply->date[0] = '\0';
    transfer->count = 0;
    text_fill(reply->detail, sizeof(reply->detail),
              transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(result));
}

void transfer_answer(struct transfer *transfer)
{
    struct http_reply *reply = &transfer->reply;
    reply->body = transfer->count == 0 ? NULL : tr_blob_new(transfer->bytes, transfer->count);
    free(transfer->bytes);
    transfer->bytes = NULL;
    (void)tr_reply(transfer->from, TR_TYPE(http_client_done), &(http_client_done){.reply = *reply});
    tr_blob_drop(reply->body); /* the message has it now */
    reply->body = NULL;
}
