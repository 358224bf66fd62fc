/* application.h: parts of a program that start in order of dependency and stop in reverse. Semantics are OTP 25's
 * application.
 *
 *     static const char *const web_needs[] = {"store", NULL};
 *     static const tr_application store = {.name = "store", .supervisor = &store_sup};
 *     static const tr_application web = {.name = "web", .applications = web_needs, .supervisor = &web_sup};
 *
 *     tr_application_controller_start_link(NULL, &started);
 *     tr_application_load(&store); tr_application_load(&web);
 *     tr_application_ensure_all_started(tr_atom("web"), TR_APP_PERMANENT, NULL, NULL, &reason);
 *
 *     controller ---link--- master of an application ---link--- top of its tree
 *      (gen_server,          (a process of its own: runs start,
 *       never blocks)         prep_stop and stop, which may block)
 *
 * Invariants
 *  1. An application starts only when those it names run. Nothing watches that later: stopping one that others
 *     need is allowed, as in OTP.
 *  2. Its callbacks run in its master, one after the other; their memory (tr_alloc) lives as long as it runs.
 *  3. Stop: prep_stop, then the top gets shutdown and is awaited, then stop; then processes that descend from the
 *     master, and whose parents lived until the stop, are killed.
 *  4. The end of a permanent application, or of a transient one with another reason than normal, ends the
 *     controller with {application_terminated, Name, Reason}; the failed start of a permanent one with
 *     {application_start_failure, Name, Reason}. The controller stops what runs, newest first, and its linked
 *     starter hears of it.
 *  5. A master that is killed takes its top along by the link; a killed controller takes the masters along.
 * One controller a node, registered as application_controller. Context of everything, unless said: process.
 */
#ifndef TROUPE_APPLICATION_H
#define TROUPE_APPLICATION_H

#include <troupe/supervisor.h>

/** What the end of an application does to the controller: see invariant 4. */
typedef enum tr_app_type { TR_APP_TEMPORARY, TR_APP_TRANSIENT, TR_APP_PERMANENT } tr_app_type;

/** Run one after the other when the tree stands. */
typedef struct tr_app_phase {
    const char *name;
    const void *arg;
} tr_app_phase;

/** An application: constant data, borrowed while it is loaded. */
typedef struct tr_application {
    const char *name;
    const char *description, *version;
    const char *const *applications; /* names, NULL last: must run before it starts                     */
    const char *const *optional;     /* names among these that are started and awaited only when loaded */
    /** The defaults of its environment: a map of atoms to values, on scratch. Optional. */
    tr_term (*env)(void);
    const tr_supervisor *supervisor; /* the tree: with arg ...                                          */
    /** ... or a function that starts it, linked, and fills *top and, if it likes, *state. Returns TR_OK, or an
     *  error with *reason. An application without either is a library: it starts no process. */
    tr_err (*start)(const void *arg, tr_pid *top, void **state, tr_term *reason);
    const void *arg;
    const tr_app_phase *phases;
    size_t phase_count;
    tr_err (*start_phase)(const tr_app_phase *phase, void *state, tr_term *reason);
    void (*prep_stop)(void *state);
    void (*stop)(void *state);
} tr_application;

typedef struct tr_app_controller_opts {
    int64_t shutdown_ms; /* at its own end, for each application, then it is killed; 0: no limit */
} tr_app_controller_opts;

/** Starts the controller. opts may be NULL. Errors as tr_gen_server_start_link. Blocks: parks. */
TR_MUST_CHECK tr_err tr_application_controller_start_link(const tr_app_controller_opts *opts,
                                                          tr_started *started);
/** Stops all applications, newest first, and the controller. Errors as tr_gen_server_stop. Blocks: parks. */
TR_MUST_CHECK tr_err tr_application_controller_stop(int64_t timeout_ms);

/* Errors of all that follow: TR_E_NOPROC without a controller. reason (NULL allowed) is OTP's term, on scratch. */

/** Makes an application known, with the defaults of its environment. Borrows app until tr_application_unload or
 *  the controller's end. Errors: TR_E_ALREADY_PRESENT ({already_loaded, Name}), TR_E_BADARG. */
TR_MUST_CHECK tr_err tr_application_load(const tr_application *app);
/** Forgets it and its environment. Errors: TR_E_NOT_FOUND ({not_loaded, Name}), TR_E_RUNNING. */
TR_MUST_CHECK tr_err tr_application_unload(tr_term name);

/** Starts a loaded application and waits for it. Errors: TR_E_NOT_FOUND ({not_loaded, Name}),
 *  TR_E_ALREADY_STARTED, TR_E_STATE ({not_started, Dependency}), TR_E_EXIT (its start failed, or it ended
 *  meanwhile). Two that start one at the same time get the same answer. Blocks: parks without limit. */
TR_MUST_CHECK tr_err tr_application_start(tr_term name, tr_app_type type, tr_term *reason);
/** The same; one that runs is fine. */
TR_MUST_CHECK tr_err tr_application_ensure_started(tr_term name, tr_app_type type, tr_term *reason);
/** Starts it and all it needs, in order of dependency. *list (NULL allowed): the names of those it started, in
 *  that order, on scratch. On an error those are stopped again, and reason is {Name, Reason}. Blocks: parks. */
TR_MUST_CHECK tr_err tr_application_ensure_all_started(tr_term name, tr_app_type type, const tr_term **list,
                                                       size_t *count, tr_term *reason);
/** Stops it and waits for its end. Errors: TR_E_STATE ({not_started, Name}). Blocks: parks without limit. */
TR_MUST_CHECK tr_err tr_application_stop(tr_term name, tr_term *reason);

typedef struct tr_app_info {
    tr_term name;
    const tr_application *app; /* get_key: everything it was declared with */
    bool running;
    tr_app_type type; /* of a running one */
    tr_pid top;       /* get_supervisor: of a running one; TR_NO_PID of a library */
} tr_app_info;
/** The running ones, newest first / all that are loaded. Arrays are on the caller's scratch. Blocks: parks. */
TR_MUST_CHECK tr_err tr_application_which(const tr_app_info **list, size_t *count);
TR_MUST_CHECK tr_err tr_application_loaded(const tr_app_info **list, size_t *count);
/** One of them. Errors: TR_E_NOT_FOUND. Blocks: parks. */
TR_MUST_CHECK tr_err tr_application_get(tr_term name, tr_app_info *info);

/* ---- environment: values by application and key; any thread reads and sets them without a message ---- */
/** The value, on the caller's scratch, or none. Context: any thread. */
tr_term tr_application_get_env(tr_term name, tr_term key);
/** name need not be loaded; loading it later puts its defaults over what was set, but not over what was set
 *  persistently. Copies. Context: any thread. */
void tr_application_set_env(tr_term name, tr_term key, tr_term value);
/** This value outlives unloading: it is there again when the application is loaded again. */
void tr_application_set_env_persistent(tr_term name, tr_term key, tr_term value);
void tr_application_unset_env(tr_term name, tr_term key);
/** All of them as a map, on the caller's scratch. Context: any thread. */
tr_term tr_application_get_all_env(tr_term name);

#endif
