/* Dispatching by partition: each has one subscriber, and a queue of its own for what came before it was asked for. */
#include "runtime/stage/stage.h"

static tr__partition *partition_of(tr__stage *stage, const tr__subscriber *s)
{
    return &stage->partitions[s->opts.partition];
}

static bool partition_subscribe(tr__stage *stage, tr__subscriber *s, tr_term *reason)
{
    tr_term index = tr_int((int64_t)s->opts.partition);
    if (s->opts.partition >= stage->dispatcher.partitions) {
        *reason = tr_tuple(tr_atom("unknown_partition"), index);
        return false;
    }
    tr__partition *p = partition_of(stage, s);
    if (p->subscriber != NULL) {
        *reason = tr_tuple(tr_atom("partition_taken"), index, tr_pid_term(p->subscriber->from.pid));
        return false;
    }
    p->subscriber = s;
    tr__subscriber_append(stage, s);
    return true;
}

/* ---- infos: one record a queue, delivered when the last queue has come to it ---- */

static void info_passed(tr__record *info)
{
    if (--*info->shared == 0) {
        tr_free(info->shared);
        info->shared = NULL;
        tr__info_deliver(info);
    } else {
        tr_free(info);
    }
}

static void partition_info(tr__stage *stage, tr__record *info)
{
    uint32_t *shared = NULL;
    for (uint32_t i = 0; i < stage->dispatcher.partitions; i++) {
        if (stage->partitions[i].queue.first != NULL) {
            tr__record *copy = tr__record_new(info->type, info->data);
            shared = shared == NULL ? tr_alloc(sizeof *shared) : shared;
            copy->is_info = true;
            copy->shared = shared;
            tr__records_append(&stage->partitions[i].queue, copy);
            ++*shared;
        }
    }
    if (shared == NULL) {
        tr__info_deliver(info);
    } else {
        tr_free(info);
    }
}

static void pass_infos(tr__partition *p)
{
    while (p->queue.first != NULL && p->queue.first->is_info) {
        info_passed(tr__records_pop(&p->queue));
    }
}

/* ---- demand ---- */

static void serve_queue(tr__stage *stage, tr__partition *p)
{
    pass_infos(p);
    while (p->demand > 0 && p->queue.events > 0) {
        tr__records now = tr__records_take(&p->queue, p->demand);
        p->demand -= now.events;
        stage->open -= now.events;
        stage->queued -= now.events;
        tr__send_events(p->subscriber, &now);
        pass_infos(p);
    }
}

/* What is queued for it goes with it: nobody else can serve this partition. */
static void partition_cancel(tr__stage *stage, tr__subscriber *s)
{
    tr__partition *p = partition_of(stage, s);
    tr__subscriber_remove(stage, s);
    p->subscriber = NULL;
    stage->open -= p->demand;
    p->demand = 0;
    stage->queued -= p->queue.events;
    while (p->queue.first != NULL) {
        tr__records events = tr__records_take(&p->queue, UINT64_MAX);
        tr__records_free(&events);
        pass_infos(p);
    }
}

static void partition_ask(tr__stage *stage, tr__subscriber *s, uint64_t count)
{
    tr__partition *p = partition_of(stage, s);
    p->demand += count;
    stage->open += count;
    serve_queue(stage, p);
}

/* What waits in one partition's queue was asked for by others: so no queue grows beyond all demand. */
static uint64_t partition_want(const tr__stage *stage)
{
    return stage->open > stage->queued ? stage->open - stage->queued : 0;
}

/* ---- events ---- */

static uint64_t hash_of(const tr_stage_event *event)
{
    uint64_t hash = 0xCBF29CE484222325u;
    const unsigned char *bytes = event->data;
    if (event->type == TR_TYPE(tr_term_msg)) {
        return tr_term_hash(((const tr_term_msg *)event->data)->value);
    }
    for (uint32_t i = 0; i < event->type->size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    }
    return hash ^ hash >> 32;
}

static int64_t choose(const tr__stage *stage, const tr_stage_event *event)
{
    uint32_t partitions = stage->dispatcher.partitions;
    if (stage->dispatcher.hash == NULL) {
        return (int64_t)(hash_of(event) % partitions);
    }
    int64_t index = stage->dispatcher.hash(event, partitions);
    if (index != TR_PARTITION_NONE && (index < 0 || index >= (int64_t)partitions)) {
        tr_exit(tr_tuple(tr_atom("unknown_partition"), tr_int(index)));
    }
    return index;
}

static void partition_dispatch(tr__stage *stage, tr__records *events)
{
    tr__records now = tr__records_take(events, partition_want(stage));
    bool dropped = false;
    for (tr__record *record; (record = tr__records_pop(&now)) != NULL;) {
        int64_t index = choose(stage, &(tr_stage_event){record->type, record->data});
        if (index == TR_PARTITION_NONE) {
            tr_free(record);
            dropped = true;
        } else {
            tr__records_append(&stage->partitions[index].queue, record);
            stage->queued++;
        }
    }
    for (uint32_t i = 0; i < stage->dispatcher.partitions; i++) {
        serve_queue(stage, &stage->partitions[i]);
    }
    if (dropped) {
        TR__STAGE_SEND(tr_self(), TR_NO_REF, tr__stage_look_again);
    }
}

const tr__dispatcher_ops tr__dispatch_partition = {.subscribe = partition_subscribe,
                                                   .cancel = partition_cancel,
                                                   .ask = partition_ask,
                                                   .want = partition_want,
                                                   .dispatch = partition_dispatch,
                                                   .info = partition_info};
