#include "tests/server/fault_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 512

struct fault_handle {
    sqlite3_file base;
    enum fault_file file; /* FAULT_FILES: of no interest */
    int regions;          /* of the WAL index, that were asked for */
    sqlite3_file *real;
};

struct unsynced {
    struct unsynced *next;
    sqlite3_int64 offset;
    int length;
    unsigned char data[];
};

struct image {
    unsigned char *data;
    size_t length;
    struct unsynced *first;
    struct unsynced **last;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    sqlite3_vfs vfs;
    sqlite3_io_methods methods;
    sqlite3_vfs *real;
    bool armed;
    struct fault_plan plan;
    uint32_t seen;
    uint32_t fired;
    uint32_t calls[FAULT_OPS][FAULT_FILES];
    bool wal_dirty;
    bool recording;
    struct image images[FAULT_FILES];
} state;

static struct fault_handle *handle(sqlite3_file *file)
{
    return (struct fault_handle *)file;
}

static sqlite3_file *real(sqlite3_file *file)
{
    return handle(file)->real;
}

/* Counts a call and tells whether it has to fail. */
static bool fails(enum fault_op op, enum fault_file file, enum fault_kind *kind)
{
    if (file == FAULT_FILES) {
        return false;
    }
    pthread_mutex_lock(&lock);
    state.calls[op][file]++;
    bool failing = false;
    if (state.armed && state.plan.op == op && state.plan.file == file) {
        state.seen++;
        failing = state.seen > state.plan.skip &&
                  (state.plan.count == 0 || state.seen <= state.plan.skip + state.plan.count);
        state.fired += failing ? 1 : 0;
        *kind = state.plan.kind;
    }
    pthread_mutex_unlock(&lock);
    return failing;
}

/* --- recording ------------------------------------------------------------------------------------------- */

static void patch(struct image *image, sqlite3_int64 offset, const unsigned char *data, int length)
{
    size_t end = (size_t)offset + (size_t)length;
    if (end > image->length) {
        image->data = realloc(image->data, end);
        memset(image->data + image->length, 0, end - image->length);
        image->length = end;
    }
    memcpy(image->data + offset, data, (size_t)length);
}

static void note_write(enum fault_file file, const void *data, int length, sqlite3_int64 offset)
{
    if (file == FAULT_FILES) {
        return;
    }
    pthread_mutex_lock(&lock);
    state.wal_dirty = state.wal_dirty || file == FAULT_WAL;
    if (state.recording) {
        struct image *image = &state.images[file];
        struct unsynced *write = malloc(sizeof *write + (size_t)length);
        *write = (struct unsynced){NULL, offset, length};
        memcpy(write->data, data, (size_t)length);
        *image->last = write;
        image->last = &write->next;
    }
    pthread_mutex_unlock(&lock);
}

static void forget_unsynced(struct image *image, bool keep)
{
    while (image->first != NULL) {
        struct unsynced *write = image->first;
        image->first = write->next;
        if (keep) {
            patch(image, write->offset, write->data, write->length);
        }
        free(write);
    }
    image->last = &image->first;
}

static void note_sync(enum fault_file file)
{
    if (file == FAULT_FILES) {
        return;
    }
    pthread_mutex_lock(&lock);
    state.wal_dirty = state.wal_dirty && file != FAULT_WAL;
    if (state.recording) {
        forget_unsynced(&state.images[file], true);
    }
    pthread_mutex_unlock(&lock);
}

