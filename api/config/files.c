#define _GNU_SOURCE
#include "api/config/files.h"

#include "api/config/config.h"
#include "server/log.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#define SETTLE_MS      200
#define SETTLE_MOST_MS 2000
#define LOOK_MS        5000
#define FILES_MAX      2

/* What the path leads to. All zero: nothing. */
struct fingerprint {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed, modified;
};

struct folder {
    uv_fs_event_t event;
    char path[PATH_MAX];
    bool watched;
};

struct file {
    const char *path;
    struct fingerprint seen;
    struct folder named, led_to; /* of the path, and of the file that it leads to */
};

static struct {
    bool started;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t stop;
    uv_timer_t settle, look;
    uint64_t first_ms; /* of the burst that settles; 0: none */
    struct file files[FILES_MAX];
    int count;
} watching;

static struct fingerprint fingerprint_of(const char *path)
{
    struct fingerprint found;
    struct stat file;

    memset(&found, 0, sizeof(found)); /* compared as bytes */
    if (stat(path, &file) == 0) {
        found.device = file.st_dev;
        found.inode = file.st_ino;
        found.size = file.st_size;
        found.changed = file.st_ctim;
        found.modified = file.st_mtim;
    }
    return found;
}

/* ---- folders ---- */

static void folder_event(uv_fs_event_t *event, const char *name, int events, int status);

/* Watches anew: the name may lead to another folder than it did. */
static void folder_watch(struct folder *folder, const char *file)
{
    const char *slash = strrchr(file, '/');
    size_t bytes = slash == NULL ? 0 : slash == file ? 1 : (size_t)(slash - file);

    if (folder->watched) {
        uv_fs_event_stop(&folder->event);
    }
    if (slash == NULL) {
        strcpy(folder->path, ".");
    } else {
        memcpy(folder->path, file, bytes);
        folder->path[bytes] = '\0';
    }
    folder->watched = uv_fs_event_start(&folder->event, folder_event, folder->path, 0) == 0;
}

static void file_watch(struct file *file)
{
    char real[PATH_MAX];

    folder_watch(&file->named, file->path);
    if (realpath(file->path, real) != NULL) {
        folder_watch(&file->led_to, real);
    }
}

/* ---- looking ---- */

static void look_at_files(uv_timer_t *timer)
{
    bool changed = false;

    (void)timer;
    watching.first_ms = 0;
    for (int i = 0; i < watching.count; i++) {
        struct file *file = &watching.files[i];
        struct fingerprint now = fingerprint_of(file->path);
        if (memcmp(&now, &file->seen, sizeof(now)) != 0) {
            file->seen = now;
            changed = true;
            log_event(LOG_INFO, EVENT_CONFIG_FILE_CHANGED, log_str("file", file->path),
                      log_bool("there", now.inode != 0));
            file_watch(file);
        } else if (!file->named.watched) {
            file_watch(file);
        }
    }
    if (changed) {
        config_reload_later();
    }
}

static void folder_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    uint64_t now_ms = uv_now(&watching.loop);
    struct folder *folder = event->data;

    (void)name;
    (void)events;
    folder->watched = folder->watched && status == 0;
    watching.first_ms = watching.first_ms == 0 ? now_ms : watching.first_ms;
    uint64_t latest_ms = watching.first_ms + SETTLE_MOST_MS;
    uint64_t due_ms = now_ms + SETTLE_MS < latest_ms ? now_ms + SETTLE_MS : latest_ms;
    uv_timer_start(&watching.settle, look_at_files, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* ---- the thread ---- */

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void stop_asked(uv_async_t *stop)
{
    uv_walk(stop->loop, close_handle, NULL);
}

static void *run(void *arg)
{
    (void)arg;
    uv_run(&watching.loop, UV_RUN_DEFAULT);
    return NULL;
}

static void folder_init(struct folder *folder)
{
    uv_fs_event_init(&watching.loop, &folder->event);
    folder->event.data = folder;
    folder->watched = false;
}

static void file_add(const char *path)
{
    if (path == NULL) {
        return;
    }
    struct file *file = &watching.files[watching.count++];
    file->path = path;
    folder_init(&file->named);
    folder_init(&file->led_to);
    file_watch(file); /* before the look: what changes in between is an event */
    file->seen = fingerprint_of(path);
}

/* Signals are the main thread's. */
static bool thread_start(void)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&watching.thread, NULL, run, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

bool config_files_start(const struct settings *settings)
{
    watching.count = 0;
    watching.first_ms = 0;
    if (settings->config == NULL && settings->env_file == NULL) {
        return true;
    }
    if (uv_loop_init(&watching.loop) != 0) {
        return false;
    }
    bool has_async = uv_async_init(&watching.loop, &watching.stop, stop_asked) == 0;
    uv_timer_init(&watching.loop, &watching.settle);
    uv_timer_init(&watching.loop, &watching.look);
    uv_timer_start(&watching.look, look_at_files, LOOK_MS, LOOK_MS);
    file_add(settings->config);
    file_add(settings->env_file);
    watching.started = has_async && thread_start();
    if (!watching.started) {
        uv_walk(&watching.loop, close_handle, NULL);
        uv_run(&watching.loop, UV_RUN_DEFAULT);
        uv_loop_close(&watching.loop);
    }
    return watching.started;
}

void config_files_stop(void)
{
    if (!watching.started) {
        return;
    }
    uv_async_send(&watching.stop);
    pthread_join(watching.thread, NULL);
    uv_loop_close(&watching.loop);
    watching.started = false;
}
