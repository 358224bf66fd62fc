/* agent.c: an agent is a gen_server whose requests bring the function along. */
#include <string.h>
#include <troupe/agent.h>

#include "runtime/otp/gen_server.h"
#include "runtime/otp/payload.h"

/* A job that travels. The argument's terms lie behind it in the same blob, so that a message of one type carries
 * arguments of every type, and is freed as any other. */
TR_MESSAGE_BLOBS(
    tr__agent_request,
    {
        const tr_agent *agent;
        const tr_type *out_type;
        bool reads;
        void (*ask)(void *self, const void *arg, void *out);
        void (*tell)(void *self, const void *arg);
        tr_blob *arg; /* NULL: it has no bytes */
    },
    offsetof(tr__agent_request, arg));
TR_MESSAGE_EMPTY(tr__agent_done);

/* ---- the agent ---- */

static const tr_agent *agent_of(const void *self)
{
    const char *state = self;
    const tr__gen_server *server = (const void *)(state - offsetof(tr__gen_server, state));
    return (const tr_agent *)(const void *)server->module;
}

/* For those who read without a message. */
static void publish(const void *self)
{
    const tr_agent *agent = agent_of(self);
    if (agent->snapshot != NULL) {
        tr_scratch_mark mark = tr_scratch();
        void *view = tr_scratch_alloc(agent->view_type->size + 1u);
        memset(view, 0, agent->view_type->size);
        agent->view(self, view);
        (void)tr_snapshot_publish(agent->snapshot, agent->view_type, view);
        tr_scratch_release(mark);
    }
}

tr_next tr__agent_init(void *self, const void *arg)
{
    const tr_agent *agent = agent_of(self);
    TR_CHECK((agent->snapshot != NULL) == (agent->view != NULL && agent->view_type != NULL));
    if (agent->init != NULL) {
        agent->init(self, arg);
    }
    publish(self);
    return TR_INIT_OK;
}

tr_term tr__agent_format_state(const void *self)
{
    const tr_agent *agent = agent_of(self);
    if (agent->format_state != NULL) {
        return agent->format_state(self);
    }
    return tr_tuple(tr_atom(agent->server.name), tr_int((int64_t)agent->server.state_bytes));
}

/* The request in a message, if it was made for this kind of agent. */
static const tr__agent_request *request_in(const void *self, const tr_msg *msg)
{
    const tr__agent_request *request = TR_MATCH(msg, tr__agent_request);
    if (request == NULL || request->agent != agent_of(self)) {
        tr_error(TR_ATOM(FUNCTION_CLAUSE));
    }
    return request;
}

static const void *arg_of(const tr__agent_request *request)
{
    return request->arg == NULL ? (const void *)request : request->arg->bytes;
}

static void answer(void *self, tr_from from, const tr__agent_request *request)
{
    void *out = tr_scratch_alloc(request->out_type->size + 1);
    memset(out, 0, request->out_type->size);
    request->ask(self, arg_of(request), out);
    if (!request->reads) {
        publish(self);
    }
    (void)tr_reply(from, request->out_type, out);
}

tr_next tr__agent_handle_call(void *self, tr_from from, const tr_msg *msg)
{
    const tr__agent_request *request = request_in(self, msg);
    if (request->out_type != NULL) {
        answer(self, from, request);
    } else {
        request->tell(self, arg_of(request));
        publish(self);
        TR_ANSWER(from, tr__agent_done);
    }
    return tr_next_replied(from, request->out_type != NULL ? request->out_type : TR_TYPE(tr__agent_done));
}

tr_next tr__agent_handle_cast(void *self, const tr_msg *msg)
{
    const tr__agent_request *request = request_in(self, msg);
    if (request->out_type != NULL) { /* nobody is there who would get it */
        tr_error(TR_ATOM(FUNCTION_CLAUSE));
    }
    request->tell(self, arg_of(request));
    publish(self);
    return TR_NOREPLY;
}

/* ---- its callers ---- */

static tr_msg *request_of(const tr_agent_job *job)
{
    tr_msg *msg = TR_MSG(tr__agent_request, .agent = job->agent, .out_type = job->out_type,
                         .reads = job->reads, .ask = job->ask, .tell = job->tell);
    tr__payload_give(msg, tr__payload_copy(job->arg_type, job->arg, TR_AGENT_ARG_MAX));
    return msg;
}

tr_err tr_agent_call(tr_dest dest, const tr_agent_job *job, int64_t timeout_ms, void *out, tr_term *reason)
{
    tr_msg *reply;
    tr_err err = tr_gen_server_call(dest, request_of(job), timeout_ms, &reply, reason);
    if (err != TR_OK) {
        return err;
    }
    const tr_type *type = job->out_type == NULL ? TR_TYPE(tr__agent_done) : job->out_type;
    return tr__reply_unpack(reply, type, out);
}

tr_err tr_agent_cast(tr_dest dest, const tr_agent_job *job)
{
    return tr_gen_server_cast(dest, request_of(job));
}
