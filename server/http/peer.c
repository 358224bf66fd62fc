#include "server/http/peer.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024u

bool peer_said_nothing(int fd)
{
    struct tcp_info info;
    socklen_t bytes = sizeof(info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) == 0 &&
           bytes >= offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received) &&
           info.tcpi_bytes_received == 0;
}

/* ---- connections by address ---- */

struct peer_count {
    struct peer_count *next;
    uint8_t bytes[16];
    int64_t connections;
};

struct peer_limit {
    pthread_mutex_t lock;
    int64_t most;
    struct peer_count *buckets[BUCKETS];
};

struct peer_limit *peer_limit_create(int64_t most)
{
    struct peer_limit *limit = calloc(1, sizeof(*limit));
    if (limit != NULL) {
        limit->most = most;
        pthread_mutex_init(&limit->lock, NULL);
    }
    return limit;
}

void peer_limit_destroy(struct peer_limit *limit)
{
    if (limit == NULL) {
        return;
    }
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (limit->buckets[i] != NULL) {
            struct peer_count *count = limit->buckets[i];
            limit->buckets[i] = count->next;
            free(count);
        }
    }
    pthread_mutex_destroy(&limit->lock);
    free(limit);
}

static bool address_bytes(const struct sockaddr *address, uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (address->sa_family == AF_INET6) {
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        return true;
    }
    memcpy(bytes, mapped, sizeof(mapped));
    if (address->sa_family == AF_INET) {
        memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    }
    return address->sa_family == AF_INET;
}

static struct peer_count **find(struct peer_limit *limit, const uint8_t bytes[16])
{
    uint32_t hash = 2166136261u;
    for (int i = 0; i < 16; i++) {
        hash = (hash ^ bytes[i]) * 16777619u;
    }
    struct peer_count **at = &limit->buckets[(hash ^ hash >> 16) % BUCKETS];
    while (*at != NULL && memcmp((*at)->bytes, bytes, 16) != 0) {
        at = &(*at)->next;
    }
    return at;
}

bool peer_limit_enter(struct peer_limit *limit, const struct sockaddr *address, struct peer_address *from)
{
    from->counted = false;
    if (limit == NULL || !address_bytes(address, from->bytes)) {
        return true;
    }
    pthread_mutex_lock(&limit->lock);
    struct peer_count **at = find(limit, from->bytes);
    struct peer_count *count = *at;
    if (count == NULL && (count = calloc(1, sizeof(*count))) != NULL) {
        memcpy(count->bytes, from->bytes, sizeof(count->bytes));
        *at = count;
    }
    from->counted = count != NULL && count->connections < limit->most;
    if (from->counted) {
        count->connections++;
    }
    pthread_mutex_unlock(&limit->lock);
    return from->counted;
}

void peer_limit_leave(struct peer_limit *limit, struct peer_address *from)
{
    if (!from->counted) {
        return;
    }
    from->counted = false;
    pthread_mutex_lock(&limit->lock);
    struct peer_count **at = find(limit, from->bytes);
    struct peer_count *count = *at;
    if (--count->connections == 0) {
        *at = count->next;
        free(count);
    }
    pthread_mutex_unlock(&limit->lock);
}
