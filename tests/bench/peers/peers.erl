%% The BEAM's half of ./dev bench peers: the workloads of bench_peers.c, with the same sizes and counts.
%%     erl ... -run peers main WORKLOAD COUNT        a JSON line, as bench_peers.c prints it
-module(peers).
-export([main/1, adder/0]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(RING, 503).
-define(SENDERS, 16).
-define(BATCH, 1000).
-define(FAN_OUT, 100).

main([Name, Text]) ->
    Count = list_to_integer(Text),
    %% A process of its own: the one that runs -run belongs to the boot sequence.
    {_, Ref} = spawn_monitor(fun() -> measure(list_to_atom(Name), Count) end),
    receive {'DOWN', Ref, _, _, normal} -> halt(0);
            {'DOWN', Ref, _, _, Why} -> io:format(standard_error, "~p~n", [Why]), halt(1)
    end.

measure(idle, Count) ->
    _ = adder(),
    erlang:garbage_collect(),
    Before = resident(),
    Servers = [begin S = adder(), 1 = gen_server:call(S, {add, 1}, infinity), S end || _ <- lists:seq(1, Count)],
    io:format("{\"bytes\": ~.1f}~n", [(resident() - Before) / length(Servers)]);
measure(Name, Count) ->
    run(Name, Count div 10),
    Begin = erlang:monotonic_time(nanosecond),
    {Cpu, _} = erlang:statistics(runtime),
    run(Name, Count),
    {Cpu2, _} = erlang:statistics(runtime),
    io:format("{\"ops\": ~b, \"seconds\": ~.6f, \"cpu_seconds\": ~.6f}~n",
              [Count, (erlang:monotonic_time(nanosecond) - Begin) / 1.0e9, (Cpu2 - Cpu) / 1000.0]).

resident() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = binary:split(Text, <<" ">>, [global]),
    binary_to_integer(Pages) * 4096.

%% ---- messages

run(ping_pong, Count) ->
    Peer = spawn_link(fun() -> echo(Count) end),
    ping(Peer, Count);
run(ring, Count) ->
    Self = self(),
    First = spawn_link(fun() -> receive {token, _, Next} -> member(Self, Next) end end),
    Last = lists:foldl(fun(_, Next) -> spawn_link(fun() -> member(Self, Next) end) end, First, lists:seq(2, ?RING)),
    First ! {token, self(), Last},
    First ! {token, self(), Count},
    receive done -> ok end;
run(stream, Count) -> stream(1, Count);
run(fan_in, Count) -> stream(?SENDERS, Count);

run(call_1, Count) -> calls(1, Count);
run(call_16, Count) -> calls(?SENDERS, Count);

%% ---- processes

run(spawn, 0) -> ok;
run(spawn, Count) ->
    {_, Ref} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Ref, _, _, _} -> ok end,
    run(spawn, Count - 1);
run(fan_out, Count) when Count =< 0 -> ok;
run(fan_out, Count) ->
    Self = self(),
    [spawn_monitor(fun() -> Self ! {token, self(), 1} end) || _ <- lists:seq(1, ?FAN_OUT)],
    await(2 * ?FAN_OUT),
    run(fan_out, Count - ?FAN_OUT);
run(timers, Count) when Count =< 0 -> ok;
run(timers, Count) ->
    Set = [erlang:send_after(60000 + K, self(), done) || K <- lists:seq(1, ?BATCH)],
    [erlang:cancel_timer(Timer) || Timer <- Set],
    run(timers, Count - ?BATCH);
run(statem, Count) ->
    {ok, Lamp} = gen_statem:start(lamp, [], []),
    Sum = transitions(Lamp, Count, 0),
    true = Sum >= Count,
    gen_statem:stop(Lamp).

transitions(_, Count, Sum) when Count =< 0 -> Sum;
transitions(Lamp, Count, _) ->
    cast(Lamp, ?BATCH),
    transitions(Lamp, Count - ?BATCH, gen_statem:call(Lamp, {add, 0}, infinity)).

cast(_, 0) -> ok;
cast(Lamp, N) -> gen_statem:cast(Lamp, {add, 1}), cast(Lamp, N - 1).

ping(_, 0) -> ok;
ping(Peer, Count) ->
    Peer ! {token, self(), Count},
    receive {token, _, _} -> ping(Peer, Count - 1) end.

echo(0) -> ok;
echo(Count) -> receive {token, From, Value} -> From ! {token, self(), Value}, echo(Count - 1) end.

member(Parent, Next) ->
    receive
        {token, _, 0} -> Parent ! done, Next ! {token, self(), -1};
        {token, _, -1} -> Next ! {token, self(), -1};
        {token, _, Left} -> Next ! {token, self(), Left - 1}, member(Parent, Next)
    end.

stream(Senders, Count) ->
    Each = Count div Senders,
    Self = self(),
    To = spawn_link(fun() -> sink(Each * Senders), Self ! done end),
    [spawn_link(fun() -> source(To, Each) end) || _ <- lists:seq(1, Senders)],
    receive done -> ok end.

sink(0) -> ok;
sink(Count) -> receive {token, _, _} -> sink(Count - 1) end.

source(_, 0) -> ok;
source(To, Count) -> To ! {token, self(), Count}, source(To, Count - 1).

await(0) -> ok;
await(Count) -> receive _ -> await(Count - 1) end.

%% ---- gen_server

adder() -> {ok, Pid} = gen_server:start(?MODULE, [], []), Pid.
init([]) -> {ok, {0, 0, 0, 0}}.
handle_call({add, By}, _From, {Value, A, B, C}) -> {reply, Value + By, {Value + By, A, B, C}}.
handle_cast(_, State) -> {noreply, State}.

calls(Callers, Count) ->
    Server = adder(),
    Self = self(),
    [spawn_link(fun() -> call(Server, Count div Callers), Self ! done end) || _ <- lists:seq(1, Callers)],
    await(Callers),
    gen_server:stop(Server).

call(_, 0) -> ok;
call(Server, Count) -> gen_server:call(Server, {add, 1}, infinity), call(Server, Count - 1).
