#include <string.h>
#include <troupe/pool.h>

enum { SIZE_DEFAULT = 5, OVERFLOW_DEFAULT = 10, BUCKETS_MAX = 4096 };

TR_MESSAGE(tr__pool_checkout, { bool block; });
TR_MESSAGE(tr__pool_lent, { tr_pid worker; }); /* TR_NO_PID: full */
TR_MESSAGE(tr__pool_checkin, { tr_pid worker; });
TR_MESSAGE(tr__pool_cancel, { tr_ref request; });
TR_MESSAGE_EMPTY(tr__pool_ask_status);

/* The options on their way to the pool and on to its supervisor, in one piece: who starts a process may be killed before
 * that process has read them. */
typedef struct order {
    tr_pool_opts opts;
    _Alignas(16) unsigned char worker_arg[]; /* opts.worker.arg_bytes */
} order;

/* A place in a ring, or the ring itself. First in what is linked. */
typedef struct place {
    struct place *prev, *next;
} place;

/* One that asked. Its monitor's tag is this record's address: the record lives until the monitor fired or was flushed. */
typedef struct borrower {
    place place; /* in waiting or in lent */
    tr_from request;
    tr_ref monitor;
    struct worker *worker; /* NULL: it waits */
} borrower;

typedef struct worker {
    place place; /* in free, while it has no holder */
    struct worker *next_in_bucket;
    borrower *holder; /* NULL: it is free */
    tr_pid pid;
    tr_ref monitor;
} worker;

typedef struct pool {
    tr_pid supervisor;
    tr_pool_strategy strategy;
    uint32_t size, max_overflow;
    uint32_t overflow, available, checked_out, waiters;
    place free, lent, waiting; /* oldest first */
    worker **buckets;          /* all workers, by pid */
    uint32_t bucket_mask;
} pool;

/* ---- rings ---- */

static void ring_init(place *ring)
{
    ring->prev = ring->next = ring;
}

static void ring_append(place *ring, place *item)
{
    item->prev = ring->prev;
    item->next = ring;
    ring->prev->next = item;
    ring->prev = item;
}

static void ring_remove(place *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
}

static place *ring_first(place *ring)
{
    return ring->next == ring ? NULL : ring->next;
}

static place *ring_last(place *ring)
{
    return ring->prev == ring ? NULL : ring->prev;
}

/* ---- workers ---- */

static worker **bucket_of(const pool *self, tr_pid pid)
{
    return &self->buckets[TR_PID_SLOT(pid) & self->bucket_mask];
}

static worker *worker_find(const pool *self, tr_pid pid)
{
    worker *w = *bucket_of(self, pid);
    while (w != NULL && w->pid != pid) {
        w = w->next_in_bucket;
    }
    return w;
}

static tr_term worker_id(void)
{
    return tr_atom("worker");
}

static TR_NORETURN void start_failed(tr_term reason)
{
    tr_exit(tr_tuple(TR_ATOM(FAILED_TO_START_CHILD), worker_id(), reason));
}

/* A new worker, neither free nor lent yet. */
static worker *worker_start(pool *self)
{
    tr_sup_result result = tr_supervisor_start_child_arg(tr_to(self->supervisor), NULL, 0);
    if (result.err != TR_OK || result.pid == TR_NO_PID) {
        start_failed(result.err == TR_OK         ? TR_ATOM(IGNORE)
                     : tr_is_none(result.reason) ? tr_atom(tr_err_name(result.err))
                                                 : result.reason);
    }
    worker *w = tr_alloc(sizeof *w);
    worker **bucket = bucket_of(self, result.pid);
    *w = (worker){.pid = result.pid, .next_in_bucket = *bucket};
    *bucket = w;
    w->monitor = tr_monitor(tr_to(w->pid), NULL);
    return w;
}

static void worker_forget(pool *self, worker *w)
{
    worker **at = bucket_of(self, w->pid);
    while (*at != w) {
        at = &(*at)->next_in_bucket;
    }
    *at = w->next_in_bucket;
    tr_free(w);
}

static void worker_set_free(pool *self, worker *w)
{
    ring_append(&self->free, &w->place);
    self->available++;
}

static void worker_take(pool *self, worker *w)
{
    ring_remove(&w->place);
    self->available--;
}

static worker *take_free(pool *self)
{
    place *item = self->strategy == TR_POOL_LIFO ? ring_last(&self->free) : ring_first(&self->free);
    if (item != NULL) {
        worker_take(self, (worker *)item);
    }
    return (worker *)item;
}

