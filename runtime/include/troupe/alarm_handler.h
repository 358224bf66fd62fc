/* alarm_handler.h: what is wrong with the node right now: alarms are set, cleared, listed and watched. Semantics are
 * those of OTP 25's alarm_handler; in place of its event manager there is one handler, which can be swapped, and any
 * number of subscribers.
 *
 *     tr_alarm_set(tr_atom("disk_almost_full"), tr_string("/data"));
 *     ...
 *     tr_alarm_clear(tr_atom("disk_almost_full"));
 *
 * Invariants
 *  1. Alarms are listed newest first. The same id may be set several times; clearing takes the newest of that id, and
 *     an id that is not set is ignored.
 *  2. What one process sets and clears happens in that order.
 *  3. A new handler is given the list as it is. One that crashes is taken away and reported; the list stays.
 *  4. A subscriber that ended is forgotten.
 * One a node, registered as alarm_handler. Limit: an alarm is a message, 64 KiB with its terms.
 */
#ifndef TROUPE_ALARM_HANDLER_H
#define TROUPE_ALARM_HANDLER_H

#include <troupe/gen_server.h>

typedef struct tr_alarm {
    tr_term id;
    tr_term description;
} tr_alarm;

/** What is done about alarms: state_bytes of zeroed memory, and functions that run in the alarm handler's process
 *  and may block there. All but name are optional. */
typedef struct tr_alarm_module {
    const char *name;
    size_t state_bytes;
    /** The alarms that are set when it takes over, newest first. */
    void (*init)(void *self, const tr_alarm *alarms, size_t count);
    void (*set)(void *self, const tr_alarm *alarm);
    /** Also of an id that is not set. */
    void (*clear)(void *self, tr_term id);
    /** Another one takes over, or the process ends in good order. */
    void (*terminate)(void *self);
} tr_alarm_module;

/* What subscribers get: bare messages. */
TR_MESSAGE_TERMS(
    tr_alarm_was_set,
    {
        tr_term id;
        tr_term description;
    },
    offsetof(tr_alarm_was_set, id), offsetof(tr_alarm_was_set, description));
/** Only for an alarm that was set. */
TR_MESSAGE_TERMS(
    tr_alarm_was_cleared, { tr_term id; }, offsetof(tr_alarm_was_cleared, id));

/** For child specs: .server = &tr_alarm_handler, .start.name = tr_atom("alarm_handler"). */
extern const tr_gen_server tr_alarm_handler;
/** Starts it under its name. As tr_gen_server_start_link. Blocks: parks. Context: process. */
TR_MUST_CHECK tr_err tr_alarm_handler_start_link(tr_started *started);

/** Sets / clears an alarm without waiting; copies. Without an alarm handler nothing happens, as with any cast.
 *  Errors: TR_E_FULL. Context: any thread. */
tr_err tr_alarm_set(tr_term id, tr_term description);
tr_err tr_alarm_clear(tr_term id);
/** The alarms, newest first, on the caller's scratch. Errors: as tr_gen_server_call, within its default time.
 *  Blocks: parks. Context: process. */
TR_MUST_CHECK tr_err tr_alarm_get(const tr_alarm **alarms, size_t *count);
/** The same, and from that list on the calling process gets each change as a message. Subscribing twice is once. */
TR_MUST_CHECK tr_err tr_alarm_subscribe(const tr_alarm **alarms, size_t *count);
/** No change comes after it returned; those that came stay. */
TR_MUST_CHECK tr_err tr_alarm_unsubscribe(void);
/** Puts module (borrowed until it is replaced) in the place of the handler there was; NULL: none. */
TR_MUST_CHECK tr_err tr_alarm_swap_handler(const tr_alarm_module *module);

#endif
