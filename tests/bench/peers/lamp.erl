%% The state machine of peers.erl: each cast changes the state.
-module(lamp).
-behaviour(gen_statem).
-export([init/1, callback_mode/0, handle_event/4]).

callback_mode() -> handle_event_function.
init([]) -> {ok, off, 0}.

handle_event({call, From}, _, _, Switched) -> {keep_state_and_data, [{reply, From, Switched}]};
handle_event(cast, _, on, Switched) -> {next_state, off, Switched + 1};
handle_event(cast, _, off, Switched) -> {next_state, on, Switched + 1}.