static void note_truncate(enum fault_file file, sqlite3_int64 length)
{
    if (file == FAULT_FILES) {
        return;
    }
    pthread_mutex_lock(&lock);
    struct image *image = &state.images[file];
    if (state.recording && (size_t)length < image->length) {
        image->length = (size_t)length; /* as if it were durable at once: one of the allowed outcomes */
    }
    pthread_mutex_unlock(&lock);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15U;
    uint64_t z = *seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static void patch_some_sectors(struct image *image, const struct unsynced *write, uint64_t *seed)
{
    for (int at = 0; at < write->length; at += SECTOR_BYTES) {
        int length = write->length - at < SECTOR_BYTES ? write->length - at : SECTOR_BYTES;
        if (next_random(seed) % 2 == 0) {
            patch(image, write->offset + at, write->data + at, length);
        }
    }
}

static void write_image(const char *path, const struct image *from, uint64_t *seed)
{
    struct image image = {.length = from->length, .data = malloc(from->length + 1)};
    if (from->length > 0) {
        memcpy(image.data, from->data, from->length);
    }
    for (const struct unsynced *write = from->first; write != NULL; write = write->next) {
        switch (next_random(seed) % 3) {
        case 0:
            patch(&image, write->offset, write->data, write->length);
            break;
        case 1:
            patch_some_sectors(&image, write, seed);
            break;
        default:
            break;
        }
    }
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(image.data, 1, image.length, file) != image.length || fclose(file) != 0) {
        abort();
    }
    free(image.data);
}

void fault_vfs_power_cut(const char *directory, uint64_t seed)
{
    char path[512];
    pthread_mutex_lock(&lock);
    snprintf(path, sizeof path, "%s/troupe.db", directory);
    write_image(path, &state.images[FAULT_DB], &seed);
    snprintf(path, sizeof path, "%s/troupe.db-wal", directory);
    write_image(path, &state.images[FAULT_WAL], &seed);
    pthread_mutex_unlock(&lock);
}

/* --- the methods of a file ------------------------------------------------------------------------------- */

static int fault_close(sqlite3_file *file)
{
    return real(file)->pMethods == NULL ? SQLITE_OK : real(file)->pMethods->xClose(real(file));
}

static int fault_read(sqlite3_file *file, void *data, int length, sqlite3_int64 offset)
{
    enum fault_kind kind;
    if (fails(FAULT_READ, handle(file)->file, &kind)) {
        return SQLITE_IOERR_READ;
    }
    return real(file)->pMethods->xRead(real(file), data, length, offset);
}

static int fault_write(sqlite3_file *file, const void *data, int length, sqlite3_int64 offset)
{
    enum fault_kind kind;
    enum fault_file which = handle(file)->file;
    if (fails(FAULT_WRITE, which, &kind)) {
        if (kind == FAULT_SHORT) {
            note_write(which, data, length / 2, offset);
            real(file)->pMethods->xWrite(real(file), data, length / 2, offset);
        }
        return kind == FAULT_EIO ? SQLITE_IOERR_WRITE : SQLITE_FULL;
    }
    note_write(which, data, length, offset);
    return real(file)->pMethods->xWrite(real(file), data, length, offset);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 length)
{
    enum fault_kind kind;
    if (fails(FAULT_TRUNCATE, handle(file)->file, &kind)) {
        return SQLITE_IOERR_TRUNCATE;
    }
    note_truncate(handle(file)->file, length);
    return real(file)->pMethods->xTruncate(real(file), length);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    enum fault_kind kind;
    if (fails(FAULT_SYNC, handle(file)->file, &kind)) {
        return SQLITE_IOERR_FSYNC;
    }
    int code = real(file)->pMethods->xSync(real(file), flags);
    if (code == SQLITE_OK) {
        note_sync(handle(file)->file);
    }
    return code;
}

static int fault_shm_map(sqlite3_file *file, int region, int bytes, int extend, void volatile **out)
{
    enum fault_kind kind;
    if (extend && region >= handle(file)->regions) {
        if (fails(FAULT_SHM_GROW, handle(file)->file, &kind)) {
            return SQLITE_IOERR_SHMSIZE;
        }
        handle(file)->regions = region + 1;
    }
    return real(file)->pMethods->xShmMap(real(file), region, bytes, extend, out);
}

static int fault_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real(file)->pMethods->xFileSize(real(file), size);
}

static int fault_lock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xLock(real(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xUnlock(real(file), level);
}

static int fault_check_reserved(sqlite3_file *file, int *out)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), out);
}

