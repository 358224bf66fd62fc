/* openapi_embed YAML JSON C: turns openapi.yaml into JSON, and both into a C file with two arrays.
 *
 * Read is a part of YAML 1.2 in which every document means the same to YAML 1.1 readers: block mappings and
 * sequences, one-line flow collections, plain and quoted scalars of one line, `|` and `>` blocks with `-` or nothing
 * behind. Anchors, tags, directives, tabs, plain scalars over several lines, repeated keys, and words that readers
 * disagree about (yes, on, 012, 12:30, 2026-01-01) end the program with the line's number.
 * A build tool: it recurses with the depth of the document, and never frees. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64
#define KEYS_MAX  512

struct line {
    char *text; /* without indentation and trailing blanks */
    int indent; /* -1: blank or a comment */
    int number;
    const char *raw; /* as it stands, for blocks */
};

static struct {
    struct line *lines;
    int count;
    int at;
    int depth;
    char *out;
    size_t used, room;
} self;

static _Noreturn void fail(int number, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "openapi.yaml:%d: %s\n", number, text);
    exit(1);
}

static void *must(void *memory)
{
    if (memory == NULL) {
        perror("openapi_embed");
        exit(1);
    }
    return memory;
}

/* ---- JSON out ---- */

static void put_bytes(const char *bytes, size_t count)
{
    if (self.used + count > self.room) {
        self.room = (self.used + count) * 2 + 4096;
        self.out = must(realloc(self.out, self.room));
    }
    memcpy(self.out + self.used, bytes, count);
    self.used += count;
}

static void put(const char *text)
{
    put_bytes(text, strlen(text));
}

static void put_string(const char *bytes, size_t count)
{
    put("\"");
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        char escape[8];
        if (byte == '"' || byte == '\\') {
            put_bytes((char[]){'\\', (char)byte}, 2);
        } else if (byte == '\n') {
            put("\\n");
        } else if (byte < 0x20) {
            snprintf(escape, sizeof(escape), "\\u%04x", byte);
            put(escape);
        } else {
            put_bytes(bytes + i, 1);
        }
    }
    put("\"");
}

/* ---- scalars ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits(const char *text, size_t count, size_t from)
{
    while (from < count && is_digit(text[from])) {
        from++;
    }
    return from;
}

/* A JSON number, wholly. */
static bool is_number(const char *text, size_t count)
{
    size_t at = count > 0 && text[0] == '-' ? 1 : 0;
    size_t whole = digits(text, count, at);
    if (whole == at || (whole - at > 1 && text[at] == '0')) {
        return false;
    }
    at = whole;
    if (at < count && text[at] == '.') {
        size_t end = digits(text, count, at + 1);
        if (end == at + 1) {
            return false;
        }
        at = end;
    }
    return at == count;
}

static bool is_word(const char *text, size_t count, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strlen(words[i]) == count && memcmp(words[i], text, count) == 0) {
            return true;
        }
    }
    return false;
}

/* Words whose meaning depends on the reader must be quoted. */
static void refuse_doubtful(const char *text, size_t count, int number)
{
    static const char *const words[] = {
        "yes", "Yes", "YES", "no",   "No",   "NO", "on",   "On",   "ON",    "off",   "Off",  "OFF",  "y",
        "Y",   "n",   "N",   "True", "TRUE", "~",  "Null", "NULL", "False", "FALSE", ".inf", ".nan", NULL};
    bool numeric = count > 0;
    for (size_t i = 0; i < count; i++) {
        numeric = numeric && (is_digit(text[i]) || strchr("+-.:_eExXoabcdfABCDF", text[i]) != NULL);
    }
    bool leads = count > 0 &&
                 (is_digit(text[0]) || (count > 1 && strchr("+-.", text[0]) != NULL && is_digit(text[1])));
    if (is_word(text, count, words) || (numeric && leads)) {
        fail(number, "quote `%.*s`: readers of YAML disagree about it", (int)count, text);
    }
}

/* A plain scalar or key begins with a letter, a digit or one of a few marks that mean nothing to YAML. */
static void require_plain(const char *text, size_t count, int number)
{
    bool letter = count > 0 && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z'));
    if (count == 0 || !(letter || is_digit(text[0]) || strchr("$/_.(", text[0]) != NULL) ||
        text[count - 1] == ' ') {
        fail(number, "quote `%.*s`", (int)count, text);
    }
    refuse_doubtful(text, count, number);
}

