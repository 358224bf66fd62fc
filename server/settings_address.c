#include "server/settings_table.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool parse_port(const char *text, in_port_t *port)
{
    unsigned value = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 5; digits++) {
        value = value * 10 + (unsigned)(text[digits] - '0');
    }
    if (digits == 0 || text[digits] != '\0' || value > 65535) {
        return false;
    }
    *port = htons((uint16_t)value);
    return true;
}

static const char *parse_unix(const char *path, struct settings_listener *listener)
{
    struct sockaddr_un *local = &listener->address.local;
    if (path[0] == '\0' || path[0] == '@') {
        return "needs a path after unix:";
    }
    if (strlen(path) >= sizeof local->sun_path) {
        return "has a socket path of more than 107 bytes";
    }
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, path, strlen(path) + 1);
    listener->address_bytes = (socklen_t)sizeof *local;
    listener->loopback = true;
    return NULL;
}

static const char *parse_ip(const char *host, in_port_t port, struct settings_listener *listener)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&listener->address.storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&listener->address.storage;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        listener->address_bytes = (socklen_t)sizeof *v4;
        listener->loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        return NULL;
    }
    memset(&listener->address, 0, sizeof listener->address);
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        listener->address_bytes = (socklen_t)sizeof *v6;
        listener->loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
                             (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
        return NULL;
    }
    return "has no IP address before the port (names are not looked up; all addresses are 0.0.0.0 or [::])";
}

const char *settings_parse_listener(const char *text, struct settings_listener *listener)
{
    memset(listener, 0, sizeof *listener);
    if (strncmp(text, "unix:", 5) == 0) {
        return parse_unix(text + 5, listener);
    }
    char host[INET6_ADDRSTRLEN + 8];
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return "is not an address: write IP:PORT, [IPv6]:PORT or unix:PATH";
    }
    size_t length = (size_t)(colon - text);
    bool bracketed = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    if (!bracketed && memchr(text, ':', length) != NULL) {
        return "needs brackets around the IPv6 address: [::1]:8080";
    }
    const char *start = bracketed ? text + 1 : text;
    length -= bracketed ? 2 : 0;
    if (length >= sizeof host) {
        return "is not an address: write IP:PORT, [IPv6]:PORT or unix:PATH";
    }
    snprintf(host, sizeof host, "%.*s", (int)length, start);
    in_port_t port = 0;
    if (!parse_port(colon + 1, &port)) {
        return "needs a port from 0 to 65535";
    }
    if (bracketed && strchr(host, ':') == NULL) {
        return "has brackets, which are for IPv6 addresses only";
    }
    return parse_ip(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, listener);
}

/* What may stand in a URL, RFC 3986 plus the braces of templates. */
static bool url_character(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("-._~:/?#[]@!$&'()*+,;=%{}", c) != NULL);
}

const char *settings_check_url(const char *url)
{
    const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : NULL;
    if (host == NULL) {
        return "must begin with http:// or https://";
    }
    size_t authority = strcspn(host, "/?#");
    if (authority == 0 || host[0] == ':') {
        return "has no host";
    }
    if (memchr(host, '@', authority) != NULL) {
        return "must not contain a user or password";
    }
    for (const char *at = url; *at != '\0'; at++) {
        if (!url_character(*at)) {
            return "has a character that no URL may have (percent-encode it)";
        }
    }
    for (size_t i = 0; i < authority; i++) {
        if (host[i] == '{' || host[i] == '}') {
            return "must not have a placeholder in the host";
        }
    }
    return strchr(url, '#') != NULL ? "must not have a fragment (#...)" : NULL;
}

const char *settings_check_gateway(const char *text)
{
    if (strcmp(text, "sandbox") == 0) {
        return NULL;
    }
    if (strpbrk(text, "{}") != NULL) {
        return "must not have placeholders";
    }
    const char *problem = settings_check_url(text);
    return problem == NULL || strstr(text, "://") != NULL ? problem
                                                          : "must be sandbox, or an http:// or https:// URL";
}

const char *settings_check_readable(const char *path)
{
    return access(path, R_OK) == 0 ? NULL : "cannot be read";
}

const char *settings_check_template(const char *text)
{
    for (const char *at = text; (at = strpbrk(at, "{}")) != NULL;) {
        if (strncmp(at, "{user_id}", 9) == 0) {
            at += 9;
        } else if (strncmp(at, "{id}", 4) == 0) {
            at += 4;
        } else {
            return "has a placeholder other than {user_id} or {id}";
        }
    }
    if (strncmp(text, "self:", 5) != 0) {
        return settings_check_url(text);
    }
    if (text[5] != '/') {
        return "needs a path after self:";
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (!url_character(*at) || *at == '#') {
            return "has a character that no URL may have (percent-encode it)";
        }
    }
    return NULL;
}
