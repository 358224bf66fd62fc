/* message.h: typed messages.
 *
 * A message type is declared once, has a name (for traces and crash reports) and a size. A message is a block
 * from the sender's pool that *moves* to the receiver: payload copied once, at the send.
 *
 * Invariants
 *  1. A message belongs to exactly one process; it is freed when the callback that got it returns
 *     (behaviours), by
 *     tr_msg_drop (plain processes), or with its process.
 *  2. Terms inside a payload (declared with TR_MESSAGE_TERMS) are flattened into the same block: they live as
 *     long
 *     as the message. Blobs (tr_blob fields declared with TR_MESSAGE_BLOBS) are counted.
 *  3. Order: what one process sent first to another is handled first, over all kinds of signals.
 * Limits: payload <= 64 KiB with its terms (larger data travels as a tr_blob); payload alignment 8.
 */
#ifndef TROUPE_MESSAGE_H
#define TROUPE_MESSAGE_H

#include <troupe/base.h>
#include <troupe/term.h>

typedef struct tr_type {
    const char *name;
    uint32_t size;
    uint16_t term_count;
    uint16_t blob_count;
    const uint16_t *terms; /* offsets of tr_term members */
    const uint16_t *blobs; /* offsets of tr_blob * members */
} tr_type;

/* What a message is, besides its type. */
typedef enum tr_msg_kind {
    TR_MSG_INFO,   /* tr_send: a bare message                                            */
    TR_MSG_CALL,   /* a gen_server call; tr_msg_from() says who waits                    */
    TR_MSG_CAST,   /* a gen_server cast                                                  */
    TR_MSG_REPLY,  /* an answer to a call; tr_msg_ref() is the request's reference       */
    TR_MSG_EXIT,   /* an exit signal received while trapping: type tr_exit_msg           */
    TR_MSG_DOWN,   /* a monitor fired: type tr_down_msg                                  */
    TR_MSG_TIMER,  /* start_timer expired: tr_msg_ref() is the timer; else like INFO     */
    TR_MSG_SYSTEM, /* sys protocol; never shown to callbacks                             */
    TR_MSG_ACK,    /* start protocol, a machine's time-outs; never shown to callbacks    */
} tr_msg_kind;

/** One message. Fields with tr__ are the runtime's. */
typedef struct tr_msg {
    struct tr_msg *tr__next;
    const tr_type *type;
    tr_ref tr__ref; /* CALL: whom to answer; REPLY, TIMER, DOWN: the reference; EXIT: owner = sender */
    uint32_t tr__bytes;
    uint8_t tr__signal;
    uint8_t tr__flags;
    uint8_t tr__class;
    uint8_t tr__spare;
    uint64_t tr__data[];
} tr_msg;

/** Whom to answer. Copy it freely; answer once, from anywhere, with tr_reply. */
typedef struct tr_from {
    tr_ref ref;
} tr_from;

tr_msg_kind tr_msg_kind_of(const tr_msg *msg);
static inline const void *tr_msg_data(const tr_msg *msg)
{
    return msg->tr__data;
}
static inline tr_ref tr_msg_ref(const tr_msg *msg)
{
    return msg->tr__ref;
}
static inline tr_from tr_msg_from(const tr_msg *msg)
{
    return (tr_from){msg->tr__ref};
}

/** Declares a message type and its C struct: TR_MESSAGE(counter_add, { int64_t by; });
 *  May stand in a header: the descriptor is one object however many files include it. */
#define TR_MESSAGE(T, ...)          \
    typedef struct T __VA_ARGS__ T; \
    extern const tr_type T##__type; \
    __attribute__((weak)) const tr_type T##__type = {.name = #T, .size = (uint32_t)sizeof(T)}
/** A message without payload. */
#define TR_MESSAGE_EMPTY(T)         \
    typedef struct T {              \
        char tr__none[0];           \
    } T;                            \
    extern const tr_type T##__type; \
    __attribute__((weak)) const tr_type T##__type = {.name = #T, .size = 0}
