/* Collections of requests: gen_server_SUITE's send_request_*_reqid_collection, and what those cannot see. */
#include "tests/runtime/puppet.h"

static tr_ref asks(tr_reqids *ids, tr_pid server, verb what, int n)
{
    return tr_reqids_send_request(ids, tr_to(server), DO(.verb = what, .n = n), tr_int(n * 10));
}

/* Says the answer: "label= n" or "label! reason". */
static void says_response(const tr_response *response)
{
    char reason[64];
    long long label = (long long)tr_int_value(response->label);
    if (response->err == TR_OK) {
        say("%lld= %d", label, TR_MATCH(response->reply, answer)->n);
        tr_msg_drop(response->reply);
    } else {
        tr_term_print(response->reason, reason, sizeof reason);
        say("%lld! %s %s", label, tr_err_name(response->err), reason);
    }
}

static void nobody_is_left(void)
{
    EXPECT(tr_receive(NULL, NULL, 10) == NULL);
}

/* gen_server_SUITE: send_request_receive_reqid_collection */
SCENE(reqids, receive_response_takes_whichever_comes_first)
{
    tr_pid s = a_server(puppet_server);
    tr_response response;
    tr_reqids *ids = tr_reqids_new();
    EXPECT(tr_reqids_receive_response(ids, TR_INFINITY, true, &response) == TR_E_NOT_FOUND);
    asks(ids, s, KEEP_FROM, 1);
    asks(ids, s, GO_ON, 2);
    asks(ids, s, GO_ON, 3);
    EXPECT(tr_reqids_size(ids) == 3);
    EXPECT(tr_reqids_receive_response(ids, 1000, true, &response) == TR_OK);
    says_response(&response);
    EXPECT(tr_reqids_size(ids) == 2);
    EXPECT(tr_reqids_receive_response(ids, 1000, false, &response) == TR_OK); /* it stays, answered */
    says_response(&response);
    EXPECT(tr_reqids_size(ids) == 2);
    EXPECT(tr_reqids_receive_response(ids, 50, true, &response) == TR_E_TIMEOUT); /* gives up request 1 */
    EXPECT(tr_reqids_size(ids) == 2);
    TR_CAST(s, act, .verb = ANSWER_KEPT, .n = 1);
    nobody_is_left();
    tr_reqids_free(ids);
    SAID("s call 1", "s call 2", "s call 3", "20= 2", "30= 3", "s cast 1");
}

/* gen_server_SUITE: send_request_wait_reqid_collection */
SCENE(reqids, wait_response_keeps_what_is_late)
{
    tr_pid s = a_server(puppet_server);
    tr_response response;
    tr_reqids *ids = tr_reqids_new();
    EXPECT(tr_reqids_wait_response(ids, 0, true, &response) == TR_E_NOT_FOUND);
    asks(ids, s, KEEP_FROM, 1);
    EXPECT(tr_reqids_wait_response(ids, 50, true, &response) == TR_E_TIMEOUT);
    TR_CAST(s, act, .verb = ANSWER_KEPT, .n = 7);
    EXPECT(tr_reqids_wait_response(ids, 50, true, &response) == TR_OK);
    says_response(&response);
    EXPECT(tr_reqids_wait_response(ids, 50, true, &response) == TR_E_NOT_FOUND);
    SAID("s call 1", "s cast 7", "10= 7");
}

/* gen_server_SUITE: send_request_check_reqid_collection */
SCENE(reqids, check_response_tells_answers_from_other_messages)
{
    tr_pid s = a_server(puppet_server);
    tr_response response;
    tr_reqids *ids = tr_reqids_new();
    EXPECT(tr_reqids_check_response(ids, NULL, true, &response) == TR_E_STATE);
    tr_ref one = asks(ids, s, GO_ON, 1);
    EXPECT(tr_reqids_add(ids, one, tr_int(1)) == TR_E_BADARG);
    TR_SEND(tr_self(), answer, .n = 1);
    tr_msg *other = tr_receive(NULL, NULL, 10);
    EXPECT(tr_reqids_check_response(ids, other, true, &response) == TR_E_NOT_FOUND);
    tr_msg *msg = tr_receive(NULL, NULL, 10);
    EXPECT(tr_reqids_check_response(ids, msg, false, &response) == TR_OK);
    EXPECT(response.reply == msg && tr_ref_equal(response.request, one));
    EXPECT(tr_reqids_check_response(ids, msg, true, &response) == TR_OK);
    says_response(&response);
    EXPECT(tr_reqids_check_response(ids, other, true, &response) == TR_E_STATE);
    SAID("s call 1", "10= 1");
}

/* gen_server_SUITE: send_request_wait_reqid_collection, servers that end and servers that are not there */
SCENE(reqids, the_end_of_a_server_answers_all_its_requests)
{
    tr_pid s = a_server(puppet_server);
    tr_response response;
    tr_reqids *ids = tr_reqids_new();
    asks(ids, s, KEEP_FROM, 1);
    asks(ids, s, KEEP_FROM, 2);
    tr_reqids_send_request(ids, tr_to_name(tr_atom("nobody")), DO(.n = 3), tr_int(30));
    EXPECT(tr_reqids_wait_response(ids, 0, true, &response) == TR_OK);
    says_response(&response);
    tr_sleep(1);
    tr_exit_signal(tr_to(s), tr_atom("bang"));
    for (int i = 0; i < 2; i++) {
        EXPECT(tr_reqids_wait_response(ids, 50, true, &response) == TR_OK);
        EXPECT(response.err == TR_E_EXIT);
        TERM_IS(response.reason, "bang");
    }
    EXPECT(tr_reqids_size(ids) == 0);
    SAID("30! TR_E_NOPROC noproc", "s call 1", "s call 2");
}

#define MANY 500

/* Every one of many is found, whatever was deleted before it. */
SCENE(reqids, many_are_each_answered_once)
{
    static int seen[MANY];
    tr_pid s = a_server(bare_server);
    tr_response response;
    tr_reqids *ids = tr_reqids_new();
    memset(seen, 0, sizeof seen);
    stage.said.used = 0;
    for (int i = 0; i < MANY; i++) {
        asks(ids, s, GO_ON, i);
    }
    size_t count;
    const tr_reqid *list = tr_reqids_to_list(ids, &count);
    EXPECT(count == MANY);
    for (size_t i = 0; i < count; i++) {
        seen[tr_int_value(list[i].label) / 10]++;
    }
    while (tr_reqids_receive_response(ids, 1000, true, &response) == TR_OK) {
        if (EXPECT(response.err == TR_OK)) {
            EXPECT(TR_MATCH(response.reply, answer)->n == tr_int_value(response.label) / 10);
            seen[tr_int_value(response.label) / 10]++;
            tr_msg_drop(response.reply);
        }
    }
    bool each_twice = true;
    for (int i = 0; i < MANY; i++) {
        each_twice = each_twice && seen[i] == 2;
    }
    EXPECT(each_twice && tr_reqids_size(ids) == 0);
    nobody_is_left();
}
