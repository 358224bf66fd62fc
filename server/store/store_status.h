/* Outcomes of the store: one table, one name, one text.
 *
 * 1. Every public function of the store that can fail answers with one of these; nothing of SQLite leaks out.
 * 2. STORE_OK for a write means durable: the group's WAL frames were synced before anyone heard of it.
 * 3. STORE_UNKNOWN is the only outcome whose effect may or may not be there after the next open; all others
 *    except STORE_OK mean "not written, and never will be".
 * 4. Only STORE_UNKNOWN and STORE_BROKEN go with a store that takes no more writes.
 */
#ifndef TROUPE_SERVER_STORE_STATUS_H
#define TROUPE_SERVER_STORE_STATUS_H

#define STORE_STATUS_TABLE(X)                                                                           \
    X(STORE_OK, "ok", "done")                                                                           \
    X(STORE_REJECTED, "rejected", "the write's own precondition did not hold; nothing was written")     \
    X(STORE_CONSTRAINT, "constraint", "a constraint of the schema was violated; nothing was written")   \
    X(STORE_FULL, "full", "no space left for the write; nothing was written")                           \
    X(STORE_BUSY, "busy", "another connection held the database for too long; nothing was written")     \
    X(STORE_NOMEM, "nomem", "out of memory; nothing was written")                                       \
    X(STORE_TIMEOUT, "timeout", "the statement ran over its time limit")                                \
    X(STORE_BAD, "bad", "the statement or its use is wrong (a bug in the caller); nothing was written") \
    X(STORE_UNKNOWN, "unknown",                                                                         \
      "the commit failed half way; the write may or may not be there after reopening")                  \
    X(STORE_BROKEN, "broken", "the store stopped after a storage failure; nothing was written")         \
    X(STORE_CLOSED, "closed", "the store is closing; nothing was written")                              \
    X(STORE_IO, "io", "the operating system reported an I/O error")                                     \
    X(STORE_CORRUPT, "corrupt", "the database file is damaged")                                         \
    X(STORE_LOCKED, "locked", "another process owns the data directory")                                \
    X(STORE_NEWER, "newer", "the database was written by a newer version")                              \
    X(STORE_FOREIGN, "foreign", "the database belongs to another program")

#define STORE__STATUS_ENUM(id, name, text) id,
enum store_status { STORE_STATUS_TABLE(STORE__STATUS_ENUM) STORE_STATUS_COUNT };
#undef STORE__STATUS_ENUM

/* What went wrong, for logs: never shown to clients. */
struct store_error {
    enum store_status status;
    int sqlite_code; /* extended result code of SQLite, 0 when it was not involved */
    int os_errno;    /* errno of the system call, 0 when not known */
    char text[384];  /* one line, always terminated */
};

/** Returns the short name of a status, for metrics labels and logs; static storage. Context: any thread. */
const char *store_status_name(enum store_status status);

/** Returns one English sentence about a status; static storage. Context: any thread. */
const char *store_status_text(enum store_status status);

#endif
