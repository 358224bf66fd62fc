/* Lists and versions over HTTP. */
#include "tests/server/listener_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int fd;

static void setup(void)
{
    fixture_start(NULL);
    fd = fixture_connect();
}

static void teardown(void)
{
    close(fd);
    fixture_stop();
}

TestSuite(page, .init = setup, .fini = teardown);

static void expect_list(const char *query, unsigned status, const char *has)
{
    char path[1024];
    snprintf(path, sizeof(path), "/list%s", query);
    struct reply reply = client_get(fd, path);
    cr_expect(reply.status == status, "%s: %u", path, reply.status);
    cr_expect(reply_has(&reply, has), "%s: no %s in %s", path, has, reply.body);
    reply_free(&reply);
}

Test(page, limit_has_a_default_and_bounds)
{
    expect_list("", 200, "\"limit\":50");
    expect_list("?limit=1", 200, "\"limit\":1");
    expect_list("?limit=500", 200, "\"limit\":500");
    expect_list("?limit=0", 422, "\"pointer\"");
    expect_list("?limit=501", 422, "limit");
    expect_list("?limit=-1", 422, "limit");
    expect_list("?limit=1e2", 422, "limit");
    expect_list("?limit=", 422, "limit");
    expect_list("?limit=5&limit=6", 422, "limit");
}

Test(page, cursor_comes_back_as_it_was_given)
{
    char path[1024];
    struct reply reply = client_get(fd, "/list?limit=2&filter=a%26b&next=key%2F%C3%A9");
    char cursor[700] = "";
    const char *at = reply.body == NULL ? NULL : strstr(reply.body, "\"next_cursor\":\"");
    cr_assert_not_null(at);
    cr_assert(sscanf(at, "\"next_cursor\":\"%699[^\"]\"", cursor) == 1);
    const char *link = reply_header(&reply, "Link");
    cr_assert_not_null(link);
    cr_expect(strstr(link, "rel=\"next\"") != NULL && strstr(link, "limit=2&") != NULL &&
                  strstr(link, "filter=a%26b&") != NULL,
              "%s", link);
    cr_assert(sscanf(link, "<%1000[^>]>", path) == 1);
    reply_free(&reply);
    reply = client_get(fd, path); /* the link as it stands */
    cr_expect(reply.status == 200 && reply_has(&reply, "\"after\":\"key/\xc3\xa9\""), "%s", reply.body);
    reply_free(&reply);
    snprintf(path, sizeof(path), "/list?cursor=%s", cursor);
    reply = client_get(fd, path);
    cr_expect(reply_has(&reply, "\"after\":\"key/\xc3\xa9\"") && reply_has(&reply, "\"next_cursor\":null"));
    cr_expect_null(reply_header(&reply, "Link"));
    reply_free(&reply);
}

Test(page, cursor_of_the_longest_key_comes_back)
{
    char path[1024];
    char key[257];
    memset(key, 'k', 256);
    key[256] = '\0';
    snprintf(path, sizeof(path), "/list?next=%s", key);
    struct reply reply = client_get(fd, path);
    const char *link = reply_header(&reply, "Link");
    cr_assert(link != NULL && strstr(link, "rel=\"next\"") != NULL);
    const char *cursor = strstr(link, "cursor=");
    cr_assert_not_null(cursor);
    snprintf(path, sizeof(path), "/list?%.*s", (int)strcspn(cursor, ">"), cursor);
    reply_free(&reply);
    reply = client_get(fd, path);
    cr_expect(reply_has(&reply, key));
    reply_free(&reply);
}

Test(page, link_never_loses_a_parameter)
{
    char path[2048];
    char filter[1200];
    memset(filter, 'f', sizeof(filter) - 1);
    filter[sizeof(filter) - 1] = '\0';
    snprintf(path, sizeof(path), "/list?filter=%s&next=k", filter);
    char request[2200];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    struct reply reply = client_ask(fd, request);
    cr_expect(reply.status == 200 && !reply_has(&reply, "\"next_cursor\":null"));
    const char *link = reply_header(&reply, "Link");
    cr_expect(link == NULL || strstr(link, filter) != NULL, "a link that lists something else: %s", link);
    reply_free(&reply);
}

Test(page, cursor_that_was_not_given_out_is_422)
{
    static const char *const bad[] = {"?cursor=", "?cursor=0", "?cursor=zz", "?cursor=0G", "?cursor=%00"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/list%s", bad[i]);
        struct reply reply = client_get(fd, path);
        cr_expect(reply.status == (i == 4 ? 400 : 422), "%s: %u", bad[i], reply.status);
        reply_free(&reply);
    }
}

static void expect_thing(const char *method, const char *version, const char *fields, unsigned status)
{
    char request[512];
    snprintf(request, sizeof(request), "%s /thing?version=%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method,
             version, fields);
    struct reply reply = client_ask(fd, request);
    cr_expect(reply.status == status, "%s %s %s: %u, wanted %u", method, version, fields, reply.status,
              status);
    if (status == 200 || status == 304) {
        char tag[32];
        snprintf(tag, sizeof(tag), "\"%s\"", version);
        cr_expect_str_eq(reply_header(&reply, "ETag"), tag);
    }
    cr_expect(status != 304 || reply.body_bytes == 0);
    reply_free(&reply);
}

Test(page, preconditions_are_judged_against_the_version)
{
    expect_thing("GET", "3", "", 200);
    expect_thing("GET", "3", "If-None-Match: \"3\"\r\n", 304);
    expect_thing("GET", "3", "If-None-Match: W/\"3\"\r\n", 304);
    expect_thing("GET", "3", "If-None-Match: \"1\", \"3\"\r\n", 304);
    expect_thing("GET", "3", "If-None-Match: *\r\n", 304);
    expect_thing("GET", "3", "If-None-Match: \"2\"\r\n", 200);
    expect_thing("HEAD", "3", "If-None-Match: \"3\"\r\n", 304);
    expect_thing("GET", "0", "If-None-Match: *\r\n", 404);
    expect_thing("PUT", "3", "If-Match: \"3\"\r\n", 200);
    expect_thing("PUT", "3", "If-Match: \"2\"\r\n", 412);
    expect_thing("PUT", "3", "If-Match: W/\"3\"\r\n", 412);
    expect_thing("PUT", "3", "If-Match: *\r\n", 200);
    expect_thing("PUT", "0", "If-Match: *\r\n", 412);
    expect_thing("PUT", "3", "If-None-Match: *\r\n", 412);
    expect_thing("PUT", "0", "If-None-Match: *\r\n", 200);
    expect_thing("PUT", "3", "If-Match: 3\r\n", 400);
    expect_thing("GET", "3", "If-None-Match: x\r\n", 400);
}
