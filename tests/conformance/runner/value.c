/* value.c: JSON to terms, looking into terms, messages as terms. Printing is in print.c. */
#include "tests/conformance/runner/value.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/runner/world.h"

/* ---- from JSON --------------------------------------------------------------------------------------------------- */
/* The library keeps every number as a double; a number is an integer when its text says so. cJSON does not keep the
 * text, so the reader marks floats: see read_line in controller.c. */
static tr_term number_from_json(double number)
{
    if (floor(number) == number && fabs(number) < 9e15) {
        return tr_int((int64_t)number);
    }
    return tr_float(number);
}

static size_t items_from_json(const cJSON *array, tr_term *items)
{
    size_t count = 0;
    for (const cJSON *each = array->child; each != NULL; each = each->next) {
        if (count == VALUE_ITEMS_MAX) {
            fprintf(stderr, "an array has more than %u items\n", VALUE_ITEMS_MAX);
            _Exit(2);
        }
        items[count] = value_from_json(each);
        count++;
    }
    return count;
}

static tr_term object_from_json(const cJSON *object)
{
    tr_term items[2 * VALUE_ITEMS_MAX];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "$l");
    if (list != NULL) {
        return tr_list_n(items_from_json(list, items), items);
    }
    const cJSON *string = cJSON_GetObjectItemCaseSensitive(object, "$b");
    if (string != NULL) {
        return tr_string(cJSON_GetStringValue(string));
    }
    const cJSON *real = cJSON_GetObjectItemCaseSensitive(object, "$float");
    if (real != NULL) {
        return tr_float(cJSON_GetNumberValue(real));
    }
    size_t count = 0;
    for (const cJSON *each = object->child; each != NULL && count < VALUE_ITEMS_MAX; each = each->next) {
        items[2 * count] = tr_atom(each->string);
        items[2 * count + 1] = value_from_json(each);
        count++;
    }
    return tr_map_n(count, items);
}

tr_term value_from_json(const cJSON *json)
{
    tr_term items[VALUE_ITEMS_MAX];
    if (cJSON_IsString(json)) {
        return tr_atom(cJSON_GetStringValue(json));
    }
    if (cJSON_IsNumber(json)) {
        return number_from_json(cJSON_GetNumberValue(json));
    }
    if (cJSON_IsArray(json)) {
        return tr_tuple_n(items_from_json(json, items), items);
    }
    if (cJSON_IsObject(json)) {
        return object_from_json(json);
    }
    return cJSON_IsTrue(json) ? TR_ATOM(TRUE) : cJSON_IsFalse(json) ? TR_ATOM(FALSE) : TR_ATOM(NIL);
}

/* ---- looking into ------------------------------------------------------------------------------------------------ */
bool value_is(tr_term term, const char *atom)
{
    return tr_is_atom(term) && strcmp(tr_atom_text(term), atom) == 0;
}

size_t value_count(tr_term term)
{
    tr_term_kind kind = tr_term_kind_of(term);
    return kind == TR_TERM_TUPLE || kind == TR_TERM_LIST || kind == TR_TERM_MAP ? tr_term_count(term) : 0;
}

tr_term value_item(tr_term term, size_t index)
{
    tr_term_kind kind = tr_term_kind_of(term);
    bool has = (kind == TR_TERM_TUPLE || kind == TR_TERM_LIST) && index < tr_term_count(term);
    return has ? tr_term_items(term)[index] : TR_TERM_NONE_VALUE;
}

tr_term value_get(tr_term map, const char *key)
{
    return tr_term_kind_of(map) == TR_TERM_MAP ? tr_map_get(map, tr_atom(key)) : TR_TERM_NONE_VALUE;
}

tr_term value_get_or(tr_term map, const char *key, tr_term otherwise)
{
    tr_term found = value_get(map, key);
    return tr_is_none(found) ? otherwise : found;
}