/** With members of type tr_term: TR_MESSAGE_TERMS(note, { tr_term what; int n; }, offsetof(note, what)); */
#define TR_MESSAGE_TERMS(T, BODY, ...)                                                          \
    typedef struct T BODY T;                                                                    \
    extern const tr_type T##__type;                                                             \
    __attribute__((weak)) const uint16_t T##__terms[] = {__VA_ARGS__};                          \
    __attribute__((weak))                                                                       \
    const tr_type T##__type = {.name = #T,                                                      \
                               .size = (uint32_t)sizeof(T),                                     \
                               .term_count = (uint16_t)(sizeof((uint16_t[]){__VA_ARGS__}) / 2), \
                               .terms = T##__terms}
/** With members of type tr_blob *. */
#define TR_MESSAGE_BLOBS(T, BODY, ...)                                                          \
    typedef struct T BODY T;                                                                    \
    extern const tr_type T##__type;                                                             \
    __attribute__((weak)) const uint16_t T##__blobs[] = {__VA_ARGS__};                          \
    __attribute__((weak))                                                                       \
    const tr_type T##__type = {.name = #T,                                                      \
                               .size = (uint32_t)sizeof(T),                                     \
                               .blob_count = (uint16_t)(sizeof((uint16_t[]){__VA_ARGS__}) / 2), \
                               .blobs = T##__blobs}

#define TR_TYPE(T) (&T##__type)

/** The payload when the message has this type, else NULL. Borrows: valid as long as the message. */
#define TR_MATCH(msg, T) ((const T *)tr__match((msg), TR_TYPE(T)))
static inline const void *tr__match(const tr_msg *msg, const tr_type *type)
{
    return msg != NULL && msg->type == type ? (const void *)msg->tr__data : NULL;
}

/** Any term as a message. */
TR_MESSAGE_TERMS(
    tr_term_msg, { tr_term value; }, offsetof(tr_term_msg, value));
/** An exit signal as a message ({'EXIT', From, Reason}). */
TR_MESSAGE_TERMS(
    tr_exit_msg,
    {
        tr_pid from;
        tr_term reason;
    },
    offsetof(tr_exit_msg, reason));
/** A monitor that fired ({'DOWN', Ref, process, Object, Reason}); tag replaces 'DOWN' when the monitor asked
 *  so. name is none, or the registered name that was monitored. */
TR_MESSAGE_TERMS(
    tr_down_msg,
    {
        tr_ref ref;
        tr_pid pid;
        tr_term name;
        tr_term reason;
        tr_term tag;
    },
    offsetof(tr_down_msg, name), offsetof(tr_down_msg, reason), offsetof(tr_down_msg, tag));
/** The idle time-out of a gen_server, delivered through handle_info. */
TR_MESSAGE_EMPTY(tr_timeout_msg);

/** Frees a message that tr_receive or a call handed out, before its time. Context: the owning process. */
void tr_msg_drop(tr_msg *msg);
/** Makes a message of this type (payload copied, terms flattened, blobs retained); give it to tr_send_msg and
 *  its kin or drop it.
 *  Returns: a message owned by the caller; never NULL (the caller's process exits with nomem). */
tr_msg *tr_msg_new(const tr_type *type, const void *payload);
#define TR_MSG(T, ...) tr_msg_new(TR_TYPE(T), &(T){__VA_ARGS__})

/* ---- blobs: large immutable bytes, shared by count
 * -------------------------------------------------------------- */
typedef struct tr_blob {
    uint32_t tr__count;
    uint32_t tr__spare;
    size_t size;
    uint8_t bytes[];
} tr_blob;
/** Copies the bytes (or leaves them to be filled before sharing when bytes is NULL). Returns: one reference.
 *  */
tr_blob *tr_blob_new(const void *bytes, size_t size);
tr_blob *tr_blob_retain(tr_blob *blob);
void tr_blob_drop(tr_blob *blob);

#endif