static void put_plain(const char *text, size_t count, int number)
{
    static const char *const literals[] = {"true", "false", "null", NULL};
    if (is_word(text, count, literals) || is_number(text, count)) {
        put_bytes(text, count);
        return;
    }
    require_plain(text, count, number);
    put_string(text, count);
}

/* Reads a quoted scalar into a fresh buffer; *end is behind the closing quote. */
static char *unquote(const char *text, size_t *end, size_t *count, int number)
{
    char quote = text[0];
    char *out = must(malloc(strlen(text) + 1));
    size_t used = 0;
    size_t at = 1;
    for (;; at++) {
        if (text[at] == '\0') {
            fail(number, "a quote is not closed on its line");
        }
        if (text[at] == quote && quote == '\'' && text[at + 1] == quote) {
            at++;
        } else if (text[at] == quote) {
            break;
        } else if (text[at] == '\\' && quote == '"') {
            at++;
            const char *from = "\"\\/nt";
            const char *found = text[at] == '\0' ? NULL : strchr(from, text[at]);
            if (found == NULL) {
                fail(number, "this escape is not known here");
            }
            out[used++] = "\"\\/\n\t"[found - from];
            continue;
        }
        out[used++] = text[at];
    }
    *end = at + 1;
    *count = used;
    return out;
}

/* ---- flow collections, on one line ---- */

static size_t flow_value(const char *text, size_t at, int number);

static size_t skip_blanks(const char *text, size_t at)
{
    while (text[at] == ' ') {
        at++;
    }
    return at;
}

/* Where a plain scalar inside a flow collection ends. */
static size_t flow_plain_end(const char *text, size_t at)
{
    while (text[at] != '\0' && strchr(",[]{}", text[at]) == NULL &&
           !(text[at] == ':' && (text[at + 1] == ' ' || text[at + 1] == '\0'))) {
        at++;
    }
    return at;
}

static size_t flow_scalar(const char *text, size_t at, bool key, int number)
{
    size_t end = 0;
    size_t count = 0;
    if (text[at] == '"' || text[at] == '\'') {
        char *value = unquote(text + at, &end, &count, number);
        put_string(value, count);
        return at + end;
    }
    end = flow_plain_end(text, at);
    count = end - at;
    while (count > 0 && text[at + count - 1] == ' ') {
        count--;
    }
    if (count == 0) {
        fail(number, "a value is missing");
    }
    if (key) {
        require_plain(text + at, count, number);
        put_string(text + at, count);
    } else {
        put_plain(text + at, count, number);
    }
    return end;
}

static size_t flow_collection(const char *text, size_t at, int number)
{
    bool object = text[at] == '{';
    char close = object ? '}' : ']';
    put(object ? "{" : "[");
    at = skip_blanks(text, at + 1);
    for (bool first = true; text[at] != close; first = false) {
        if (!first) {
            if (text[at] != ',') {
                fail(number, "`,` or `%c` is missing", close);
            }
            put(",");
            at = skip_blanks(text, at + 1);
        }
        if (object) {
            at = skip_blanks(text, flow_scalar(text, at, true, number));
            if (text[at] != ':') {
                fail(number, "`:` is missing");
            }
            put(":");
            at = skip_blanks(text, at + 1);
        }
        at = skip_blanks(text, flow_value(text, at, number));
    }
    put(object ? "}" : "]");
    return at + 1;
}

static size_t flow_value(const char *text, size_t at, int number)
{
    if (++self.depth > DEPTH_MAX) {
        fail(number, "nested too deeply");
    }
    size_t end = text[at] == '{' || text[at] == '[' ? flow_collection(text, at, number)
                                                    : flow_scalar(text, at, false, number);
    self.depth--;
    return end;
}

/* ---- lines ---- */

/* Cuts a comment: a # at the beginning or behind a blank, outside quotes. */
static void cut_comment(char *text)
{
    char quote = 0;
    for (char *at = text; *at != '\0'; at++) {
        if (quote != 0) {
            if (*at == '\\' && quote == '"' && at[1] != '\0') {
                at++;
            } else if (*at == quote) {
                quote = 0;
            }
        } else if ((*at == '"' || *at == '\'') && (at == text || strchr(" [{,:-", at[-1]) != NULL)) {
            quote = *at;
        } else if (*at == '#' && (at == text || at[-1] == ' ')) {
            *at = '\0';
            break;
        }
    }
    size_t count = strlen(text);
    while (count > 0 && text[count - 1] == ' ') {
        text[--count] = '\0';
    }
}

