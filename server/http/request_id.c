#include "server/http/request_id.h"

#include <sys/random.h>

static const char hex[16] = "0123456789abcdef";

/* A bijection on 64 bits (the finaliser of splitmix64): neighbouring counters give unlike ids, none twice. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* Eight digits at once: one nibble a byte, each then raised to its digit. */
static void put_hex32(char *at, uint32_t value)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x = value;
    x = (x << 16 | x) & UINT64_C(0x0000FFFF0000FFFF);
    x = (x << 8 | x) & UINT64_C(0x00FF00FF00FF00FF);
    x = (x << 4 | x) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    uint64_t letters = (x + ones * 6) >> 4 & ones;
    x += ones * '0' + letters * ('a' - '0' - 10);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    memcpy(at, &x, sizeof(x));
}

static void put_hex64(char *at, uint64_t value)
{
    put_hex32(at, (uint32_t)(value >> 32));
    put_hex32(at + 8, (uint32_t)value);
}

void request_id_source_seed(struct request_id_source *source, uint64_t prefix, uint64_t offset)
{
    *source = (struct request_id_source){.prefix = prefix, .offset = offset};
}

bool request_id_source_init(struct request_id_source *source)
{
    uint64_t random[2];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return false;
    }
    request_id_source_seed(source, random[0], random[1]);
    return true;
}

static uint64_t next(struct request_id_source *source)
{
    return mix(source->offset + ++source->counter);
}

static bool is_id_byte(unsigned char byte)
{
    unsigned char lower = text_lower(byte);
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' ||
           byte == '-';
}

bool request_id_valid(struct text value)
{
    if (value.count == 0 || value.count > REQUEST_ID_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < value.count; i++) {
        if (!is_id_byte((unsigned char)value.bytes[i])) {
            return false;
        }
    }
    return true;
}

void request_id_choose(struct request_id *id, struct request_id_source *source, struct text client)
{
    if (client.bytes != NULL && request_id_valid(client)) {
        memcpy(id->bytes, client.bytes, client.count);
        id->count = (uint8_t)client.count;
        return;
    }
    put_hex64(id->bytes, source->prefix);
    put_hex64(id->bytes + 16, next(source));
    id->count = REQUEST_ID_MADE_BYTES;
}

/* Lower-case hex only, as the specification demands. */
static bool take_hex(const char *at, size_t digits, uint64_t *value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = at[i];
        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *value = v;
    return true;
}

/* version "-" trace-id "-" parent-id "-" flags; a later version may go on after another "-". */
static bool parse(struct text header, struct trace_context *trace)
{
    const char *b = header.bytes;
    uint64_t version;
    uint64_t flags;
    if (b == NULL || header.count < TRACEPARENT_BYTES || b[2] != '-' || b[35] != '-' || b[52] != '-' ||
        !take_hex(b, 2, &version) || !take_hex(b + 3, 16, &trace->trace_high) ||
        !take_hex(b + 19, 16, &trace->trace_low) || !take_hex(b + 36, 16, &trace->parent) ||
        !take_hex(b + 53, 2, &flags)) {
        return false;
    }
    bool length_ok = header.count == TRACEPARENT_BYTES || (version > 0 && b[TRACEPARENT_BYTES] == '-');
    trace->flags = (uint8_t)(flags & 1); /* only "sampled" is defined; the rest must not be passed on */
    return version != 0xFF && length_ok && (trace->trace_high | trace->trace_low) != 0 && trace->parent != 0;
}

void trace_context_choose(struct trace_context *trace, struct request_id_source *source,
                          struct text traceparent)
{
    trace->continued = parse(traceparent, trace);
    if (!trace->continued) {
        trace->trace_high = source->prefix;
        trace->trace_low = next(source);
        trace->parent = 0;
        trace->flags = 0;
        if ((trace->trace_high | trace->trace_low) == 0) {
            trace->trace_low = 1;
        }
    }
    trace->span = next(source);
    if (trace->span == 0) {
        trace->span = next(source);
    }
}

void trace_context_write(const struct trace_context *trace, char out[TRACEPARENT_BYTES])
{
    out[0] = '0';
    out[1] = '0';
    out[2] = '-';
    put_hex64(out + 3, trace->trace_high);
    put_hex64(out + 19, trace->trace_low);
    out[35] = '-';
    put_hex64(out + 36, trace->span);
    out[52] = '-';
    out[53] = hex[trace->flags >> 4];
    out[54] = hex[trace->flags & 15];
}
