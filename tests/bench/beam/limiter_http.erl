%% The limiter behind cowboy, with the paths and the answers of the service.
-module(limiter_http).
-export([start/1, init/2]).

start(Port) ->
    {ok, _} = application:ensure_all_started(cowboy),
    {ok, Limiter} = limiter:start_link(),
    Dispatch = cowboy_router:compile([
        {'_', [
            {"/v1/rate-limits/:policy/keys/:key/check", ?MODULE, path},
            {"/v1/rate-limits/:policy/check", ?MODULE, body},
            {'_', ?MODULE, nothing}
        ]}
    ]),
    {ok, _} = cowboy:start_clear(
        limiter_http,
        #{socket_opts => [{ip, {127, 0, 0, 1}}, {port, Port}, {backlog, 1024}], num_acceptors => 10},
        #{env => #{dispatch => Dispatch}, max_keepalive => 1000000000, idle_timeout => 3600000}
    ),
    Down = monitor(process, Limiter),
    receive
        {'DOWN', Down, process, Limiter, Reason} -> exit(Reason)
    end.

init(Req, path) ->
    {ok, answer(cowboy_req:binding(key, Req), Req), path};
init(Req0, body) ->
    {ok, Body, Req} = cowboy_req:read_body(Req0),
    {ok, answer(maps:get(<<"key">>, jiffy:decode(Body, [return_maps])), Req), body};
init(Req, nothing) ->
    {ok, cowboy_req:reply(404, Req), nothing}.

answer(Key, Req) ->
    {Status, Remaining} =
        case limiter:check(Key) of
            {ok, Left} -> {200, Left};
            {error, rate_limited} -> {429, 0}
        end,
    Digits = integer_to_binary(Remaining),
    Body = jiffy:encode(
        {[
            {allowed, Status =:= 200},
            {policy, <<"bench">>},
            {key, Key},
            {cost, 1},
            {limit, 2000000000},
            {remaining, Remaining},
            {retry_after_ms, 0},
            {reset_ms, 1}
        ]}
    ),
    cowboy_req:reply(
        Status,
        #{
            <<"content-type">> => <<"application/json">>,
            <<"x-content-type-options">> => <<"nosniff">>,
            <<"ratelimit-policy">> => <<"\"bench\";q=2000000000;w=1">>,
            <<"ratelimit">> => [<<"\"bench\";r=">>, Digits, <<";t=0">>],
            <<"cache-control">> => <<"no-store">>
        },
        Body,
        Req
    ).
