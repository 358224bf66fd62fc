/* The data directory: made, locked, and known by the names of the files in it. Private to server/store.
 *
 * 1. The lock is an flock on the file `lock`, held by an open descriptor: the kernel drops it when the
 *    process
 *    dies, however it dies. The pid in the file is for people; it decides nothing.
 * 2. The database file is made 0600 before SQLite sees it (its WAL and index inherit the mode).
 * 3. The directory and its parent are synced when something was made in them.
 */
#ifndef TROUPE_SERVER_STORE_DIR_H
#define TROUPE_SERVER_STORE_DIR_H

#include "server/store/store_status.h"

#include <stdbool.h>
#include <stdint.h>

struct store__dir {
    int fd;
    int lock_fd;
    bool created;       /* the database file was not there */
    uint64_t wal_bytes; /* length of the WAL found, 0 when there was none */
    char *db_path;
};

enum store_status store__dir_open(struct store__dir *dir, const char *path, struct store_error *error);
void store__dir_close(struct store__dir *dir);
/* Makes what was created in the directory durable. */
enum store_status store__dir_sync(const struct store__dir *dir, struct store_error *error);

#endif