static void split_lines(char *bytes)
{
    int room = 0;
    for (char *next = bytes; *next != '\0';) {
        char *text = next;
        size_t count = strcspn(text, "\n");
        next = text + count + (text[count] == '\n' ? 1 : 0);
        text[count] = '\0';
        if (self.count == room) {
            room = room * 2 + 256;
            self.lines = must(realloc(self.lines, (size_t)room * sizeof(*self.lines)));
        }
        int number = self.count + 1;
        if (strpbrk(text, "\t\r") != NULL) {
            fail(number, "tabs and carriage returns are not taken");
        }
        size_t indent = strspn(text, " ");
        char *content = must(strdup(text + indent));
        cut_comment(content);
        self.lines[self.count++] = (struct line){
            .text = content, .indent = content[0] == '\0' ? -1 : (int)indent, .number = number, .raw = text};
    }
}

/* The next line with content, or NULL. */
static struct line *peek(void)
{
    while (self.at < self.count && self.lines[self.at].indent < 0) {
        self.at++;
    }
    return self.at < self.count ? &self.lines[self.at] : NULL;
}

/* ---- blocks ---- */

static void block(int indent);

/* A `|` or `>` scalar: the lines below that are indented more than its key. */
static void block_scalar(const struct line *head, const char *mark, int parent)
{
    bool folded = mark[0] == '>';
    bool strip = mark[1] == '-';
    if (mark[1 + (strip ? 1 : 0)] != '\0') {
        fail(head->number, "only `|`, `|-`, `>` and `>-` begin a block");
    }
    int margin = -1;
    size_t used = 0;
    size_t blanks = 0;
    char *out = NULL;
    for (; self.at < self.count; self.at++) {
        const char *raw = self.lines[self.at].raw;
        int indent = (int)strspn(raw, " ");
        if (raw[indent] == '\0') {
            blanks++;
            continue;
        }
        if (indent <= parent) {
            break;
        }
        margin = margin < 0 ? indent : margin;
        if (indent < margin || (folded && indent > margin)) {
            fail(self.lines[self.at].number, "the lines of a block must stand below each other");
        }
        size_t count = strlen(raw + margin);
        out = must(realloc(out, used + blanks + count + 3));
        if (used != 0 && (!folded || blanks != 0)) {
            for (size_t i = folded ? 1 : 0; i <= blanks; i++) {
                out[used++] = '\n';
            }
        } else if (used != 0) {
            out[used++] = ' ';
        }
        memcpy(out + used, raw + margin, count);
        used += count;
        blanks = 0;
    }
    if (out == NULL) {
        fail(head->number, "the block is empty");
    }
    if (!strip) {
        out[used++] = '\n';
    }
    put_string(out, used);
}

/* What stands behind `key:` or `-` on one line. Block scalars continue below. */
static void value(const struct line *line, const char *text, int parent)
{
    size_t end = 0;
    size_t count = 0;
    if (text[0] == '|' || text[0] == '>') {
        block_scalar(line, text, parent);
    } else if (text[0] == '"' || text[0] == '\'') {
        char *bytes = unquote(text, &end, &count, line->number);
        if (text[end] != '\0') {
            fail(line->number, "something stands behind the quote");
        }
        put_string(bytes, count);
    } else if (text[0] == '{' || text[0] == '[') {
        end = flow_value(text, 0, line->number);
        if (text[end] != '\0') {
            fail(line->number, "something stands behind the bracket");
        }
    } else {
        if (strstr(text, ": ") != NULL || text[strlen(text) - 1] == ':' ||
            (text[0] == '-' && text[1] == ' ')) {
            fail(line->number, "quote this scalar");
        }
        put_plain(text, strlen(text), line->number);
    }
    struct line *next = peek();
    if (next != NULL && next->indent > parent) {
        fail(next->number, "this line is indented too far");
    }
}

/* Where the key of `key: value` ends, or 0 when the line is no member. */
static size_t key_end(const struct line *line)
{
    const char *text = line->text;
    size_t end = 0;
    if (text[0] == '"' || text[0] == '\'') {
        size_t count = 0;
        free(unquote(text, &end, &count, line->number));
    } else {
        while (text[end] != '\0' && !(text[end] == ':' && (text[end + 1] == ' ' || text[end + 1] == '\0'))) {
            end++;
        }
    }
    return text[end] == ':' && (text[end + 1] == ' ' || text[end + 1] == '\0') ? end : 0;
}

static char *put_key(const struct line *line, size_t end)
{
    size_t past = 0;
    size_t count = end;
    char *key = NULL;
    if (line->text[0] == '"' || line->text[0] == '\'') {
        key = unquote(line->text, &past, &count, line->number);
    } else {
        key = must(strndup(line->text, end));
        require_plain(key, count, line->number);
    }
    key[count] = '\0';
    put_string(key, count);
    put(":");
    return key;
}

