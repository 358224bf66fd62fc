/* Snapshots: a reader takes the pointer and then a count, inside a grace section, so that what it points to is still memory; a count
 * that has fallen to zero never rises again, and the reader looks for the newer version. Whoever drops the last count retires the memory. */
#include <troupe/snapshot.h>

#include <string.h>
#include <troupe/process.h>

#include "runtime/core/mem.h"
#include "runtime/core/process.h"
#include "runtime/otp/grace.h"
#include "runtime/sys/lock.h"

#define VALUE_MAX ((size_t)64 << 20)

struct tr__version {
    tr__grace_block head;
    uint32_t count; /* atomic: readers, and one while it is the newest; 0 is final */
    tr_snapshot *place;
    const tr_type *type;
    uint64_t number;
    uint64_t value[]; /* then its terms */
};
typedef struct tr__version version;

_Static_assert(sizeof(tr__grace) == sizeof(((tr_snapshot *)0)->tr__retired),
               "the public struct has room for it");

/* A process's claim on a version. */
struct claim {
    tr_resource resource; /* first */
    version *of;
};

static tr__grace *retired(tr_snapshot *place)
{
    return (tr__grace *)(void *)place->tr__retired;
}

static version *version_of(const void *value)
{
    return (version *)(uintptr_t)((const char *)value - offsetof(version, value));
}

/* ---- counts ---- */

static bool count_up(version *of)
{
    uint32_t count = tr__load_relaxed(&of->count);
    while (count != 0) {
        if (tr__cas_acq_rel(&of->count, &count, count + 1)) {
            return true;
        }
    }
    return false;
}

static void count_down(version *of)
{
    /* acq_rel: what other readers read happened before the memory goes */
    if (of != NULL && tr__sub_acq_rel(&of->count, 1u) == 1) {
        tr_snapshot *place = of->place;
        tr__lock(&place->tr__lock);
        tr__grace_retire(retired(place), &of->head);
        tr__unlock(&place->tr__lock);
    }
}

/* ---- publishing ---- */

static size_t term_bytes(const tr_type *type, const void *value)
{
    size_t bytes = 0;
    for (uint16_t i = 0; i < type->term_count; i++) {
        bytes += tr_term_flat_bytes(*(const tr_term *)(const void *)((const char *)value + type->terms[i]));
    }
    return bytes;
}

static version *version_make(tr_snapshot *place, const tr_type *type, const void *value)
{
    size_t payload = (type->size + 7u) & ~(size_t)7;
    size_t bytes = sizeof(version) + payload + term_bytes(type, value);
    TR_CHECK(type->blob_count == 0 && bytes <= VALUE_MAX);
    uint8_t mem_class;
    version *made = tr__mem_alloc(bytes, &mem_class);
    if (made == NULL) {
        tr__out_of_memory();
    }
    *made = (version){
        .head = {.bytes = (uint32_t)bytes, .mem_class = mem_class}, .count = 1, .place = place, .type = type};
    memcpy(made->value, value, type->size);
    char *free_space = (char *)made->value + payload;
    for (uint16_t i = 0; i < type->term_count; i++) {
        tr_term *member = (tr_term *)(void *)((char *)made->value + type->terms[i]);
        size_t flat = tr_term_flat_bytes(*member);
        *member = tr_term_flatten(*member, free_space);
        free_space += flat;
    }
    return made;
}

uint64_t tr_snapshot_publish(tr_snapshot *place, const tr_type *type, const void *value)
{
    version *made = version_make(place, type, value);
    tr__lock(&place->tr__lock); /* so that the newest has the largest number */
    uint64_t number = place->tr__number + 1;
    made->number = number;
    version *old = tr__xchg_seq(&place->tr__now, made);
    tr__store_release(&place->tr__number, number);
    tr__unlock(&place->tr__lock);
    count_down(old);
    return number;
}

void tr_snapshot_clear(tr_snapshot *place)
{
    tr__lock(&place->tr__lock);
    version *old = tr__xchg_seq(&place->tr__now, (version *)NULL);
    tr__unlock(&place->tr__lock);
    count_down(old);
    tr__lock(&place->tr__lock);
    tr__grace_fini(retired(place));
    tr__unlock(&place->tr__lock);
}

uint64_t tr_snapshot_number(const tr_snapshot *place)
{
    return tr__load_acquire(&place->tr__number);
}

/* ---- reading ---- */

static version *newest(tr_snapshot *place)
{
    version *now;
    unsigned stripe = tr__grace_enter();
    do {
        now = tr__load_seq(&place->tr__now);
    } while (now != NULL && !count_up(now)); /* replaced in between: the next look finds a newer one */
    tr__grace_leave(stripe);
    return now;
}

static void claim_end(tr_resource *resource)
{
    count_down(((struct claim *)(void *)resource)->of);
}

const void *tr_snapshot_get(tr_snapshot *place, const tr_type *type, uint64_t *number)
{
    bool inside = tr__proc_self() != NULL;
    struct claim *claim =
        inside ? tr_alloc(sizeof(*claim)) : NULL; /* first: without memory nothing is claimed */
    version *now = newest(place);
    if (now != NULL && now->type != type) {
        count_down(now);
        now = NULL;
    }
    if (now == NULL) {
        tr_free(claim);
        return NULL;
    }
    if (inside) {
        *claim = (struct claim){.resource = {.destroy = claim_end}, .of = now};
        tr_resource_add(&claim->resource);
    }
    if (number != NULL) {
        *number = now->number;
    }
    return now->value;
}

static void claim_give_up(const version *of)
{
    tr_resource *resource = tr__proc_self()->resources;
    while (resource != NULL &&
           (resource->destroy != claim_end || ((struct claim *)(void *)resource)->of != of)) {
        resource = resource->tr__next;
    }
    if (resource == NULL) { /* another process's */
        tr_error(TR_ATOM(BADARG));
    }
    tr_resource_remove(resource);
    tr_free(resource);
}

void tr_snapshot_release(const void *value)
{
    if (value == NULL) {
        return;
    }
    version *of = version_of(value);
    if (tr__proc_self() != NULL) {
        claim_give_up(of);
    }
    count_down(of);
}
