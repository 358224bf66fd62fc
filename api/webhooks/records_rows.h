/* records_rows: from the columns of a row to plain memory; for the files of records.h. */
#ifndef TROUPE_API_WEBHOOKS_RECORDS_ROWS_H
#define TROUPE_API_WEBHOOKS_RECORDS_ROWS_H

#include "api/webhooks/records.h"

/* The columns of a webhook, in the order webhook_take_row reads them. */
#define WEBHOOK_COLUMNS                                                                     \
    "id, name, url, events, state, version, created_at_ms, updated_at_ms, disabled_at_ms, " \
    "failing_since_ms, waiting, dropped"

/** A store_row_fn: arg is the struct webhook that is filled. Stops after one row. */
int webhook_take_row(void *arg, const struct store_row *row);
/** Copies a column's text, cut to what fits; "" when it is null. */
void webhook_take_text(const struct store_row *row, int column, char *out, size_t bytes);
void webhook_take_secret(const struct store_row *row, int column, struct webhook_secret *out);

#endif