static void worker_dismiss(pool *self, worker *w)
{
    (void)tr_demonitor(w->monitor, true);
    (void)tr_supervisor_terminate_child_pid(tr_to(self->supervisor), w->pid);
    worker_forget(self, w);
}

/* ---- borrowers ---- */

static borrower *borrower_new(tr_from request)
{
    borrower *b = tr_alloc(sizeof *b);
    b->request = request;
    b->monitor =
        tr_monitor(tr_to(request.ref.owner), &(tr_monitor_opts){.tag = tr_int((int64_t)(uintptr_t)b)});
    return b;
}

static void borrower_wait(pool *self, borrower *b)
{
    ring_append(&self->waiting, &b->place);
    self->waiters++;
}

static void borrower_leave_line(pool *self, borrower *b)
{
    ring_remove(&b->place);
    self->waiters--;
}

static borrower *next_in_line(pool *self)
{
    borrower *b = (borrower *)ring_first(&self->waiting);
    if (b != NULL) {
        borrower_leave_line(self, b);
    }
    return b;
}

static void lend(pool *self, worker *w, borrower *b)
{
    w->holder = b;
    b->worker = w;
    ring_append(&self->lent, &b->place);
    self->checked_out++;
    TR_ANSWER(b->request, tr__pool_lent, .worker = w->pid);
}

/* The worker is nobody's now, and its holder is forgotten. */
static worker *take_back(pool *self, borrower *b)
{
    worker *w = b->worker;
    ring_remove(&b->place);
    self->checked_out--;
    w->holder = NULL;
    (void)tr_demonitor(b->monitor, true);
    tr_free(b);
    return w;
}

/* ---- what becomes of a worker ---- */

static void came_back(pool *self, worker *w)
{
    borrower *next = next_in_line(self);
    if (next != NULL) {
        lend(self, w, next);
    } else if (self->overflow > 0) {
        self->overflow--;
        worker_dismiss(self, w);
    } else {
        worker_set_free(self, w);
    }
}

static void died_lent(pool *self, worker *w)
{
    worker_forget(self, take_back(self, w->holder));
    if (ring_first(&self->waiting) != NULL) {
        w = worker_start(self);
        lend(self, w, next_in_line(self));
    } else if (self->overflow > 0) {
        self->overflow--;
    } else {
        worker_set_free(self, worker_start(self));
    }
}

static void died_free(pool *self, worker *w)
{
    worker_take(self, w);
    worker_forget(self, w);
    worker_set_free(self, worker_start(self));
}

/* ---- requests ---- */

static tr_next checkout(pool *self, tr_from from, bool block)
{
    worker *w = take_free(self);
    if (w == NULL && self->overflow < self->max_overflow) {
        w = worker_start(self);
        self->overflow++;
    }
    if (w == NULL && !block) {
        return TR_REPLY(from, tr__pool_lent, .worker = TR_NO_PID);
    }
    borrower *b = borrower_new(from);
    if (w == NULL) {
        borrower_wait(self, b);
        return TR_NOREPLY;
    }
    lend(self, w, b);
    return (tr_next){.kind = TR_NEXT_NOREPLY, .replied = true};
}

static void checkin(pool *self, tr_pid pid)
{
    worker *w = worker_find(self, pid);
    if (w != NULL && w->holder != NULL) {
        came_back(self, take_back(self, w->holder));
    }
}

static borrower *find_request(place *ring, tr_ref request)
{
    for (place *item = ring->next; item != ring; item = item->next) {
        if (tr_ref_equal(((borrower *)item)->request.ref, request)) {
            return (borrower *)item;
        }
    }
    return NULL;
}

/* It asked and gives up: it may wait, or an answer is under way that nobody will read. Those who give up are mostly
 * the oldest in line, so the search is short. */
static void cancel(pool *self, tr_ref request)
{
    borrower *b = find_request(&self->lent, request);
    if (b != NULL) {
        came_back(self, take_back(self, b));
        return;
    }
    b = find_request(&self->waiting, request);
    if (b != NULL) {
        borrower_leave_line(self, b);
        (void)tr_demonitor(b->monitor, true);
        tr_free(b);
    }
}

static void borrower_died(pool *self, borrower *b)
{
    if (b->worker != NULL) {
        came_back(self, take_back(self, b));
    } else {
        borrower_leave_line(self, b);
        tr_free(b);
    }
}

static tr_pool_state state_of(const pool *self)
{
    if (self->available > 0 && self->overflow == 0) {
        return TR_POOL_READY;
    }
    return self->overflow < self->max_overflow ? TR_POOL_OVERFLOW : TR_POOL_FULL;
}

