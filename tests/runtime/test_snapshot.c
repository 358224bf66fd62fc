/* Snapshots: versions in order, references that outlive their version, their publisher and their reader's end. */
#include "tests/runtime/stage.h"

TR_MESSAGE(price, { int64_t cents; });
TR_MESSAGE(other, { int64_t n; });
TR_MESSAGE_TERMS(
    note,
    {
        int64_t n;
        tr_term text;
    },
    offsetof(note, text));

static tr_snapshot place;

static void publish(int64_t cents)
{
    (void)tr_snapshot_publish(&place, TR_TYPE(price), &(price){cents});
}

SCENE(snapshot, an_empty_place_has_nothing)
{
    EXPECT(TR_SNAPSHOT_GET(&place, price) == NULL);
    EXPECT(tr_snapshot_number(&place) == 0);
    tr_snapshot_release(NULL);
}

SCENE(snapshot, readers_get_the_newest_and_keep_what_they_have)
{
    uint64_t number = 0;
    publish(1);
    const price *first = TR_SNAPSHOT_GET(&place, price);
    EXPECT(tr_snapshot_publish(&place, TR_TYPE(price), &(price){2}) == 2);
    const price *second = tr_snapshot_get(&place, TR_TYPE(price), &number);
    EXPECT(first->cents == 1 && second->cents == 2 && number == 2 && tr_snapshot_number(&place) == 2);
    tr_snapshot_release(first);
    tr_snapshot_release(second);
    EXPECT(TR_SNAPSHOT_GET(&place, other) == NULL); /* another type */
    tr_snapshot_clear(&place);
    EXPECT(TR_SNAPSHOT_GET(&place, price) == NULL && tr_snapshot_number(&place) == 2);
}

SCENE(snapshot, terms_are_copied_with_the_value)
{
    tr_scratch_mark mark = tr_scratch();
    tr_term text = tr_tuple(tr_atom("said"), tr_string("a text that is longer than what fits into a word"));
    (void)tr_snapshot_publish(&place, TR_TYPE(note), &(note){7, text});
    tr_scratch_release(mark);
    const note *now = TR_SNAPSHOT_GET(&place, note);
    TERM_IS(now->text, "{said,\"a text that is longer than what fits into a word\"}");
    tr_snapshot_release(now);
    tr_snapshot_clear(&place);
}

static void reads_and_ends(const void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        EXPECT(TR_SNAPSHOT_GET(&place, price)->cents == 5);
    }
    tr_sleep(TR_INFINITY);
}

/* The stage counts the bytes: a killed reader's references and the versions they held are gone. */
SCENE(snapshot, the_end_of_a_reader_gives_its_references_back)
{
    tr_pid pid;
    tr_ref ref;
    publish(5);
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &ref}, reads_and_ends, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    publish(6);
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    EXPECT(tr_receive_ref(ref, TR_INFINITY) != NULL);
    tr_snapshot_clear(&place);
}

static void releases_anothers(const void *arg)
{
    tr_snapshot_release(*(const void *const *)arg);
}

SCENE(snapshot, what_is_not_ones_own_cannot_be_released)
{
    tr_ref ref;
    publish(5);
    const price *mine = TR_SNAPSHOT_GET(&place, price);
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &ref}, releases_anothers, &mine, sizeof mine, NULL) == TR_OK);
    tr_msg *down = tr_receive_ref(ref, TR_INFINITY);
    TERM_IS(TR_MATCH(down, tr_down_msg)->reason, "badarg");
    REPORTED("process.crashed badarg");
    EXPECT(mine->cents == 5);
    tr_snapshot_release(mine);
    tr_snapshot_clear(&place);
}

/* ---- an agent that publishes ---- */

typedef struct shop {
    int64_t cents, visits;
} shop;

static void shop_init(shop *self, const void *arg)
{
    (void)arg;
    self->cents = 100;
}

static void shop_view(const shop *self, price *out)
{
    out->cents = self->cents;
}

TR_AGENT(shop, .init = shop_init, .snapshot = &place, .view_type = TR_TYPE(price),
         .view = (void (*)(const shop *, void *))shop_view);

static void raise_price(shop *self, const price *by)
{
    TR_CHECK(by->cents != 0);
    self->cents += by->cents;
}

static void ask_price(const shop *self, const price *unused, price *out)
{
    (void)unused;
    out->cents = self->cents;
}

static int64_t price_now(void)
{
    const price *now = TR_SNAPSHOT_GET(&place, price);
    int64_t cents = now->cents;
    tr_snapshot_release(now);
    return cents;
}

SCENE(snapshot, an_agents_update_is_read_by_whoever_was_told_of_it)
{
    tr_started started;
    price out;
    EXPECT(tr_agent_start(TR_AGENT_OF(shop), NULL, 0, NULL, &started) == TR_OK);
    EXPECT(price_now() == 100 && tr_snapshot_number(&place) == 1);
    EXPECT(TR_AGENT_UPDATE(started.pid, 5000, shop, raise_price, price, .cents = 20) == TR_OK);
    EXPECT(price_now() == 120);
    EXPECT(TR_AGENT_GET(started.pid, 5000, shop, ask_price, price, &out, price, .cents = 0) == TR_OK);
    EXPECT(tr_snapshot_number(&place) == 2); /* reading publishes nothing */
    EXPECT(TR_AGENT_CAST(started.pid, shop, raise_price, price, .cents = 1) == TR_OK);
    EXPECT(TR_AGENT_GET(started.pid, 5000, shop, ask_price, price, &out, price, .cents = 0) == TR_OK);
    EXPECT(out.cents == 121 && price_now() == 121);
    tr_snapshot_clear(&place);
}

SCENE(snapshot, the_last_version_outlives_its_agent)
{
    tr_started started;
    EXPECT(tr_agent_start(TR_AGENT_OF(shop), NULL, 0, NULL, &started) == TR_OK);
    EXPECT(TR_AGENT_UPDATE(started.pid, 5000, shop, raise_price, price, .cents = 11) == TR_OK);
    EXPECT(TR_AGENT_UPDATE(started.pid, 5000, shop, raise_price, price, .cents = 0) == TR_E_EXIT);
    EXPECT(price_now() == 111);
    tr_snapshot_clear(&place);
}
