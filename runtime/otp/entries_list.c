#include "runtime/otp/entries_list.h"

#include "runtime/core/process.h"
#include "runtime/sys/lock.h"

uint32_t tr__entries_foreign;

static struct {
    _Alignas(TR__CACHE_LINE) pthread_mutex_t lock;
} lists[TR__SHARDS] = {[0 ... TR__SHARDS - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER}};

static pthread_mutex_t *list_lock(tr_pid pid)
{
    return &lists[TR_PID_SLOT(pid) % TR__SHARDS].lock;
}

static void link_entries(tr__entry *before, tr__entry *after)
{
    if (before != NULL) {
        before->head.next = (tr__grace_block *)after;
    }
    if (after != NULL) {
        after->prev = before;
    }
}

/* Lock held. The first one is what process lists show. */
static void set_first(void **list, tr_pid pid, tr__entry *entry)
{
    tr__proc_note_name(pid, entry == NULL ? TR_TERM_NONE_VALUE : entry->key);
    tr__store_release(list, (void *)entry); /* a death may look without the lock, and find this is over */
}

/* Lock held. A name becomes the first, a key the second: the first stays what is shown. */
static void list_put(void **list, tr__entry *entry)
{
    tr__entry *first = *list;
    entry->head.marks[TR__ENTRY_LISTED] = true;
    if (first == NULL || entry->registry->names) {
        link_entries(entry, first);
        set_first(list, entry->pid, entry);
    } else {
        link_entries(entry, tr__list_next(first));
        link_entries(first, entry);
    }
}

tr_err tr__list_add(tr__entry *entry)
{
    tr_err err = TR_OK;
    tr__lock(list_lock(entry->pid));
    if (entry->head.marks[TR__ENTRY_FOREIGN] && !tr__proc_is_alive(entry->pid)) {
        err = TR_E_NOPROC;
    } else {
        void **list = tr__proc_names(tr__table_at(entry->pid));
        const tr__entry *first = *list;
        if (entry->registry->names && first != NULL && first->registry->names) {
            err = TR_E_BADARG;
        } else {
            list_put(list, entry);
        }
    }
    tr__unlock(list_lock(entry->pid));
    return err;
}

bool tr__list_remove(tr__entry *entry)
{
    tr__lock(list_lock(entry->pid));
    bool listed = entry->head.marks[TR__ENTRY_LISTED];
    if (listed) {
        entry->head.marks[TR__ENTRY_LISTED] = false;
        link_entries(entry->prev, tr__list_next(entry));
        if (entry->prev == NULL) {
            set_first(tr__proc_names(tr__table_at(entry->pid)), entry->pid, tr__list_next(entry));
        }
    }
    tr__unlock(list_lock(entry->pid));
    return listed;
}

tr__entry *tr__list_take(tr_pid pid, void **list)
{
    tr__lock(list_lock(pid));
    tr__entry *first = *list;
    for (tr__entry *entry = first; entry != NULL; entry = tr__list_next(entry)) {
        entry->head.marks[TR__ENTRY_LISTED] = false;
    }
    if (first != NULL) {
        set_first(list, pid, NULL);
    }
    tr__unlock(list_lock(pid));
    return first;
}

bool tr__entries_any(tr_registry *registry, tr_pid pid)
{
    tr__lock(list_lock(pid));
    const tr__entry *entry = *tr__proc_names(tr__table_at(pid));
    while (entry != NULL && (entry->registry != registry || entry->pid != pid)) {
        entry = tr__list_next(entry);
    }
    tr__unlock(list_lock(pid));
    return entry != NULL;
}

/* Lock held. Copies the keys, the array first, if they fit into bytes. Returns: the bytes they want. */
static size_t list_keys(tr_registry *registry, tr_pid pid, tr_term *keys, size_t bytes, size_t *count)
{
    size_t wanted = 0;
    *count = 0;
    const tr__entry *first = *tr__proc_names(tr__table_at(pid));
    for (const tr__entry *entry = first; entry != NULL; entry = tr__list_next(entry)) {
        if (entry->registry == registry && entry->pid == pid) {
            wanted += sizeof(tr_term) + tr_term_flat_bytes(entry->key);
            (*count)++;
        }
    }
    char *free_space = (char *)(keys + *count);
    size_t n = 0;
    for (const tr__entry *entry = first; entry != NULL && wanted <= bytes; entry = tr__list_next(entry)) {
        if (entry->registry == registry && entry->pid == pid) {
            keys[n++] = tr_term_flatten(entry->key, free_space);
            free_space += tr_term_flat_bytes(entry->key);
        }
    }
    return wanted;
}

const tr_term *tr__entries_keys(tr_registry *registry, tr_pid pid, size_t *count)
{
    *count = 0;
    size_t bytes = 0;
    size_t wanted = tr__table_at(pid) == NULL ? 0 : 256;
    tr_term *keys = NULL;
    while (bytes < wanted) { /* room is asked for without the lock: who gets none ends right there */
        bytes = wanted;
        keys = tr_scratch_alloc(bytes);
        tr__lock(list_lock(pid));
        wanted = list_keys(registry, pid, keys, bytes, count);
        tr__unlock(list_lock(pid));
    }
    return keys;
}
