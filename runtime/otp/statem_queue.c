/* Events that wait, in lists that are joined whole. */
#include "runtime/core/message.h"
#include "runtime/otp/statem.h"

tr__statem_entry *tr__statem_entry_new(tr_event_type type, tr_term name, tr_msg *msg)
{
    tr__statem_entry *entry = tr_alloc(sizeof *entry);
    entry->event = (tr_event){.type = type, .name = tr_keep(name), .msg = msg};
    if (msg != NULL) {
        tr__msg_keep(msg);
        entry->msg = msg;
    }
    return entry;
}

void tr__statem_entry_free(tr__statem_entry *entry)
{
    tr_msg_drop(entry->msg);
    tr_free_term(entry->event.name);
    tr_free(entry);
}

void tr__statem_entry_drop(tr__statem_entry *entry)
{
    if (entry != NULL && entry->msg != NULL) {
        tr__msg_free(entry->msg);
    }
}

void tr__statem_put(tr__statem_list *list, tr__statem_entry *entry)
{
    entry->next = NULL;
    if (list->first == NULL) {
        list->first = entry;
    } else {
        list->last->next = entry;
    }
    list->last = entry;
}

tr__statem_entry *tr__statem_take(tr__statem_list *list)
{
    tr__statem_entry *entry = list->first;
    if (entry != NULL) {
        list->first = entry->next;
        entry->next = NULL;
    }
    return entry;
}

void tr__statem_join(tr__statem_list *list, tr__statem_list *rest)
{
    if (rest->first == NULL) {
        return;
    }
    if (list->first == NULL) {
        list->first = rest->first;
    } else {
        list->last->next = rest->first;
    }
    list->last = rest->last;
    rest->first = NULL;
}

void tr__statem_list_drop(tr__statem_list *list)
{
    for (tr__statem_entry *entry = list->first; entry != NULL; entry = entry->next) {
        tr__statem_entry_drop(entry);
    }
}
