/* Which addresses a request that somebody else named may not reach. */
#include "server/client/private_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct range4 {
    uint32_t first;
    unsigned prefix;
};

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static const struct range4 refused4[] = {
    {V4(0, 0, 0, 0), 8},      {V4(10, 0, 0, 0), 8},       {V4(100, 64, 0, 0), 10}, {V4(127, 0, 0, 0), 8},
    {V4(169, 254, 0, 0), 16}, {V4(172, 16, 0, 0), 12},    {V4(192, 0, 0, 0), 24},  {V4(192, 0, 2, 0), 24},
    {V4(192, 88, 99, 0), 24}, {V4(192, 168, 0, 0), 16},   {V4(198, 18, 0, 0), 15}, {V4(198, 51, 100, 0), 24},
    {V4(203, 0, 113, 0), 24}, {V4(168, 63, 129, 16), 32}, /* a cloud's host agent */
    {V4(224, 0, 0, 0), 4},    {V4(240, 0, 0, 0), 4},
};

static bool is_private4(uint32_t address)
{
    for (size_t i = 0; i < sizeof(refused4) / sizeof(refused4[0]); i++) {
        if (((address ^ refused4[i].first) >> (32 - refused4[i].prefix)) == 0) {
            return true;
        }
    }
    return false;
}

struct range6 {
    uint8_t first[16];
    unsigned prefix;
    int embedded; /* at which byte an IPv4 address is that is judged instead; 0: none, refused */
};

/* Of 2000::/3, which is all that is routed today, and the translated ones. */
static const struct range6 ranges6[] = {
    {{[10] = 0xff, [11] = 0xff}, 96, 12}, /* ::ffff:0:0/96, mapped */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12},   /* 64:ff9b::/96, translated */
    {{0x20, 0x02}, 16, 2},                /* 2002::/16, 6to4 */
    {{0x20, 0x01, 0x00}, 23, 0},          /* 2001::/23, protocols, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, 0},    /* documentation */
    {{0x3f, 0xff, 0x00}, 20, 0},          /* documentation */
};

static bool matches6(const uint8_t *address, const struct range6 *range)
{
    unsigned whole = range->prefix / 8;
    unsigned rest = range->prefix % 8;
    return memcmp(address, range->first, whole) == 0 &&
           (rest == 0 || (address[whole] ^ range->first[whole]) >> (8 - rest) == 0);
}

static bool is_private6(const uint8_t *address)
{
    for (size_t i = 0; i < sizeof(ranges6) / sizeof(ranges6[0]); i++) {
        if (matches6(address, &ranges6[i])) {
            const uint8_t *v4 = address + ranges6[i].embedded;
            return ranges6[i].embedded == 0 || is_private4(V4(v4[0], v4[1], v4[2], v4[3]));
        }
    }
    return address[0] >> 5 != 1;
}

bool address_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return is_private4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        return is_private6(in6.sin6_addr.s6_addr);
    }
    return true;
}

bool address_text_is_private(const char *digits)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, digits, &v4) == 1) {
        return is_private4(ntohl(v4.s_addr));
    }
    return inet_pton(AF_INET6, digits, &v6) != 1 || is_private6(v6.s6_addr);
}