static int fault_control(sqlite3_file *file, int op, void *arg)
{
    return real(file)->pMethods->xFileControl(real(file), op, arg);
}

static int fault_sector_size(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int fault_characteristics(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int fault_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real(file)->pMethods->xShmLock(real(file), offset, count, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
    real(file)->pMethods->xShmBarrier(real(file));
}

static int fault_shm_unmap(sqlite3_file *file, int delete_it)
{
    return real(file)->pMethods->xShmUnmap(real(file), delete_it);
}

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out)
{
    struct fault_handle *made = handle(file);
    (void)vfs;
    made->real = (sqlite3_file *)(made + 1);
    made->regions = 0;
    made->file = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? FAULT_DB
                 : (flags & SQLITE_OPEN_WAL) != 0   ? FAULT_WAL
                                                    : FAULT_FILES;
    int code = state.real->xOpen(state.real, name, made->real, flags, flags_out);
    made->base.pMethods = made->real->pMethods == NULL ? NULL : &state.methods;
    return code;
}

static int fault_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    (void)vfs;
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, "-wal") == 0) {
        pthread_mutex_lock(&lock);
        state.images[FAULT_WAL].length = 0;
        forget_unsynced(&state.images[FAULT_WAL], false);
        pthread_mutex_unlock(&lock);
    }
    return state.real->xDelete(state.real, name, sync_directory);
}

static void build(void)
{
    state.real = sqlite3_vfs_find(NULL);
    state.vfs = *state.real;
    state.vfs.zName = "fault";
    state.vfs.pNext = NULL;
    state.vfs.szOsFile = (int)sizeof(struct fault_handle) + state.real->szOsFile;
    state.vfs.xOpen = fault_open;
    state.vfs.xDelete = fault_delete;
    state.methods = (sqlite3_io_methods){
        .iVersion = 2,
        .xClose = fault_close,
        .xRead = fault_read,
        .xWrite = fault_write,
        .xTruncate = fault_truncate,
        .xSync = fault_sync,
        .xFileSize = fault_file_size,
        .xLock = fault_lock,
        .xUnlock = fault_unlock,
        .xCheckReservedLock = fault_check_reserved,
        .xFileControl = fault_control,
        .xSectorSize = fault_sector_size,
        .xDeviceCharacteristics = fault_characteristics,
        .xShmMap = fault_shm_map,
        .xShmLock = fault_shm_lock,
        .xShmBarrier = fault_shm_barrier,
        .xShmUnmap = fault_shm_unmap,
    };
    for (int i = 0; i < FAULT_FILES; i++) {
        state.images[i].last = &state.images[i].first;
    }
    sqlite3_vfs_register(&state.vfs, 0);
}

void fault_vfs_register(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, build);
}

void fault_vfs_arm(struct fault_plan plan)
{
    pthread_mutex_lock(&lock);
    state.plan = plan;
    state.armed = true;
    state.seen = 0;
    state.fired = 0;
    pthread_mutex_unlock(&lock);
}

void fault_vfs_disarm(void)
{
    pthread_mutex_lock(&lock);
    state.armed = false;
    pthread_mutex_unlock(&lock);
}

uint32_t fault_vfs_fired(void)
{
    pthread_mutex_lock(&lock);
    uint32_t fired = state.fired;
    pthread_mutex_unlock(&lock);
    return fired;
}

uint32_t fault_vfs_calls(enum fault_op op, enum fault_file file)
{
    pthread_mutex_lock(&lock);
    uint32_t calls = state.calls[op][file];
    pthread_mutex_unlock(&lock);
    return calls;
}

bool fault_vfs_wal_is_dirty(void)
{
    pthread_mutex_lock(&lock);
    bool dirty = state.wal_dirty;
    pthread_mutex_unlock(&lock);
    return dirty;
}

void fault_vfs_record(void)
{
    fault_vfs_register();
    pthread_mutex_lock(&lock);
    state.recording = true;
    pthread_mutex_unlock(&lock);
}
