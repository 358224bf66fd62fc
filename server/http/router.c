#include "server/http/router.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NO_NODE UINT16_MAX

struct literal {
    struct text text;
    uint16_t node;
};

struct node {
    struct literal *literals;
    uint16_t literal_count;
    uint16_t param; /* node behind {name} */
    uint16_t depth;
    uint32_t params;                                /* bit d: on the way here segment d is a parameter */
    unsigned methods;                               /* that end here */
    unsigned rest_methods;                          /* that end here with `...` */
    const struct route *routes[HTTP_METHODS_COUNT]; /* of this path */
    const struct route *rests[HTTP_METHODS_COUNT];  /* of this path and whatever follows */
};

struct router {
    struct node *nodes;
    size_t node_count;
    size_t node_capacity;
};

/* ---- methods ---- */

#define METHOD_TEXT(name) [HTTP_METHOD_##name] = TEXT(#name),
static const struct text method_texts[HTTP_METHODS_COUNT] = {
    HTTP_METHODS(METHOD_TEXT)[HTTP_METHOD_UNKNOWN] = {"", 0}};
#undef METHOD_TEXT

enum http_method http_method_of(struct text name)
{
    for (unsigned m = 0; m < HTTP_METHOD_UNKNOWN; m++) {
        if (text_equal(method_texts[m], name)) {
            return (enum http_method)m;
        }
    }
    return HTTP_METHOD_UNKNOWN;
}

const char *http_method_text(enum http_method method)
{
    return method < HTTP_METHOD_UNKNOWN ? method_texts[method].bytes : "";
}

size_t http_allow_text(unsigned methods, char out[HTTP_ALLOW_BYTES])
{
    size_t used = 0;
    for (unsigned m = 0; m < HTTP_METHOD_UNKNOWN; m++) {
        if ((methods >> m & 1) != 0) {
            if (used > 0) {
                memcpy(out + used, ", ", 2);
                used += 2;
            }
            memcpy(out + used, method_texts[m].bytes, method_texts[m].count);
            used += method_texts[m].count;
        }
    }
    out[used] = '\0';
    return used;
}

/* ---- building ---- */

struct builder {
    struct router *router;
    char *why;
    size_t why_bytes;
};

__attribute__((format(printf, 2, 3))) static bool fail(const struct builder *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(b->why, b->why_bytes, format, arguments);
    va_end(arguments);
    return false;
}

static uint16_t add_node(struct router *router, unsigned depth, uint32_t params)
{
    if (router->node_count >= NO_NODE) {
        return NO_NODE;
    }
    if (router->node_count == router->node_capacity) {
        size_t capacity = router->node_capacity == 0 ? 64 : router->node_capacity * 2;
        struct node *nodes = realloc(router->nodes, capacity * sizeof(*nodes));
        if (nodes == NULL) {
            return NO_NODE;
        }
        router->nodes = nodes;
        router->node_capacity = capacity;
    }
    router->nodes[router->node_count] =
        (struct node){.param = NO_NODE, .depth = (uint16_t)depth, .params = params};
    return (uint16_t)router->node_count++;
}

static uint16_t find_literal(const struct node *node, struct text segment)
{
    for (size_t i = 0; i < node->literal_count; i++) {
        const struct literal *literal = &node->literals[i];
        if (literal->text.count == segment.count && segment.count > 0 &&
            literal->text.bytes[0] == segment.bytes[0] && text_equal(literal->text, segment)) {
            return literal->node;
        }
    }
    return NO_NODE;
}

static uint16_t add_literal(struct router *router, uint16_t at, struct text segment)
{
    uint16_t found = find_literal(&router->nodes[at], segment);
    if (found != NO_NODE) {
        return found;
    }
    uint16_t made = add_node(router, router->nodes[at].depth + 1u, router->nodes[at].params);
    struct node *node = &router->nodes[at]; /* add_node may have moved it */
    struct literal *literals = realloc(node->literals, (node->literal_count + 1u) * sizeof(*literals));
    if (made == NO_NODE || literals == NULL) {
        node->literals = literals == NULL ? node->literals : literals;
        return NO_NODE;
    }
    literals[node->literal_count] = (struct literal){.text = segment, .node = made};
    node->literals = literals;
    node->literal_count++;
    return made;
}

