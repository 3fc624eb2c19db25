"""The states of a station, as OPC 40100-1 (Machine Vision, 2019) names them, and what leads from one to another.

Every door asks this one table. `Operational` is there only by its four inner states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from blemish.errors import BadInput

State = Literal[
    "Preoperational", "Halted", "Error", "Initialized", "Ready", "SingleExecution", "ContinuousExecution"
]  # fmt: skip
Command = Literal["prepare", "unprepare", "start_single", "start_continuous", "stop", "abort", "halt", "reset"]
Happening = Literal["initialize", "finish", "fail"]
"""What comes about by itself: the process is up, the single job is done, the process has failed."""
STATES: tuple[State, ...] = get_args(State)
COMMANDS: tuple[Command, ...] = get_args(Command)
OPERATIONAL: tuple[State, ...] = ("Initialized", "Ready", "SingleExecution", "ContinuousExecution")
EXECUTION: tuple[State, ...] = ("SingleExecution", "ContinuousExecution")

TRANSITIONS: Mapping[tuple[State, Command | Happening], State] = {
    ("Preoperational", "initialize"): "Initialized",
    ("Preoperational", "halt"): "Halted",
    ("Preoperational", "fail"): "Error",
    ("Halted", "reset"): "Preoperational",
    ("Error", "reset"): "Preoperational",
    ("Error", "halt"): "Halted",
    ("Initialized", "prepare"): "Ready",
    ("Ready", "prepare"): "Ready",
    ("ContinuousExecution", "prepare"): "ContinuousExecution",  # changes between parts
    ("Ready", "unprepare"): "Initialized",
    ("Ready", "start_single"): "SingleExecution",
    ("Ready", "start_continuous"): "ContinuousExecution",
    ("SingleExecution", "finish"): "Ready",
    ("SingleExecution", "stop"): "Ready",
    ("ContinuousExecution", "stop"): "Ready",
    ("SingleExecution", "abort"): "Ready",
    ("ContinuousExecution", "abort"): "Ready",
    **{(state, "reset"): "Preoperational" for state in OPERATIONAL},
    **{(state, "halt"): "Halted" for state in OPERATIONAL},
    **{(state, "fail"): "Error" for state in OPERATIONAL},
}
"""(state, what happens) -> the next state; what is not there is refused."""


class WrongState(BadInput):
    """Something that cannot be done in the state that a station is in."""


def next_state(state: State, event: Command | Happening) -> State:
    """Raises WrongState."""
    if (state, event) not in TRANSITIONS:
        able = [each for each in STATES if (each, event) in TRANSITIONS]
        raise WrongState(f"{event} is not possible in the state {spell_state(state)}, only in {', '.join(able)}")
    return TRANSITIONS[state, event]


def spell_state(state: State) -> str:
    """With the outer state: Operational.Ready."""
    return f"Operational.{state}" if state in OPERATIONAL else state
