/* webhook_stage: a store with the tables of the webhooks and payments in a directory of its own, and the webhooks' room set up on it,
 * without processes.
 *
 * Life cycle: webhook_stage_open() -> stage_* -> webhook_stage_close(). One at a time.
 */
#ifndef TESTS_API_WEBHOOK_STAGE_H
#define TESTS_API_WEBHOOK_STAGE_H

#include "api/webhooks/service.h"
#include "api/webhooks/webhooks.h"
#include "server/store/store_writer.h"

#define STAGE_SECRET "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

/** Opens it, with generous limits and retries that come soon; webhooks may then be changed by the test. */
void webhook_stage_open(void);
void webhook_stage_close(void);
/** Closes the store and opens it anew, as a restart of the service would. */
void webhook_stage_reopen(void);

/** What the commit thread does with it; waits. */
enum store_status stage_write(store_writer_fn fn, const void *arg, void *result);
/** What a reading connection does with it. rows->bytes is the caller's to free(). */
enum store_status stage_read(store_read_fn fn, const void *arg, void *result, struct store_rows *rows);
/** The first column of the first row, 0 without one. */
int64_t stage_int(const char *sql);

/** A PUT of these. Returns: the webhook's id. */
int64_t stage_put(const char *name, const char *url, const char *events);
/** One event, in a transaction of its own. */
enum store_status stage_event(const char *subject, int64_t sequence, const char *type);
/** Notes the end of an attempt. */
enum store_status stage_note(int64_t webhook, int64_t row, int64_t attempt, enum webhook_outcome outcome,
                             struct webhook_noted *noted);
/** What is due at a time; aborts when the webhook is not there or disabled. */
struct webhook_due stage_due(int64_t webhook, int64_t now_ms);

#endif