static void mapping(int indent)
{
    char *keys[KEYS_MAX];
    int count = 0;
    put("{");
    for (struct line *line = peek(); line != NULL && line->indent == indent; line = peek()) {
        size_t end = key_end(line);
        if (end == 0) {
            fail(line->number, "`key: value` was expected");
        }
        put(count == 0 ? "" : ",");
        char *key = put_key(line, end);
        for (int i = 0; i < count; i++) {
            if (strcmp(keys[i], key) == 0) {
                fail(line->number, "the key `%s` is repeated", key);
            }
        }
        if (count == KEYS_MAX) {
            fail(line->number, "too many keys");
        }
        keys[count++] = key;
        self.at++;
        const char *text = line->text + end + 1;
        text += strspn(text, " ");
        struct line *next = *text == '\0' ? peek() : NULL;
        if (*text != '\0') {
            value(line, text, indent);
        } else if (next != NULL &&
                   (next->indent > indent || (next->indent == indent && strncmp(next->text, "- ", 2) == 0))) {
            block(next->indent);
        } else {
            fail(line->number, "the value is missing (write null, \"\", [] or {})");
        }
    }
    put("}");
}

static void sequence(int indent)
{
    bool first = true;
    put("[");
    for (struct line *line = peek();
         line != NULL && line->indent == indent && strncmp(line->text, "- ", 2) == 0; line = peek()) {
        put(first ? "" : ",");
        first = false;
        size_t skipped = 1 + strspn(line->text + 1, " ");
        line->text += skipped;
        line->indent += (int)skipped;
        bool nested = strncmp(line->text, "- ", 2) == 0;
        if (nested || (strchr("[{", line->text[0]) == NULL && key_end(line) != 0)) {
            block(line->indent);
        } else {
            self.at++;
            value(line, line->text, indent);
        }
    }
    put("]");
}

static void block(int indent)
{
    struct line *line = peek();
    if (++self.depth > DEPTH_MAX) {
        fail(line->number, "nested too deeply");
    }
    if (strncmp(line->text, "- ", 2) == 0) {
        sequence(indent);
    } else {
        mapping(indent);
    }
    struct line *next = peek();
    if (next != NULL && next->indent > indent) {
        fail(next->number, "this line is indented differently from those before");
    }
    self.depth--;
}

/* ---- files ---- */

static char *read_file(const char *name, size_t *count)
{
    FILE *file = must(fopen(name, "rb"));
    size_t room = (size_t)1 << 22;
    char *bytes = must(malloc(room));
    *count = fread(bytes, 1, room - 1, file);
    bytes[*count] = '\0';
    if (ferror(file) || *count == room - 1 || strlen(bytes) != *count || fclose(file) != 0) {
        fail(0, "cannot be read, is too long or holds a NUL");
    }
    return bytes;
}

static void write_array(FILE *file, const char *name, const char *bytes, size_t count)
{
    fprintf(file, "\nconst unsigned char %s[%zu] = {", name, count);
    for (size_t i = 0; i < count; i++) {
        fprintf(file, "%s%u,", i % 32 == 0 ? "\n    " : "", (unsigned char)bytes[i]);
    }
    fprintf(file, "\n};\nconst size_t %s_bytes = sizeof(%s);\n", name, name);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: openapi_embed YAML JSON C\n", stderr);
        return 1;
    }
    size_t count = 0;
    char *yaml = read_file(argv[1], &count);
    char *lines = must(strdup(yaml));
    split_lines(lines);
    if (peek() == NULL || peek()->indent != 0) {
        fail(1, "the document must begin at the margin");
    }
    block(0);
    if (peek() != NULL) {
        fail(peek()->number, "this line belongs to nothing");
    }
    put("\n");
    FILE *json = must(fopen(argv[2], "wb"));
    fwrite(self.out, 1, self.used, json);
    FILE *code = must(fopen(argv[3], "wb"));
    fputs("/* Made from openapi.yaml by cmake/openapi_embed.c. */\n#include \"api/system/openapi.h\"\n",
          code);
    write_array(code, "openapi_yaml", yaml, count);
    write_array(code, "openapi_json", self.out, self.used);
    free(lines);
    free(yaml);
    free(self.out);
    if (fclose(json) != 0 || fclose(code) != 0) {
        perror("openapi_embed");
        return 1;
    }
    return 0;
}