static uint16_t add_param(struct router *router, uint16_t at)
{
    if (router->nodes[at].param == NO_NODE) {
        unsigned depth = router->nodes[at].depth;
        uint32_t params = router->nodes[at].params | (depth < 32 ? UINT32_C(1) << depth : 0);
        uint16_t made = add_node(router, depth + 1u, params);
        router->nodes[at].param = made;
    }
    return router->nodes[at].param;
}

static bool is_param(struct text segment)
{
    return segment.count >= 3 && segment.bytes[0] == '{' && segment.bytes[segment.count - 1] == '}';
}

static bool end_route(const struct builder *b, uint16_t at, const struct route *route, bool rest)
{
    struct node *node = &b->router->nodes[at];
    const struct route **routes = rest ? node->rests : node->routes;
    unsigned *methods = rest ? &node->rest_methods : &node->methods;
    if ((*methods & route->methods) != 0) {
        return fail(b, "route %s: a method has two routes", route->pattern);
    }
    *methods |= route->methods;
    for (unsigned m = 0; m < HTTP_METHODS_COUNT; m++) {
        if ((route->methods >> m & 1) != 0) {
            routes[m] = route;
        }
    }
    return true;
}

static bool add_route(const struct builder *b, const struct route *route)
{
    uint16_t at = 0;
    size_t params = 0;
    const char *next = route->pattern;
    if (next == NULL || *next != '/' || route->methods == 0 || (route->methods & ~HTTP_ANY) != 0 ||
        route->handler == NULL) {
        return fail(b, "route %s: needs a pattern that begins with /, known methods and a handler",
                    next == NULL ? "(null)" : next);
    }
    for (next = next[1] == '\0' ? next + 1 : next; *next == '/';) {
        const char *first = next + 1;
        next = first + strcspn(first, "/");
        struct text segment = {.bytes = first, .count = (size_t)(next - first)};
        if (text_equal(segment, TEXT("...")) && *next == '\0') {
            return end_route(b, at, route, true);
        }
        bool param = is_param(segment);
        params += param;
        if (segment.count == 0 || (!param && memchr(first, '{', segment.count) != NULL) ||
            params > ROUTE_PARAMS_MAX || b->router->nodes[at].depth == HTTP_SEGMENTS_MAX) {
            return fail(b, "route %s: bad segment '%.*s'", route->pattern, (int)segment.count, first);
        }
        at = param ? add_param(b->router, at) : add_literal(b->router, at, segment);
        if (at == NO_NODE) {
            return fail(b, "route %s: no memory", route->pattern);
        }
    }
    return end_route(b, at, route, false);
}

/* GET answers HEAD where HEAD has no route of its own. */
static void lend_get_to_head(const struct route **routes, unsigned *methods)
{
    if ((*methods & HTTP_GET) != 0 && (*methods & HTTP_HEAD) == 0) {
        routes[HTTP_METHOD_HEAD] = routes[HTTP_METHOD_GET];
        *methods |= HTTP_HEAD;
    }
}

struct router *router_create(const struct route_table *tables, size_t count, char *why, size_t why_bytes)
{
    struct router *router = calloc(1, sizeof(*router));
    struct builder b = {.router = router, .why = why, .why_bytes = why_bytes};
    if (router == NULL || add_node(router, 0, 0) == NO_NODE) {
        (void)fail(&b, "no memory");
        router_destroy(router);
        return NULL;
    }
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            if (!add_route(&b, &tables[t].routes[i])) {
                router_destroy(router);
                return NULL;
            }
        }
    }
    for (size_t i = 0; i < router->node_count; i++) {
        lend_get_to_head(router->nodes[i].routes, &router->nodes[i].methods);
        lend_get_to_head(router->nodes[i].rests, &router->nodes[i].rest_methods);
    }
    return router;
}

void router_destroy(struct router *router)
{
    if (router == NULL) {
        return;
    }
    for (size_t i = 0; i < router->node_count; i++) {
        free(router->nodes[i].literals);
    }
    free(router->nodes);
    free(router);
}

/* ---- searching ---- */

struct search {
    const struct router *router;
    const struct http_target *target;
    enum http_method method;
    unsigned usable; /* segments up to the first bad one */
    bool whole;      /* all segments are usable and kept */
    unsigned allow;
    uint32_t params;
    uint16_t todo[2 * HTTP_SEGMENTS_MAX + 2]; /* branches yet to be tried, the next on top */
    size_t todo_count;
};