/* ---- starting ---- */

static size_t order_bytes(const tr_pool_opts *opts)
{
    return sizeof(order) + opts->worker.arg_bytes;
}

/* On the caller's scratch. */
static const order *order_of(const tr_pool_opts *opts)
{
    order *o = tr_scratch_alloc(order_bytes(opts));
    o->opts = *opts;
    o->opts.worker.start =
        (tr_start_opts){.timeout_ms = opts->worker.start.timeout_ms, .spawn = opts->worker.start.spawn};
    if (opts->worker.arg_bytes != 0) {
        memcpy(o->worker_arg, opts->worker.arg, opts->worker.arg_bytes);
    }
    return o;
}

static tr_err workers_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children,
                           size_t *count, __attribute__((unused)) tr_term *reason)
{
    const order *o = arg;
    tr_child_spec *spec = tr_scratch_alloc(sizeof *spec);
    *spec = o->opts.worker;
    spec->id = worker_id();
    spec->restart = TR_TEMPORARY; /* the pool itself replaces them */
    if (spec->arg_bytes != 0) {
        spec->arg = o->worker_arg;
    }
    flags->strategy = TR_SIMPLE_ONE_FOR_ONE;
    *children = spec;
    *count = 1;
    return TR_OK;
}
static const tr_supervisor workers = {.name = "pool_workers", .init = workers_init};

/* A number of workers: 0 means the default. */
static int64_t number(int32_t asked, int32_t standard)
{
    return asked == 0 ? standard : asked == TR_POOL_NONE ? 0 : asked;
}

static bool read_opts(pool *self, const tr_pool_opts *opts)
{
    int64_t size = number(opts->size, SIZE_DEFAULT);
    int64_t more = number(opts->max_overflow, OVERFLOW_DEFAULT);
    if (size < 0 || more < 0 || size + more > TR_POOL_WORKERS_MAX) {
        return false;
    }
    self->size = (uint32_t)size;
    self->max_overflow = (uint32_t)more;
    self->strategy = opts->strategy;
    return true;
}

static void make_room(pool *self)
{
    uint32_t buckets = 16;
    while (buckets < self->size + self->max_overflow && buckets < BUCKETS_MAX) {
        buckets *= 2;
    }
    self->bucket_mask = buckets - 1;
    self->buckets = tr_alloc(buckets * sizeof(worker *));
    ring_init(&self->free);
    ring_init(&self->lent);
    ring_init(&self->waiting);
}

static tr_next pool_init(pool *self, const void *arg)
{
    const order *o = arg;
    if (!read_opts(self, &o->opts)) {
        return TR_STOP(tr_tuple(tr_atom("bad_pool"), tr_int(o->opts.size), tr_int(o->opts.max_overflow)));
    }
    make_room(self);
    tr_started started;
    if (tr_supervisor_start_link(&workers, o, order_bytes(&o->opts), NULL, &started) != TR_OK) {
        return TR_STOP(started.reason);
    }
    self->supervisor = started.pid;
    for (uint32_t i = 0; i < self->size; i++) {
        worker_set_free(self, worker_start(self));
    }
    return TR_INIT_OK;
}

/* ---- the server ---- */

static tr_next pool_handle_call(pool *self, tr_from from, const tr_msg *msg)
{
    const tr__pool_checkout *request = TR_MATCH(msg, tr__pool_checkout);
    if (request != NULL) {
        return checkout(self, from, request->block);
    }
    if (TR_MATCH(msg, tr__pool_ask_status) != NULL) {
        return TR_REPLY(from, tr_pool_status, .state = state_of(self), .available = self->available,
                        .overflow = self->overflow, .checked_out = self->checked_out,
                        .waiting = self->waiters);
    }
    return tr_unexpected(msg);
}

static tr_next pool_handle_cast(pool *self, const tr_msg *msg)
{
    const tr__pool_checkin *back = TR_MATCH(msg, tr__pool_checkin);
    const tr__pool_cancel *gave_up = TR_MATCH(msg, tr__pool_cancel);
    if (back != NULL) {
        checkin(self, back->worker);
    } else if (gave_up != NULL) {
        cancel(self, gave_up->request);
    } else {
        return tr_unexpected(msg);
    }
    return TR_NOREPLY;
}

static void heard_end(pool *self, const tr_down_msg *down)
{
    worker *w = worker_find(self, down->pid);
    if (w == NULL || !tr_ref_equal(w->monitor, down->ref)) { /* a worker may borrow, too */
        borrower_died(self, (borrower *)(uintptr_t)tr_int_value(down->tag));
    } else if (w->holder != NULL) {
        died_lent(self, w);
    } else {
        died_free(self, w);
    }
}

