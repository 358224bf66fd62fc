/* How a room of the service brings its tables: a named list of migrations, given when the store is opened.
 *
 * 1. migrations[i] is a script of one or more SQL statements that leads from version i to version i + 1.
 * 2. A migration that was released is never edited; changes are appended as new ones.
 * 3. All migrations of all schemas that are due run in one transaction: all of them happen or none.
 * 4. A script holds no BEGIN, COMMIT, SAVEPOINT, PRAGMA or ATTACH: they are refused.
 * 5. A database whose version of a schema is higher than `version` was written by a newer program: open
 *    refuses.
 * 6. Table names begin with the schema's name, so that rooms do not collide; `store_` is the store's own.
 * Borrowed by store_open until it returns. A schema that is in the database but not in the list is left
 * alone.
 */
#ifndef TROUPE_SERVER_STORE_SCHEMA_H
#define TROUPE_SERVER_STORE_SCHEMA_H

#include <stdint.h>

struct store_schema {
    const char *name;              /* [a-z_]+, not "store" */
    uint32_t version;              /* number of entries in migrations */
    const char *const *migrations; /* SQL scripts, oldest first */
};

#endif
