/* Tokens, and the Host check of listeners that are open to this machine. */
#include "tests/server/listener_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

static unsigned status_of(const char *method, const char *path, const char *fields)
{
    char request[1024];
    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\n%s\r\n", method, path, fields);
    return client_status(request);
}

#define POST_FIELDS "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 0\r\n"

Test(access, tokens_open_what_they_are_for)
{
    static const struct {
        const char *token;
        unsigned open, any, client, admin;
    } rows[] = {
        {"", 200, 401, 401, 401},
        {"Authorization: Bearer wrong\r\n", 200, 401, 401, 401},
        {"Authorization: Bearer clien\r\n", 200, 401, 401, 401},
        {"Authorization: Bearer clientx\r\n", 200, 401, 401, 401},
        {"Authorization: Bearer \r\n", 200, 401, 401, 401},
        {"Authorization: Basic client\r\n", 200, 401, 401, 401},
        {"Authorization: bearer client\r\n", 200, 200, 200, 403},
        {"Authorization: Bearer client\r\n", 200, 200, 200, 403},
        {"Authorization: Bearer second\r\n", 200, 200, 200, 403},
        {"Authorization: Bearer admin\r\n", 200, 200, 200, 400 /* past access: its body is empty */},
    };
    fixture_start(
        (const char *[]){"--client-token=client", "--client-token=second", "--admin-token=admin", NULL});
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char get[256];
        char post[512];
        snprintf(get, sizeof(get), "Host: localhost\r\n%s", rows[i].token);
        snprintf(post, sizeof(post), POST_FIELDS "%s", rows[i].token);
        cr_expect(status_of("GET", "/open", get) == rows[i].open, "open, %s", rows[i].token);
        cr_expect(status_of("GET", "/any", get) == rows[i].any, "any, %s", rows[i].token);
        cr_expect(status_of("GET", "/ping", get) == rows[i].client, "client, %s", rows[i].token);
        cr_expect(status_of("POST", "/admin", post) == rows[i].admin, "admin, %s", rows[i].token);
    }
    fixture_stop();
}

Test(access, refusal_says_how_to_ask)
{
    fixture_start((const char *[]){"--client-token=client", NULL});
    int fd = fixture_connect();
    struct reply reply = client_get(fd, "/ping");
    cr_expect(reply.status == 401 && reply_has(&reply, "\"code\":\"unauthorized\""));
    cr_expect(reply_has(&reply, "\"detail\":\"a bearer token is needed\""));
    cr_expect(reply_header(&reply, "WWW-Authenticate") != NULL);
    reply_free(&reply);
    close(fd);
    fixture_stop();
}

Test(access, with_tokens_any_host_is_taken)
{
    fixture_start((const char *[]){"--client-token=client", NULL});
    cr_expect_eq(status_of("GET", "/ping", "Host: example.org\r\nAuthorization: Bearer client\r\n"), 200);
    cr_expect_eq(status_of("GET", "/open", "Host: example.org\r\n"), 200);
    fixture_stop();
}

Test(access, without_tokens_a_foreign_host_is_refused)
{
    static const struct {
        const char *fields;
        unsigned status;
    } rows[] = {
        {"Host: localhost\r\n", 200},
        {"Host: localhost:8080\r\n", 200},
        {"Host: 127.0.0.1\r\n", 200},
        {"Host: 127.0.0.1:1\r\n", 200},
        {"Host: [::1]:8080\r\n", 200},
        {"Host: LOCALHOST\r\n", 200},
        {"Host: example.org\r\n", 403},
        {"Host: 10.0.0.1\r\n", 403},
        {"Host: localhost.example.org\r\n", 403},
        {"Host: 127.0.0.1.example\r\n", 403},
    };
    fixture_start(NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned status = status_of("GET", "/ping", rows[i].fields);
        cr_expect(status == rows[i].status, "%u, wanted %u: %s", status, rows[i].status, rows[i].fields);
    }
    int fd = fixture_connect();
    struct reply reply = client_ask(fd, "GET /ping HTTP/1.1\r\nHost: example.org\r\n\r\n");
    cr_expect(reply_has(&reply, "\"detail\":\"this listener is open to this machine only"), "%s", reply.body);
    reply_free(&reply);
    close(fd);
    /* The target of the absolute form stands for Host. */
    cr_expect_eq(status_of("GET", "http://example.org/ping", "Host: localhost\r\n"), 403);
    cr_expect_eq(status_of("GET", "http://localhost/ping", "Host: localhost\r\n"), 200);
    fixture_stop();
}

Test(access, without_tokens_everybody_is_admin)
{
    fixture_start(NULL);
    int fd = fixture_connect();
    struct reply reply = client_get(fd, "/who");
    cr_expect(reply.status == 200 && reply_has(&reply, "admin"));
    reply_free(&reply);
    close(fd);
    fixture_stop();
}