static tr_next pool_handle_info(pool *self, const tr_msg *msg)
{
    const tr_exit_msg *end = TR_MATCH(msg, tr_exit_msg);
    if (end != NULL && end->from == self->supervisor) {
        return TR_STOP(end->reason);
    }
    if (tr_msg_kind_of(msg) == TR_MSG_DOWN) {
        heard_end(self, tr_msg_data(msg));
    }
    return TR_NOREPLY; /* anything else is not for us, and no reason to end */
}

static void pool_terminate(pool *self, __attribute__((unused)) tr_term reason)
{
    (void)!tr_gen_server_stop(tr_to(self->supervisor), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL);
}

static tr_term pool_format_state(const pool *self)
{
    static const char *const names[] = {"ready", "overflow", "full"};
    return tr_tuple(tr_atom(names[state_of(self)]), tr_int(self->available), tr_int(self->overflow),
                    tr_int(self->checked_out));
}

TR_GEN_SERVER(pool, .init = pool_init, .handle_call = pool_handle_call, .handle_cast = pool_handle_cast,
              .handle_info = pool_handle_info, .terminate = pool_terminate, .format_state = pool_format_state,
              .trap_exit = true);

/* ---- its users ---- */

/* A limit on the mailbox would refuse checkins, and workers would be lost. */
static tr_start_opts without_limit(const tr_start_opts *opts)
{
    tr_start_opts ours = opts != NULL ? *opts : (tr_start_opts){0};
    ours.spawn.mailbox_max = UINT32_MAX;
    return ours;
}

tr_err tr_pool_start_link(const tr_pool_opts *opts, const tr_start_opts *start, tr_started *started)
{
    tr_start_opts ours = without_limit(start);
    return tr_gen_server_start_link(pool_server, order_of(opts), order_bytes(opts), &ours, started);
}

void tr_pool_child_spec(const tr_pool_opts *opts, tr_term name, tr_child_spec *spec)
{
    *spec = (tr_child_spec){.id = tr_is_none(name) ? tr_atom("pool") : name,
                            .server = pool_server,
                            .arg = order_of(opts),
                            .arg_bytes = order_bytes(opts),
                            .type = TR_SUPERVISOR,
                            .start = without_limit(&(tr_start_opts){.name = name})};
}

tr_err tr_pool_checkout(tr_dest dest, bool block, int64_t timeout_ms, tr_pid *lent)
{
    tr_dest to = tr_to(tr_whereis(dest)); /* the same one for the request and for giving up */
    if (to.pid == TR_NO_PID) {
        return TR_E_NOPROC;
    }
    tr_msg *reply;
    tr_ref request = tr_send_request(to, TR_MSG(tr__pool_checkout, .block = block));
    tr_err err = tr_receive_response(request, timeout_ms, &reply, NULL);
    if (err == TR_E_TIMEOUT) {
        TR_CAST(to, tr__pool_cancel, .request = request);
    }
    if (err != TR_OK) {
        return err;
    }
    tr__pool_lent answer = {TR_NO_PID};
    const tr__pool_lent *got = TR_MATCH(reply, tr__pool_lent);
    if (got != NULL) {
        answer = *got;
    }
    tr_msg_drop(reply);
    if (answer.worker == TR_NO_PID) {
        return got == NULL ? TR_E_TYPE : TR_E_LIMIT;
    }
    *lent = answer.worker;
    return TR_OK;
}

void tr_pool_checkin(tr_dest dest, tr_pid lent)
{
    (void)TR_CAST(dest, tr__pool_checkin, .worker = lent);
}

tr_err tr_pool_transaction(tr_dest dest, void (*fn)(tr_pid worker, void *ctx), void *ctx, int64_t timeout_ms)
{
    tr_pid lent;
    tr_dest to = tr_to(tr_whereis(dest));
    tr_err err = tr_pool_checkout(to, true, timeout_ms, &lent);
    if (err == TR_OK) {
        fn(lent, ctx);
        tr_pool_checkin(to, lent);
    }
    return err;
}

tr_err tr_pool_status_of(tr_dest dest, int64_t timeout_ms, tr_pool_status *status)
{
    return TR_CALL(dest, timeout_ms, tr_pool_status, status, tr__pool_ask_status);
}

tr_err tr_pool_stop(tr_dest dest, int64_t timeout_ms)
{
    return tr_gen_server_stop(dest, TR_ATOM(NORMAL), timeout_ms, NULL);
}