bool value_flag(tr_term map, const char *key)
{
    return tr_same(value_get(map, key), TR_ATOM(TRUE));
}

bool value_is_script(tr_term term)
{
    return value_is_tuple(term) && value_is(value_item(term, 0), "run");
}

tr_term value_bool(bool flag)
{
    return flag ? TR_ATOM(TRUE) : TR_ATOM(FALSE);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(value_text(*(const tr_term *)a), value_text(*(const tr_term *)b));
}

tr_term value_sorted(size_t count, const tr_term *items)
{
    tr_term *sorted = tr_scratch_alloc((count + 1) * sizeof(tr_term));
    if (count > 0) {
        memcpy(sorted, items, count * sizeof(tr_term));
        qsort(sorted, count, sizeof(tr_term), compare_texts);
    }
    return tr_list_n(count, sorted);
}

tr_term value_copy(tr_term term)
{
    size_t bytes = tr_term_flat_bytes(term);
    return bytes == 0 ? term : tr_term_flatten(term, tr_scratch_alloc(bytes));
}

int64_t value_ms(tr_term term)
{
    return value_is_int(term) ? tr_int_value(term) : TR_INFINITY;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */
tr_term value_payload(const tr_msg *msg)
{
    const tr_term_msg *plain = TR_MATCH(msg, tr_term_msg);
    if (plain != NULL) {
        return plain->value;
    }
    const tr_registry_registered *registered = TR_MATCH(msg, tr_registry_registered);
    if (registered != NULL) {
        return tr_tuple(tr_atom("register"), registered->registry, registered->key,
                        tr_pid_term(registered->pid), registered->value);
    }
    const tr_registry_unregistered *gone = TR_MATCH(msg, tr_registry_unregistered);
    if (gone != NULL) {
        return tr_tuple(tr_atom("unregister"), gone->registry, gone->key, tr_pid_term(gone->pid));
    }
    return TR_MATCH(msg, tr_timeout_msg) != NULL ? TR_ATOM(TIMEOUT) : tr_tuple(tr_atom(msg->type->name));
}

static tr_term from_down(const tr_down_msg *down)
{
    tr_term tag = tr_is_none(down->tag) ? TR_ATOM(DOWN) : down->tag;
    tr_term object = tr_is_none(down->name) ? tr_pid_term(down->pid) : tr_tuple(down->name, tr_atom("node"));
    return tr_tuple(tag, tr_ref_term(down->ref), TR_ATOM(PROCESS), object, down->reason);
}

static tr_term as_term(const tr_msg *msg)
{
    const tr_exit_msg *exit;
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_CALL:
        return tr_tuple(tr_atom("$gen_call"), tr_pid_term(tr_msg_ref(msg).owner), value_payload(msg));
    case TR_MSG_CAST:
        return tr_tuple(tr_atom("$gen_cast"), value_payload(msg));
    case TR_MSG_REPLY: /* of a task, or of a call */
        return tr_tuple(strcmp(world_ref_label(tr_msg_ref(msg)), "?") != 0 ? tr_ref_term(tr_msg_ref(msg))
                                                                           : tr_atom("tag"),
                        value_payload(msg));
    case TR_MSG_EXIT:
        exit = tr_msg_data(msg);
        return tr_tuple(TR_ATOM(EXIT), tr_pid_term(exit->from), exit->reason);
    case TR_MSG_DOWN:
        return from_down(tr_msg_data(msg));
    case TR_MSG_TIMER:
        return tr_tuple(TR_ATOM(TIMEOUT), tr_ref_term(tr_msg_ref(msg)), value_payload(msg));
    default:
        return value_payload(msg);
    }
}

tr_term value_from_message(const tr_msg *msg)
{
    return value_copy(as_term(msg));
}

tr_msg *value_message(tr_term term)
{
    return tr_msg_new(TR_TYPE(tr_term_msg), &(tr_term_msg){.value = term});
}

const char *value_format(const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = tr_scratch_alloc((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
