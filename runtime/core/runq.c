#include "runtime/core/runq.h"

#include <stddef.h>

#include "runtime/sim/sim.h"
#include "runtime/sys/atomic.h"

bool tr__runq_push(tr__runq *queue, struct tr__proc *proc)
{
    uint32_t tail = tr__load_relaxed(&queue->tail);
    /* acquire pairs with the claim of a thief: what it read from the slot happened before we write it again
     * */
    if (tail - tr__load_acquire(&queue->head) >= TR__RUNQ_ROOM) {
        return false;
    }
    tr__store_relaxed(&queue->slots[tail % TR__RUNQ_ROOM], proc);
    /* seq: who pushes and then looks for sleepers is seen by who falls asleep and then looks at queues */
    tr__store_seq(&queue->tail, tail + 1);
    return true;
}

struct tr__proc *tr__runq_pop(tr__runq *queue)
{
    uint32_t head = tr__load_acquire(&queue->head);
    for (;;) {
        if (head == tr__load_relaxed(&queue->tail)) {
            return NULL;
        }
        struct tr__proc *proc = tr__load_relaxed(&queue->slots[head % TR__RUNQ_ROOM]);
        if (tr__cas_acq_rel(&queue->head, &head, head + 1)) {
            return proc;
        }
    }
}

uint32_t tr__runq_count(const tr__runq *queue)
{
    uint32_t head = tr__load_seq(&queue->head);
    return tr__load_seq(&queue->tail) - head;
}

struct tr__proc *tr__runq_steal(tr__runq *to, tr__runq *from)
{
    uint32_t room_at = tr__load_relaxed(&to->tail);
    uint32_t head = tr__load_acquire(&from->head);
    for (;;) {
        uint32_t count = tr__load_acquire(&from->tail) - head;
        if (count == 0) {
            return NULL;
        }
        if (count > TR__RUNQ_ROOM) { /* head was stale */
            head = tr__load_acquire(&from->head);
            continue;
        }
        uint32_t want = count - count / 2;
        uint32_t room = TR__RUNQ_ROOM - (room_at - tr__load_acquire(&to->head));
        if (want > room + 1) {
            want = room + 1;
        }
        struct tr__proc *first = tr__load_relaxed(&from->slots[head % TR__RUNQ_ROOM]);
        for (uint32_t i = 1; i < want; i++) {
            struct tr__proc *proc = tr__load_relaxed(&from->slots[(head + i) % TR__RUNQ_ROOM]);
            tr__store_relaxed(&to->slots[(room_at + i - 1) % TR__RUNQ_ROOM], proc);
        }
        if (tr__cas_acq_rel(&from->head, &head, head + want)) {
            tr__store_release(&to->tail, room_at + want - 1);
            return first;
        }
        if (tr__planted(TR__PLANT_DOUBLE_STEAL)) {
            return first;
        }
    }
}
