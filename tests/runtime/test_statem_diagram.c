/* Tables as diagrams: the whole text of each kind, names that need escapes, buffers that are too short. */
#include <criterion/criterion.h>
#include <string.h>
#include <troupe/troupe.h>

TR_MESSAGE_EMPTY(knock);
TR_MESSAGE_EMPTY(slam);

typedef struct door {
    int n;
} door;

static bool is_polite(const door *self, const tr_event *event)
{
    (void)event;
    return self->n == 0;
}

static tr_step creak(door *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_KEEP_STATE;
}

TR_STATEM_TABLE(door, .initial = "shut",
                .states = TR_TABLE_STATES(door, {.name = "shut"},
                                          {.name = "wide open", .timeout_ms = 5000, .enter = TR_FN(creak)},
                                          {.name = "end", .final = true}),
                .transitions = TR_TRANSITIONS(
                    door, {.from = "shut", .on = TR_ON(knock), .guard = TR_FN(is_polite), .to = "wide open"},
                    {.from = "shut", .on = TR_ON(slam), .postpone = true},
                    {.from = "wide open", .on = TR_ON_STATE_TIMEOUT, .to = "shut", .act = TR_FN(creak)},
                    {.from = "wide open", .on = TR_ON_EVENT_TIMEOUT, .repeat = true},
                    {.from = TR_ANY_STATE, .on = TR_ON_GENERIC_TIMEOUT("a\"b\\c:d"), .to = "end"},
                    {.from = "end", .on = TR_ON(slam), .to = TR_END}));

static void is_drawn(tr_diagram format, const char *current, const char *wanted)
{
    char text[8192];
    size_t length = tr_statem_diagram(door_table, format, current, text, sizeof text);
    cr_assert_str_eq(text, wanted);
    cr_assert_eq(length, strlen(wanted));
}

Test(statem_diagram, mermaid)
{
    is_drawn(TR_DIAGRAM_MERMAID, NULL,
             "stateDiagram-v2\n"
             "    state \"wide open\" as state1\n"
             "    note right of state1: enter / creak\n"
             "    state \"end\" as state2\n"
             "    [*] --> shut\n"
             "    shut --> state1: knock [is_polite]\n"
             "    shut --> shut: slam (postponed)\n"
             "    shut --> state2: time-out a#34;b#92;c#58;d\n"
             "    state1 --> shut: after 5000 ms / creak\n"
             "    state1 --> state1: event time-out (entered again)\n"
             "    state1 --> state2: time-out a#34;b#92;c#58;d\n"
             "    state2 --> [*]: slam\n"
             "    state2 --> [*]\n");
}

Test(statem_diagram, dot_with_the_current_state)
{
    is_drawn(
        TR_DIAGRAM_DOT, "wide open",
        "digraph \"door\" {\n"
        "    rankdir=LR;\n"
        "    node [shape=box, style=rounded];\n"
        "    \"*\" [shape=point, label=\"\"];\n"
        "    \"[*]\" [shape=doublecircle, label=\"\", width=0.15];\n"
        "    \"shut\" [label=\"shut\"];\n"
        "    \"wide open\" [label=\"wide open\\nenter / creak\", style=\"rounded,filled\", fillcolor=\"#ffd54f\"];\n"
        "    \"end\" [label=\"end\", peripheries=2];\n"
        "    \"*\" -> \"shut\";\n"
        "    \"shut\" -> \"wide open\" [label=\"knock [is_polite]\"];\n"
        "    \"shut\" -> \"shut\" [label=\"slam (postponed)\"];\n"
        "    \"shut\" -> \"end\" [label=\"time-out a\\\"b\\\\c:d\"];\n"
        "    \"wide open\" -> \"shut\" [label=\"after 5000 ms / creak\"];\n"
        "    \"wide open\" -> \"wide open\" [label=\"event time-out (entered again)\"];\n"
        "    \"wide open\" -> \"end\" [label=\"time-out a\\\"b\\\\c:d\"];\n"
        "    \"end\" -> \"[*]\" [label=\"slam\"];\n"
        "}\n");
}

#define ROW(from, on, event, guard, to, act, postpone, repeat)                                          \
    "{\"from\":\"" from "\",\"on\":\"" on "\",\"event\":\"" event "\",\"guard\":" guard ",\"to\":\"" to \
    "\",\"act\":" act ",\"postpone\":" postpone ",\"repeat\":" repeat "}"

Test(statem_diagram, json)
{
    is_drawn(
        TR_DIAGRAM_JSON, "shut",
        "{\"name\":\"door\",\"initial\":\"shut\",\"current\":\"shut\",\"states\":["
        "{\"name\":\"shut\",\"enter\":null,\"timeout_ms\":null,\"final\":false},"
        "{\"name\":\"wide open\",\"enter\":\"creak\",\"timeout_ms\":5000,\"final\":false},"
        "{\"name\":\"end\",\"enter\":null,\"timeout_ms\":null,\"final\":true}],\"transitions\":[" //
        ROW("shut", "message", "knock", "\"is_polite\"", "wide open", "null", "false", "false") "," ROW(
            "shut", "message", "slam", "null", "shut", "null", "true",
            "false") "," ROW("shut", "generic_timeout", "a\\\"b\\\\c:d", "null", "end", "null", "false",
                             "false") "," ROW("wide open", "state_timeout", "state_timeout", "null", "shut",
                                              "\"creak\"", "false",
                                              "false") "," ROW("wide open", "event_timeout", "timeout",
                                                               "null", "wide open", "null", "false",
                                                               "true") "," ROW("wide open", "generic_timeout",
                                                                               "a\\\"b\\\\c:d", "null", "end",
                                                                               "null", "false",
                                                                               "false") "," ROW("end",
                                                                                                "message",
                                                                                                "slam",
                                                                                                "null", "[*]",
                                                                                                "null",
                                                                                                "false",
                                                                                                "false") "]}\n");
}

Test(statem_diagram, a_mermaid_diagram_marks_the_current_state)
{
    char text[8192];
    tr_statem_diagram(door_table, TR_DIAGRAM_MERMAID, "shut", text, sizeof text);
    cr_assert_not_null(strstr(text, "    classDef current fill:#ffd54f\n    class shut current\n"));
}

Test(statem_diagram, a_short_buffer_is_filled_and_ended_and_the_length_told)
{
    char whole[8192], cut[100];
    for (int format = TR_DIAGRAM_MERMAID; format <= TR_DIAGRAM_JSON; format++) {
        size_t length = tr_statem_diagram(door_table, (tr_diagram)format, NULL, whole, sizeof whole);
        memset(cut, 'x', sizeof cut);
        cr_assert_eq(tr_statem_diagram(door_table, (tr_diagram)format, NULL, cut, sizeof cut), length);
        cr_assert_eq(strlen(cut), sizeof cut - 1);
        cr_assert_eq(memcmp(cut, whole, sizeof cut - 1), 0);
        cr_assert_eq(tr_statem_diagram(door_table, (tr_diagram)format, NULL, NULL, 0), length);
    }
}
