/* The whole service in this process, on a unix socket, as server/app.c puts it together: each input is what one client
 * sends over one connection. Whatever it is, the connection ends soon after the client has no more to say, what was
 * answered is HTTP by the letter (answers.h), and the service still answers the next client.
 *
 * The first byte says how the bytes arrive: its lowest two bits in how many pieces (1..4; one byte for each cut
 * follows), LEAVES that the client closes at once and reads nothing, TWICE that a second client sends the same at the
 * same time.
 *
 * The service keeps what the inputs did to it (policies, levels), so an input that broke it need not do so alone. */
#include "server/app.h"
#include "server/http/request.h"
#include "server/json.h"
#include "server/log.h"
#include "tests/fuzz/answers.h"

#include <errno.h>
#include <ftw.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LEAVES         4
#define TWICE          8
#define ANSWERS_MAX    ((size_t)8 << 20)
#define PATIENCE_MS    8000 /* more than request_timeout_ms */
#define HEALTH_EVERY   64
#define ROUTES_MAX     64
#define TABLES_MAX     8
#define READ_WITHIN_NS 10000000

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);
struct router *__real_router_create(const struct route_table *tables, size_t count, char *why,
                                    size_t why_bytes);
struct router *__wrap_router_create(const struct route_table *tables, size_t count, char *why,
                                    size_t why_bytes);

static struct {
    char directory[80];
    struct sockaddr_un address;
    struct settings *settings;
    char *answers;
    unsigned long inputs;
} self;

/* Stacks of processes are no roots to LeakSanitizer, so it would report what only they hold. */
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* ---- the service ---- */

/* Stands in for what would end or stop processes of the service. */
static void harmless(struct http_request *request)
{
    const cJSON *body = http_request_json(request);
    if (body == NULL) {
        http_answer_empty(request, 202);
        return;
    }
    json_out_tree(http_answer_out(request), body);
    http_answer_json(request, 202);
}

static bool does_harm(const struct route *route)
{
    static const char *const endings[] = {"/exit", "/suspend", "/resume"};
    size_t count = strlen(route->pattern);
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t ending = strlen(endings[i]);
        if (count >= ending && strcmp(route->pattern + count - ending, endings[i]) == 0) {
            return true;
        }
    }
    return strncmp(route->pattern, "/v1/drills", 10) == 0;
}

struct router *__wrap_router_create(const struct route_table *tables, size_t count, char *why,
                                    size_t why_bytes)
{
    static struct route routes[TABLES_MAX][ROUTES_MAX];
    struct route_table tamed[TABLES_MAX];
    if (count > TABLES_MAX) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        if (tables[i].count > ROUTES_MAX) {
            abort();
        }
        for (size_t k = 0; k < tables[i].count; k++) {
            routes[i][k] = tables[i].routes[k];
            if (does_harm(&routes[i][k])) {
                routes[i][k].handler = harmless;
            }
        }
        tamed[i] = (struct route_table){.routes = routes[i], .count = tables[i].count};
    }
    return __real_router_create(tamed, count, why, why_bytes);
}

