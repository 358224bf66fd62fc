/* store_metrics: the store's counters as metrics. */
#ifndef TROUPE_SERVER_STORE_METRICS_H
#define TROUPE_SERVER_STORE_METRICS_H

struct store;

/** Registers troupe_store_*. Borrows store for the life of the program; call once. */
void store_metrics_register(struct store *store);

#endif
