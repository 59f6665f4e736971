"""The state table of an environment: every state with every signal."""

from __future__ import annotations

import itertools

import pytest

from engine.core.environment import MOVES, Environment, Signal, State
from engine.errors import IllegalMove

WAY_TO = {
    State.STARTING: (),
    State.IDLE: (Signal.READY,),
    State.BUSY: (Signal.READY, Signal.RESERVE),
    State.GONE: (Signal.CRASH,),
}

LEGAL = {
    (State[state], Signal[signal]): State[target]
    for state, signal, target in map(
        str.split,
        (
            "STARTING READY IDLE",
            "STARTING RETIRE GONE",
            "STARTING CRASH GONE",
            "IDLE RESERVE BUSY",
            "IDLE RETIRE GONE",
            "IDLE CRASH GONE",
            "BUSY SHARE BUSY",
            "BUSY YIELD BUSY",
            "BUSY RELEASE IDLE",
            "BUSY CRASH GONE",
        ),
    )
}


def environment_in(state: State) -> Environment:
    environment = Environment(7, 1.0, 0, provisioned=False)
    for signal in WAY_TO[state]:
        environment.send(signal, 2.0)
    return environment


def test_an_environment_starts_when_it_is_made():
    """A new environment is STARTING since the moment of its making, and has served nothing."""
    environment = Environment(7, 1.5, 3, provisioned=True)

    expected = (7, State.STARTING, 1.5, 3, True, 0, 0)
    assert expected == (
        environment.id,
        environment.state,
        environment.since_s,
        environment.generation,
        environment.provisioned,
        environment.in_flight,
        environment.served,
    )


@pytest.mark.parametrize(("state", "signal"), LEGAL)
def test_a_legal_move_leads_to_its_state(state, signal):
    """And that holds since now."""
    environment = environment_in(state)

    environment.send(signal, 9.0)

    assert (LEGAL[state, signal], 9.0) == (environment.state, environment.since_s)


@pytest.mark.parametrize(("state", "signal"), sorted(set(itertools.product(State, Signal)) - LEGAL.keys()))
def test_any_other_move_is_illegal_and_changes_nothing(state, signal):
    """What the table lacks raises, names environment and signal, and leaves the environment alone."""
    environment = environment_in(state)
    before = (environment.state, environment.since_s, str(environment))

    with pytest.raises(IllegalMove) as caught:
        environment.send(signal, 9.0)

    assert f"environment 7 {state.name} (0 running, 0 served) cannot take '{signal.name}'" == str(
        caught.value
    )
    assert before == (environment.state, environment.since_s, str(environment))


def test_the_table_has_these_rows_and_no_others():
    """Nothing leaves GONE and nothing returns to STARTING."""
    assert LEGAL == MOVES
    assert 28 == len(State) * len(Signal)


def test_an_environment_says_what_it_is():
    """`str` is exact: error messages and tests compare it."""
    environment = Environment(4, 0.0, 0, provisioned=True)
    environment.send(Signal.READY, 0.0)
    environment.served = 2

    assert "provisioned environment 4 IDLE (0 running, 2 served)" == str(environment)
