from __future__ import annotations

from itertools import product

import pytest

from blemish.serve.states import COMMANDS, OPERATIONAL, STATES, TRANSITIONS, WrongState, next_state, spell_state


def test_a_station_begins_inspects_fails_and_begins_again() -> None:
    state = STATES[0]
    events = ("initialize", "prepare", "start_continuous", "fail", "reset", "initialize", "prepare", "start_single")
    seen = []
    for event in events:
        state = next_state(state, event)  # type: ignore[arg-type]
        seen.append(state)
    assert seen == [
        "Initialized", "Ready", "ContinuousExecution", "Error", "Preoperational", "Initialized", "Ready",
        "SingleExecution",
    ]  # fmt: skip
    assert next_state("SingleExecution", "finish") == "Ready"


def test_what_the_table_does_not_hold_is_refused_with_what_would_do() -> None:
    for state, command in product(STATES, COMMANDS):
        if (state, command) not in TRANSITIONS:
            with pytest.raises(WrongState, match=f"{command} is not possible in the state .*{state}"):
                next_state(state, command)
    with pytest.raises(WrongState, match=r"only in Ready$"):
        next_state("Halted", "start_single")


def test_every_state_is_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) == set(STATES)
    assert {state for state, _ in TRANSITIONS} == set(STATES)
    for state in OPERATIONAL:
        assert next_state(state, "halt") == "Halted"


def test_nothing_inspects_before_it_is_ready() -> None:
    """An execution is entered from Ready alone, a recipe apart that changes while it goes on."""
    entered = {before for (before, _), after in TRANSITIONS.items() if after.endswith("Execution")}
    assert entered == {"Ready", "ContinuousExecution"}


def test_states_are_spelled_as_the_standard_does() -> None:
    assert [spell_state(each) for each in ("Ready", "Halted")] == ["Operational.Ready", "Halted"]
