/* profile.c: what three sources know about a user, fetched in parallel under one deadline. A source that crashes or is
 * late costs its part of the profile and nothing else: the rest is served with what stands in for it. */
#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

enum { DEADLINE_MS = 500 };

TR_MESSAGE(user_id, { int64_t id; });
TR_MESSAGE(user_data, { char name[32]; });
TR_MESSAGE(preferences, {
    char theme[16];
    bool notifications;
});
TR_MESSAGE(activity, { int64_t events; });

typedef struct profile {
    user_data user;
    preferences preferences;
    activity activity;
} profile;

/* ---- the sources; each runs in a process of its own and may block ---- */

static tr_msg *fetch_user(const user_id *of)
{
    user_data found = {{0}};
    tr_sleep(10);
    snprintf(found.name, sizeof found.name, "User user_%lld", (long long)of->id);
    return tr_msg_new(TR_TYPE(user_data), &found);
}

static tr_msg *fetch_preferences(const user_id *of)
{
    tr_sleep(15);
    TR_CHECK(of->id != 7); /* their record is broken: let it crash */
    return TR_MSG(preferences, .theme = "dark", .notifications = true);
}

static tr_msg *fetch_activity(const user_id *of)
{
    tr_sleep(of->id == 7 ? 60000 : 20); /* theirs is on a disk that does not answer */
    return TR_MSG(activity, .events = of->id + 1);
}

/* ---- the aggregator ---- */

/* Fills what came in time; the rest keeps its fallback. */
static void aggregate(tr_dest sup, int64_t id, profile *out)
{
    tr_task tasks[3];
    tr_task_result results[3];
    TR_CHECK(tr_task_supervisor_async_nolink(sup, TR_TASK(fetch_user, user_id, id), 0, &tasks[0]) == TR_OK);
    TR_CHECK(tr_task_supervisor_async_nolink(sup, TR_TASK(fetch_preferences, user_id, id), 0, &tasks[1]) ==
             TR_OK);
    TR_CHECK(tr_task_supervisor_async_nolink(sup, TR_TASK(fetch_activity, user_id, id), 0, &tasks[2]) ==
             TR_OK);
    tr_task_yield_many(tasks, 3, &(tr_task_yield_opts){.timeout_ms = DEADLINE_MS}, results);
    for (size_t i = 0; i < 3; i++) {
        if (results[i].err == TR_E_TIMEOUT) {
            results[i] = tr_task_shutdown(tasks[i], 100); /* its value may have come in the last moment */
        }
    }
    tr_err user = TR_TASK_VALUE(results[0], user_data, &out->user);
    tr_err wishes = TR_TASK_VALUE(results[1], preferences, &out->preferences);
    tr_err events = TR_TASK_VALUE(results[2], activity, &out->activity);
    printf("user %lld: data %s; preferences %s; activity %s\n", (long long)id, tr_err_text(user),
           tr_err_text(wishes), tr_err_text(events));
}

static void run(const void *arg)
{
    (void)arg;
    tr_started started;
    TR_CHECK(tr_task_supervisor_start_link(NULL, NULL, &started) == TR_OK);
    const int64_t ids[] = {123, 7};
    for (size_t i = 0; i < 2; i++) {
        profile found = {.user.name = "unknown", .preferences.theme = "default"};
        aggregate(tr_to(started.pid), ids[i], &found);
        printf("  %s, theme %s, notifications %s, %lld events\n", found.user.name, found.preferences.theme,
               found.preferences.notifications ? "on" : "off", (long long)found.activity.events);
    }
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
