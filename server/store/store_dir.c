#include "server/store/store_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DB_NAME   "troupe.db"
#define WAL_NAME  "troupe.db-wal"
#define LOCK_NAME "lock"

static enum store_status fail(struct store_error *error, const char *doing, const char *path)
{
    int code = errno;
    enum store_status status = code == ENOSPC || code == EDQUOT ? STORE_FULL : STORE_IO;
    *error = (struct store_error){.status = status, .os_errno = code};
    snprintf(error->text, sizeof error->text, "%s %s: %s", doing, path, strerror(code));
    return status;
}

/* The directory that holds `path`, so that a new entry in it can be made durable. */
static int open_parent(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL) {
        return -1;
    }
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/') {
        copy[--length] = '\0';
    }
    char *slash = strrchr(copy, '/');
    const char *parent = ".";
    if (slash == copy) {
        parent = "/";
    } else if (slash != NULL) {
        *slash = '\0';
        parent = copy;
    }
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    return fd;
}

static enum store_status make_directory(const char *path, struct store_error *error)
{
    if (mkdir(path, 0700) != 0) {
        return errno == EEXIST ? STORE_OK : fail(error, "create the data directory", path);
    }
    int parent = open_parent(path);
    if (parent < 0) {
        return fail(error, "open the directory above", path);
    }
    int failed = fsync(parent);
    enum store_status status = failed != 0 ? fail(error, "sync the directory above", path) : STORE_OK;
    close(parent);
    return status;
}

static enum store_status refuse_second(int lock_fd, const char *path, struct store_error *error)
{
    char holder[24] = "";
    ssize_t got = pread(lock_fd, holder, sizeof holder - 1, 0);
    holder[got > 0 ? got : 0] = '\0';
    holder[strcspn(holder, " \n")] = '\0';
    *error = (struct store_error){.status = STORE_LOCKED, .os_errno = EWOULDBLOCK};
    snprintf(error->text, sizeof error->text, "the data directory %s is in use by process %s", path,
             holder[0] == '\0' ? "(unknown)" : holder);
    return STORE_LOCKED;
}

static enum store_status take_lock(struct store__dir *dir, const char *path, struct store_error *error)
{
    dir->lock_fd = openat(dir->fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (dir->lock_fd < 0) {
        return fail(error, "open the lock file in", path);
    }
    while (flock(dir->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return refuse_second(dir->lock_fd, path, error);
        }
        if (errno != EINTR) {
            return fail(error, "lock", path);
        }
    }
    char text[24];
    int length = snprintf(text, sizeof text, "%-20ld\n", (long)getpid());
    /* Best effort: on a full disk the lock holds all the same, only without a name. */
    ssize_t wrote = pwrite(dir->lock_fd, text, (size_t)length, 0);
    (void)wrote;
    return STORE_OK;
}

static enum store_status look_inside(struct store__dir *dir, const char *path, struct store_error *error)
{
    int db = openat(dir->fd, DB_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (db >= 0) {
        dir->created = true;
        close(db);
    } else if (errno != EEXIST) {
        return fail(error, "create the database in", path);
    }
    struct stat info;
    if (fstatat(dir->fd, WAL_NAME, &info, 0) == 0) {
        dir->wal_bytes = (uint64_t)info.st_size;
    } else if (errno != ENOENT) {
        return fail(error, "look at the WAL in", path);
    }
    return STORE_OK;
}

enum store_status store__dir_open(struct store__dir *dir, const char *path, struct store_error *error)
{
    *dir = (struct store__dir){.fd = -1, .lock_fd = -1};
    enum store_status status = make_directory(path, error);
    if (status != STORE_OK) {
        return status;
    }
    dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0) {
        return fail(error, "open the data directory", path);
    }
    status = take_lock(dir, path, error);
    if (status == STORE_OK) {
        status = look_inside(dir, path, error);
    }
    if (status == STORE_OK && asprintf(&dir->db_path, "%s/%s", path, DB_NAME) < 0) {
        dir->db_path = NULL;
        errno = ENOMEM;
        status = fail(error, "name the database in", path);
    }
    if (status != STORE_OK) {
        store__dir_close(dir);
    }
    return status;
}

void store__dir_close(struct store__dir *dir)
{
    free(dir->db_path);
    if (dir->lock_fd >= 0) {
        close(dir->lock_fd);
    }
    if (dir->fd >= 0) {
        close(dir->fd);
    }
    *dir = (struct store__dir){.fd = -1, .lock_fd = -1};
}

enum store_status store__dir_sync(const struct store__dir *dir, struct store_error *error)
{
    return fsync(dir->fd) == 0 ? STORE_OK : fail(error, "sync the data directory of", dir->db_path);
}
