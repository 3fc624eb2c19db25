"""How far a command is, as it is shown."""

from __future__ import annotations

import sys
import time

import pytest

from blemish.cli import console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test sets."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_line_now_and_then_has_an_estimate(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with console.show_progress() as watch:
        advance = watch("inspecting", 100)
        for clock[0] in range(1, 101):
            advance()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 10
    assert said[0] == "inspecting: 10 of 100, 90 s left" or said[0] == "inspecting: 10 of 100, 2 min left"
    assert said[-1] == "inspecting: 100 of 100"


def test_what_takes_no_time_is_not_said(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with console.show_progress() as watch:
        advance = watch("inspecting", 3)
        for clock[0] in range(3):
            advance()
    assert capsys.readouterr().err == ""


def test_means_of_what_is_measured_are_said_at_the_end(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with console.show_progress() as watch:
        advance = watch("training", 3)
        for step in range(1, 4):
            advance({"patches": float(step), "total": 1.0})
    assert capsys.readouterr().err == "training: 3 of 3, patches 2.000, total 1.000\n"


def test_an_estimate_leaves_out_what_was_done_before(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with console.show_progress() as watch:
        advance = watch("training", 60, 40)
        clock[0] = 10.0
        advance()
        watch("reading photographs", 0)
    assert capsys.readouterr().err == "training: 41 of 60, 3 min left\n"


def test_a_terminal_has_a_bar_a_stage_and_a_stage_begun_again_takes_its_place(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    bars = console._bars()
    monkeypatch.setattr(console, "_bars", lambda: bars)
    with console.show_progress() as watch:
        whole = watch("trials", 4)
        for _ in range(2):
            advance = watch("inspecting", 2)
            clock[0] += 1.0
            advance()
        whole()
        whole()
        assert [(task.description, task.completed) for task in bars.tasks] == [
            ("trials: 1 of 4, 6 s left", 1),
            ("inspecting: 1 of 2, 1 s left", 1),
        ]
        advance()
        assert [task.id for task in bars.tasks] == [0]