/* Whether a route ends at this node for the path and the method; notes what the path takes. */
static const struct route *end_here(struct search *s, const struct node *node)
{
    if (node->depth == s->target->segment_count && s->whole && node->methods != 0) {
        s->allow |= node->methods;
        if (node->routes[s->method] != NULL) {
            return node->routes[s->method];
        }
    }
    return NULL;
}

static void branch(struct search *s, const struct node *node)
{
    if (node->depth >= s->usable) {
        return;
    }
    struct text segment = s->target->segments[node->depth];
    if (node->param != NO_NODE && segment.count > 0) {
        s->todo[s->todo_count++] = node->param;
    }
    uint16_t literal = find_literal(node, segment);
    if (literal != NO_NODE) {
        s->todo[s->todo_count++] = literal;
    }
}

static const struct route *search(struct search *s)
{
    const struct route *rest = NULL;
    unsigned rest_depth = 0;
    s->todo[s->todo_count++] = 0;
    while (s->todo_count > 0) {
        const struct node *node = &s->router->nodes[s->todo[--s->todo_count]];
        const struct route *found = end_here(s, node);
        if (found != NULL) {
            s->params = node->params;
            return found;
        }
        if (node->rest_methods != 0) {
            s->allow |= node->rest_methods;
            if (node->rests[s->method] != NULL && (rest == NULL || node->depth > rest_depth)) {
                rest = node->rests[s->method];
                rest_depth = node->depth;
                s->params = node->params;
            }
        }
        branch(s, node);
    }
    return rest;
}

static enum route_answer answer_without_route(const struct search *s, struct route_match *match)
{
    bool bad_path = s->target->bad_segment != HTTP_SEGMENT_NONE;
    if (s->allow == 0) {
        return bad_path ? ROUTE_BAD_PATH : ROUTE_NOT_FOUND;
    }
    match->allow = s->allow | 1u << HTTP_METHOD_OPTIONS;
    if (s->method == HTTP_METHOD_OPTIONS) {
        return ROUTE_OPTIONS;
    }
    return s->method == HTTP_METHOD_UNKNOWN ? ROUTE_METHOD_UNKNOWN : ROUTE_METHOD_NOT_ALLOWED;
}

static enum route_answer answer_without_path(enum http_form form, struct route_match *match)
{
    if (form == HTTP_FORM_ASTERISK && match->method == HTTP_METHOD_OPTIONS) {
        match->allow = HTTP_ANY & ~(1u << HTTP_METHOD_UNKNOWN);
        return ROUTE_OPTIONS;
    }
    return match->method == HTTP_METHOD_UNKNOWN ? ROUTE_METHOD_UNKNOWN : ROUTE_BAD_PATH;
}

static void fill_params(const struct search *s, struct route_match *match)
{
    for (uint32_t left = s->params; left != 0; left &= left - 1) {
        unsigned segment = (unsigned)__builtin_ctz(left);
        if (segment < s->target->segment_count) {
            match->params[match->param_count++] = s->target->segments[segment];
        }
    }
}

enum route_answer router_find(const struct router *router, struct text method,
                              const struct http_target *target, struct route_match *match)
{
    match->route = NULL;
    match->method = http_method_of(method);
    match->allow = 0;
    match->param_count = 0;
    if (target->form != HTTP_FORM_ORIGIN && target->form != HTTP_FORM_ABSOLUTE) {
        return answer_without_path(target->form, match);
    }
    struct search s;
    s.router = router;
    s.target = target;
    s.method = match->method;
    s.usable = target->bad_segment < target->segment_count ? target->bad_segment : target->segment_count;
    s.whole = target->bad_segment == HTTP_SEGMENT_NONE && !target->more_segments;
    s.allow = 0;
    s.params = 0;
    s.todo_count = 0;
    const struct route *route = search(&s);
    if (route == NULL) {
        return answer_without_route(&s, match);
    }
    match->route = route;
    fill_params(&s, match);
    bool bad_query = target->query_fault != HTTP_PATH_NONE && (route->flags & ROUTE_QUERY_IGNORED) == 0;
    return bad_query ? ROUTE_BAD_PATH : ROUTE_FOUND;
}