static void *serve(void *arg)
{
    (void)arg;
    int status = app_run(self.settings);
    fprintf(stderr, "broken: the service ended with status %d\n", status);
    abort();
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *walk)
{
    (void)found;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void clean_up(void)
{
    (void)nftw(self.directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* run.sh lets TMPDIR be in memory where it can: what is written durably costs nothing there. */
static void make_directory(void)
{
    const char *place = getenv("TMPDIR");
    int count =
        snprintf(self.directory, sizeof(self.directory), "%s/fuzz.XXXXXX", place == NULL ? "/tmp" : place);
    bool fits = count > 0 && (size_t)count < sizeof(self.directory);
    answers_demand(fits && mkdtemp(self.directory) != NULL, "a directory can be made in TMPDIR", "", 0);
    self.address.sun_family = AF_UNIX;
    snprintf(self.address.sun_path, sizeof(self.address.sun_path), "%s/socket", self.directory);
    atexit(clean_up);
}

/* Limits are low, so that small inputs reach them. */
static void load_settings(void)
{
    char listen[128];
    char data[128];
    snprintf(listen, sizeof(listen), "unix:%s", self.address.sun_path);
    snprintf(data, sizeof(data), "%s/data", self.directory);
    const char *const argv[] = {"trouped", "--listen", listen, "--data", data, NULL};
    const char *const environment[] = {
        "TROUPE_WORKERS=1",
        "TROUPE_PARTITIONS=2",
        "TROUPE_MAX_KEYS=4",
        "TROUPE_MAX_HEADER_BYTES=4096",
        "TROUPE_MAX_HEADERS=16",
        "TROUPE_MAX_BODY_BYTES=1024",
        "TROUPE_JSON_MAX_TOKENS=100",
        "TROUPE_REQUEST_TIMEOUT_MS=4000",
        "TROUPE_HEADER_TIMEOUT_MS=300",
        "TROUPE_BODY_TIMEOUT_MS=300",
        "TROUPE_IDLE_TIMEOUT_MS=300",
        NULL,
    };
    struct settings_error error;
    if (settings_load(argv, environment, &self.settings, &error) != 0) {
        answers_demand(false, "the settings are good", error.text, strlen(error.text));
    }
}

/* ---- a client ---- */

static int try_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&self.address, sizeof(self.address)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Waits until the service has read what was written, if it does so soon. */
static void let_it_read(int fd)
{
    int left = 1;
    int64_t give_up = now_ns() + READ_WITHIN_NS;
    while (ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0 && now_ns() < give_up) {
        sched_yield();
    }
}

/* Returns: false when the service has closed. */
static bool say(int fd, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return false;
        }
        bytes += sent < 0 ? 0 : sent;
        count -= sent < 0 ? 0 : (size_t)sent;
    }
    return true;
}

/* Reads until the service closes. */
static size_t hear(int fd)
{
    size_t count = 0;
    for (;;) {
        ssize_t got = recv(fd, self.answers + count, ANSWERS_MAX - count, MSG_DONTWAIT);
        if (got > 0) {
            count += (size_t)got;
            answers_demand(count < ANSWERS_MAX, "the answers to one connection end", self.answers, 4096);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            return count;
        } else {
            struct pollfd ear = {.fd = fd, .events = POLLIN};
            int ready = poll(&ear, 1, PATIENCE_MS);
            answers_demand(ready != 0, "the service closes a connection that is over", self.answers, count);
        }
    }
}

/* What a client does, as the input tells. */
struct script {
    const uint8_t *bytes;
    size_t count;
    const uint8_t *cuts;
    size_t cut_count;
    bool leaves;
    bool twice;
};

static int arrive(void)
{
    int fd = try_connect();
    answers_demand(fd >= 0, "the service accepts connections", "", 0);
    return fd;
}

static void say_in_pieces(int fd, const struct script *script)
{
    size_t from = 0;
    bool open = true;
    for (size_t i = 0; i < script->cut_count && open; i++) {
        size_t to = script->count * script->cuts[i] / 256;
        if (to > from) {
            open = say(fd, script->bytes + from, to - from);
            let_it_read(fd);
            from = to;
        }
    }
    if (open) {
        (void)say(fd, script->bytes + from, script->count - from);
    }
}

/* Judges all answers until the service closes.   Returns: how many. */
static size_t hear_out(int fd, const struct script *script)
{
    /* libmicrohttpd does not see the end of a connection that it learns of together with the last bytes. It is then
     * cut at a deadline. */
    let_it_read(fd);
    shutdown(fd, SHUT_WR);
    size_t heard = hear(fd);
    return answers_check(self.answers, heard, memmem(script->bytes, script->count, "HEAD", 4) != NULL);
}

static size_t play(const struct script *script)
{
    int first = arrive();
    int second = script->twice ? arrive() : -1;
    size_t answers = 0;
    if (script->twice) {
        (void)say(second, script->bytes, script->count);
    }
    say_in_pieces(first, script);
    if (!script->leaves) {
        answers = hear_out(first, script);
    }
    close(first);
    if (script->twice) {
        answers += hear_out(second, script);
        close(second);
    }
    return answers;
}

static void ask_for_health(void)
{
    static const char question[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    static const char good[] = "HTTP/1.1 200 ";
    size_t count = play(&(struct script){.bytes = (const uint8_t *)question, .count = sizeof(question) - 1});
    answers_demand(count == 1 && memcmp(self.answers, good, sizeof(good) - 1) == 0, "the service is well", "",
                   0);
}

/* ---- libFuzzer's side ---- */

static void wait_until_open(void)
{
    const struct timespec step = {.tv_nsec = 1000000};
    for (int i = 0; i < PATIENCE_MS; i++) {
        int fd = try_connect();
        if (fd >= 0) {
            close(fd);
            ask_for_health();
            return;
        }
        nanosleep(&step, NULL);
    }
    answers_demand(false, "the service starts", "", 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    make_directory();
    load_settings();
    self.answers = malloc(ANSWERS_MAX);
    answers_demand(self.answers != NULL, "memory", "", 0);
    /* Signals are libFuzzer's and for this thread; threads of the service inherit that they are blocked. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    json_init();
    /* Every request is logged, so that hostile bytes go through there too. */
    log_start(&(struct log_options){.level = LOG_INFO, .access = LOG_ACCESS_ALL, .file = "/dev/null"});
    pthread_t thread;
    answers_demand(pthread_create(&thread, NULL, serve, NULL) == 0, "a thread can be made", "", 0);
    pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    wait_until_open();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t cuts = size == 0 ? 0 : data[0] & 3;
    if (size < 1 + cuts) {
        return -1;
    }
    (void)play(&(struct script){
        .bytes = data + 1 + cuts,
        .count = size - 1 - cuts,
        .cuts = data + 1,
        .cut_count = cuts,
        .leaves = (data[0] & LEAVES) != 0,
        .twice = (data[0] & TWICE) != 0,
    });
    if (++self.inputs % HEALTH_EVERY == 0) {
        ask_for_health();
    }
    return 0;
}
