%% A token bucket for each key in one process: a map of tokens, and a tick a second that gives to everyone.
-module(limiter).
-behaviour(gen_server).
-export([start_link/0, check/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(LIMIT, 2000000000).
-define(REFILL, 2000000000).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% {ok, Remaining} or {error, rate_limited}.
check(Key) ->
    gen_server:call(?MODULE, {check, Key}).

init([]) ->
    {ok, _} = timer:send_interval(1000, refill),
    {ok, #{}}.

handle_call({check, Key}, _From, Buckets) ->
    case maps:get(Key, Buckets, ?LIMIT) of
        Tokens when Tokens > 0 -> {reply, {ok, Tokens - 1}, Buckets#{Key => Tokens - 1}};
        _ -> {reply, {error, rate_limited}, Buckets}
    end.

handle_cast(_, Buckets) ->
    {noreply, Buckets}.

handle_info(refill, Buckets) ->
    {noreply, maps:map(fun(_, Tokens) -> min(?LIMIT, Tokens + ?REFILL) end, Buckets)}.
