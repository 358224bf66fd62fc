/* The table of links, monitors and aliases against a plain list, through growth, deletion in every order, and collisions. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/core/edges.h"

enum { MODEL = 600 };

static struct {
    tr__edge_kind kind;
    uint64_t key, other;
} model[MODEL];
static size_t modelled;
static tr__edges edges;

static void agree(void)
{
    size_t counts[4] = {0};
    for (size_t i = 0; i < modelled; i++) {
        tr__edge *edge = tr__edges_find(&edges, model[i].kind, model[i].key);
        cr_assert(edge != NULL && edge->key == model[i].key && edge->kind == model[i].kind);
        cr_assert(edge->other == model[i].other);
        counts[model[i].kind]++;
    }
    for (unsigned kind = 0; kind < 4; kind++) {
        cr_assert(tr__edges_count(&edges, (tr__edge_kind)kind) == counts[kind]);
    }
    cr_assert(tr__edges_total(&edges) == modelled);
}

static bool modelled_has(tr__edge_kind kind, uint64_t key)
{
    for (size_t i = 0; i < modelled; i++) {
        if (model[i].kind == kind && model[i].key == key) {
            return true;
        }
    }
    return false;
}

static void play(unsigned seed, unsigned keys, size_t most)
{
    modelled = 0;
    memset(&edges, 0, sizeof edges);
    for (int step = 0; step < 6000; step++) {
        tr__edge_kind kind = (tr__edge_kind)((unsigned)rand_r(&seed) % 4);
        /* keys as they are: pids differ in the slot, references in the counter; core bits are in the upper byte */
        uint64_t key = (uint64_t)((unsigned)rand_r(&seed) % keys) | (uint64_t)((unsigned)rand_r(&seed) % 3)
                                                                        << 56;
        bool shrink = step / 500 % 2 == 1;
        if (modelled > 0 && (rand_r(&seed) % 4 == 0) != shrink) {
            size_t at = (unsigned)rand_r(&seed) % modelled;
            tr__edges_remove(&edges, tr__edges_find(&edges, model[at].kind, model[at].key));
            cr_assert(tr__edges_find(&edges, model[at].kind, model[at].key) == NULL);
            model[at] = model[--modelled];
        } else if (modelled < most && !modelled_has(kind, key)) {
            cr_assert(tr__edges_find(&edges, kind, key) == NULL);
            tr__edges_add(&edges, kind, key, (uint64_t)step);
            model[modelled].kind = kind;
            model[modelled].key = key;
            model[modelled++].other = (uint64_t)step;
        }
        if (step % 50 == 0) {
            agree();
        }
    }
    agree();
    while (modelled > 0) {
        modelled--;
        tr__edges_remove(&edges, tr__edges_find(&edges, model[modelled].kind, model[modelled].key));
        agree();
    }
    cr_assert(edges.table == NULL, "the last removal gives the memory back");
}

Test(edges, agree_with_a_list_while_small)
{
    for (unsigned seed = 1; seed < 20; seed++) {
        play(seed, 10, 8);
    }
}

Test(edges, agree_with_a_list_when_hashed)
{
    for (unsigned seed = 1; seed < 10; seed++) {
        play(seed, 2000, MODEL);
    }
}

Test(edges, deletions_keep_every_probe_run_whole)
{
    /* All orders of deleting 6 of 12 would be many: every rotation of every stride instead. */
    enum { COUNT = 12 };
    for (unsigned stride = 1; stride < COUNT; stride++) {
        for (unsigned start = 0; start < COUNT; start++) {
            memset(&edges, 0, sizeof edges);
            for (uint64_t i = 0; i < COUNT; i++) {
                tr__edges_add(&edges, TR__EDGE_LINK, (i + 1) << 32, i);
            }
            bool gone[COUNT] = {false};
            for (unsigned n = 0, at = start; n < COUNT; n++, at = (at + stride) % COUNT) {
                if (gone[at]) {
                    continue;
                }
                tr__edges_remove(&edges, tr__edges_find(&edges, TR__EDGE_LINK, (uint64_t)(at + 1) << 32));
                gone[at] = true;
                for (uint64_t i = 0; i < COUNT; i++) {
                    tr__edge *edge = tr__edges_find(&edges, TR__EDGE_LINK, (i + 1) << 32);
                    cr_assert((edge == NULL) == gone[i]);
                    cr_assert(edge == NULL || edge->other == i);
                }
            }
            tr__edges_fini(&edges);
        }
    }
}

Test(edges, one_key_of_several_kinds_is_several_edges)
{
    memset(&edges, 0, sizeof edges);
    for (unsigned kind = 0; kind < 4; kind++) {
        tr__edges_add(&edges, (tr__edge_kind)kind, 5, kind);
    }
    for (unsigned kind = 0; kind < 4; kind++) {
        cr_assert(tr__edges_find(&edges, (tr__edge_kind)kind, 5)->other == kind);
    }
    tr__edges_fini(&edges);
    cr_assert(tr__edges_find(&edges, TR__EDGE_LINK, 5) == NULL);
}
