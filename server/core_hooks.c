/* Several rooms that share the turns of the node's cores. */
#include "server/core_hooks.h"

static struct {
    tr_core_hooks rooms[CORE_HOOKS_MAX];
    size_t count;
} all;

static tr_err start(int core, struct uv_loop_s *loop, void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < all.count; i++) {
        tr_err err = all.rooms[i].start == NULL ? TR_OK : all.rooms[i].start(core, loop, all.rooms[i].ctx);
        if (err != TR_OK) {
            return err;
        }
    }
    return TR_OK;
}

static bool before_run(int core, void *ctx)
{
    (void)ctx;
    bool more = false;
    for (size_t i = 0; i < all.count; i++) {
        more = (all.rooms[i].before_run != NULL && all.rooms[i].before_run(core, all.rooms[i].ctx)) || more;
    }
    return more;
}

static bool after_run(int core, void *ctx)
{
    (void)ctx;
    bool more = false;
    for (size_t i = 0; i < all.count; i++) {
        more = (all.rooms[i].after_run != NULL && all.rooms[i].after_run(core, all.rooms[i].ctx)) || more;
    }
    return more;
}

static void stop(int core, struct uv_loop_s *loop, void *ctx)
{
    (void)ctx;
    for (size_t i = all.count; i-- > 0;) {
        if (all.rooms[i].stop != NULL) {
            all.rooms[i].stop(core, loop, all.rooms[i].ctx);
        }
    }
}

void core_hooks_add(tr_core_hooks hooks)
{
    TR_ASSERT(all.count < CORE_HOOKS_MAX);
    all.rooms[all.count++] = hooks;
}

tr_core_hooks core_hooks_all(void)
{
    return (tr_core_hooks){.start = start, .before_run = before_run, .after_run = after_run, .stop = stop};
}

void core_hooks_clear(void)
{
    all.count = 0;
}
