from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.support.made import PLAN, category, data_set, here, planned
from tests.support.told import Told

from blemish.benchmark import running
from blemish.benchmark.formats import FORMATS
from blemish.benchmark.plan import PlannedTrial
from blemish.benchmark.running import Failed, Failure, Finished, run_trials
from blemish.benchmark.table import tabulate
from blemish.benchmark.trial import Measured
from blemish.errors import BadData
from blemish.progress import Advance, ShowProgress, no_progress


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def tables(trials: Sequence[PlannedTrial], results: Sequence[Finished | Failed]) -> list[str]:
    table = tabulate(trials, results, [])
    return [written(table) for _, written in FORMATS.values()]


def counted() -> tuple[list[PlannedTrial], running.Attempt]:
    """An attempt in this process, and the trials that it has been asked for."""
    asked: list[PlannedTrial] = []

    def attempt(trial: PlannedTrial, watch: ShowProgress) -> Measured | Failure:
        asked.append(trial)
        return here(trial, watch)

    return asked, attempt


def test_trials_that_are_measured_at_once_may_end_in_any_order(tmp_path: Path) -> None:
    trials = planned(data_set(tmp_path))

    def backwards(asked: Sequence[PlannedTrial]) -> Iterator[tuple[int, Measured | Failure]]:
        yield len(asked) - 1, Failure("its machine is gone")
        yield from ((number, here(asked[number], no_progress)) for number in reversed(range(len(asked) - 1)))

    first = list(run_trials(trials, tmp_path / "out", attempt_all=backwards))
    assert [type(each) for each in first] == [Failed, Finished, Finished, Finished]
    assert [each.planned for each in first] == trials[::-1]
    asked, attempt = counted()
    rest = list(run_trials(trials, tmp_path / "out", attempt=attempt))
    assert asked == trials[-1:]
    assert [each.planned for each in rest if isinstance(each, Finished) and each.kept] == trials[:-1]


def stopped_after(count: int) -> running.Attempt:
    done: list[PlannedTrial] = []

    def attempt(trial: PlannedTrial, watch: ShowProgress) -> Measured | Failure:
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(trial)
        return here(trial, watch)

    return attempt


def test_a_run_that_is_interrupted_anywhere_ends_with_the_same_table(tmp_path: Path) -> None:
    trials = planned(data_set(tmp_path))
    whole = list(run_trials(trials, tmp_path / "whole", attempt=here))
    assert len(whole) == len(trials) == 4
    for stop in range(4):
        out = tmp_path / f"stopped{stop}"
        with pytest.raises(KeyboardInterrupt):
            list(run_trials(trials, out, attempt=stopped_after(stop)))
        assert len(lines(out / "results.jsonl") if stop else []) == stop
        asked, attempt = counted()
        rest = list(run_trials(trials, out, attempt=attempt))
        assert asked == trials[stop:]
        assert [each.kept for each in rest if isinstance(each, Finished)] == [True] * stop + [False] * (4 - stop)
        assert tables(trials, rest) == tables(trials, whole)
        names = sorted(path.name for path in (tmp_path / "whole" / "scores").iterdir())
        assert sorted(path.name for path in (out / "scores").iterdir()) == names


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    trials, out = planned(data_set(tmp_path, "bolt")), tmp_path / "out"
    whole = list(run_trials(trials, out, attempt=here))
    text = (out / "results.jsonl").read_bytes()
    (out / "results.jsonl").write_bytes(text[:-40])
    asked, attempt = counted()
    rest = list(run_trials(trials, out, attempt=attempt))
    assert asked == trials[1:]
    assert tables(trials, rest) == tables(trials, whole)
    assert (out / "results.jsonl").read_bytes() == text


@pytest.mark.parametrize("damage", ["{}\n", "nonsense\n", '{"key": 1}\n', "[]\n"])
def test_a_damaged_line_is_named(tmp_path: Path, damage: str) -> None:
    (tmp_path / "results.jsonl").write_text(damage, encoding="utf-8")
    with pytest.raises(BadData, match=r"results\.jsonl, line 1 is damaged: remove it"):
        list(run_trials([], tmp_path))


def another_picture(folder: Path) -> None:
    category(folder / "parts" / "bolt", good=7)


def another_label(folder: Path) -> None:
    (folder / "parts/bolt/test/stain").rename(folder / "parts/bolt/test/dent")


def another_place(folder: Path) -> None:
    (folder / "moved").mkdir()
    (folder / "parts").rename(folder / "moved" / "parts")


@pytest.mark.parametrize(
    ("change", "text", "anew"),
    [
        (lambda folder: None, PLAN, 0),
        (another_picture, PLAN, 2),
        (another_label, PLAN, 2),
        (another_place, PLAN.replace('"parts"', '"moved/parts"'), 0),
        (lambda folder: None, PLAN.replace("0.5", "0.25"), 2),
        (lambda folder: None, PLAN.replace("[0, 1]", "[1, 2]"), 1),
        (lambda folder: None, "alpha = 0.2\n" + PLAN, 2),
        (lambda folder: None, PLAN + 'product = "steel bolt"', 0),  # no words in it
    ],
)
def test_whatever_decides_an_outcome_is_measured_anew_when_it_changes(
    tmp_path: Path, change: Callable[[Path], object], text: str, anew: int
) -> None:
    folder = data_set(tmp_path, "bolt")
    list(run_trials(planned(folder), tmp_path / "out", attempt=here))
    change(folder)
    asked, attempt = counted()
    list(run_trials(planned(folder, text), tmp_path / "out", attempt=attempt))
    assert len(asked) == anew


def test_another_version_or_encoder_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = planned(data_set(tmp_path, "bolt"))
    list(run_trials(trials, tmp_path / "out", attempt=here))
    monkeypatch.setattr(running, "VERSION", "99")
    asked, attempt = counted()
    list(run_trials(trials, tmp_path / "out", attempt=attempt))
    assert len(asked) == 2
    seen = running._seen
    monkeypatch.setattr(running, "_seen", lambda *a: seen(*a)._replace(said={"encoder_sha256": "another"}))
    list(run_trials(trials, tmp_path / "out", attempt=attempt))
    assert len(asked) == 4


def test_a_trial_that_fails_is_listed_and_the_rest_goes_on_and_it_is_tried_again(tmp_path: Path) -> None:
    text = PLAN.replace('"test-tiny"', '"none.safetensors", "test-tiny"').replace("[2]", "[2, 50]")
    trials, out = planned(data_set(tmp_path, "bolt"), text), tmp_path / "out"

    results = list(run_trials(trials, out, attempt=here))
    failed = [each for each in results if isinstance(each, Failed)]
    assert (len(results), len(failed)) == (8, 6)
    assert all("none.safetensors" in each.error for each in failed if each.planned.encoder == "none.safetensors")
    assert all("50 shots" in each.error for each in failed if each.planned.encoder == "test-tiny")
    listed = lines(out / "failed.jsonl")
    assert [line["error"] for line in listed] == [each.error for each in failed]
    assert {(line["encoder"], line["shots"]) for line in listed} == {
        ("none.safetensors", 2),
        ("none.safetensors", 50),
        ("test-tiny", 50),
    }
    asked, again = counted()
    list(run_trials([trial for trial in trials if trial.trial.shots == 2], out, attempt=again))
    assert asked == []  # the broken encoder fails before anything is tried, the others are measured
    assert len(lines(out / "failed.jsonl")) == 2


def test_a_data_set_that_breaks_fails_alone(tmp_path: Path) -> None:
    category(tmp_path / "parts" / "bolt", masks=True)
    category(tmp_path / "parts" / "nut")
    trials = planned(tmp_path)
    Image.new("L", (7, 5)).save(tmp_path / "parts/bolt/ground_truth/spot/0_mask.png")
    results = list(run_trials(trials, tmp_path / "out", attempt=here))
    errors = [each.error for each in results if isinstance(each, Failed)]
    assert len(errors) == 2
    assert all("0_mask.png is no mask for" in error for error in errors)
    assert sum(isinstance(each, Finished) for each in results) == 2


def test_what_cannot_be_measured_is_said_before_anything_is(tmp_path: Path) -> None:
    more = """
[[methods]]
name = "patchcore"
arguments = { crop = 7 }
"""
    trials = planned(data_set(tmp_path), PLAN.replace("seeds = [0, 1]", "seeds = [0]").replace("[2]", "[2, 50]") + more)
    picture = tmp_path / "parts/nut/test/spot/0.png"
    Image.new("L", (7, 5)).save(picture.with_name("0_mask.png"))
    asked, attempt = counted()
    results = list(run_trials(trials, tmp_path / "out", attempt=attempt))
    kinds = [type(each) for each in results]
    assert kinds == sorted(kinds, key=lambda kind: kind is Finished)
    assert len(results) == len(trials) == 8
    (done,) = (each.planned.trial for each in results if isinstance(each, Finished))
    assert (done.category, done.shots, dict(done.arguments)) == ("bolt", 2, {"ratio": 0.5})
    assert len(asked) == 1


def test_a_process_of_its_own_gives_the_same_and_its_memory(tmp_path: Path) -> None:
    trial = planned(data_set(tmp_path, "bolt"))[0]
    told = Told()
    apart, inside = running.measure_in_process(trial, told), here(trial)
    assert isinstance(apart, Measured)
    assert isinstance(inside, Measured)
    assert apart.scores == inside.scores
    stages = ["learning from good parts 2"] * 2 + ["scoring good parts held out 4"] * 4 + ["inspecting 6"] * 6
    assert told.advanced == stages
    assert apart.outcome["peak_bytes"] is None or apart.outcome["peak_bytes"] > 1 << 24
    same = set(inside.outcome) - {"seconds_per_image", "learning_seconds", "peak_bytes"}
    assert {name: apart.outcome[name] for name in same} == {name: inside.outcome[name] for name in same}


@pytest.mark.slow
def test_a_process_that_is_killed_or_refuses_is_a_failure(tmp_path: Path) -> None:
    def kill(stage: str, total: int, done: int = 0, /) -> Advance:
        (child,) = multiprocessing.active_children()
        child.kill()
        return no_progress(stage, total)

    trial = planned(data_set(tmp_path, "bolt"))[0]
    killed = running.measure_in_process(trial, kill)
    assert isinstance(killed, Failure)
    assert "SIGKILL" in killed.error
    refused = running.measure_in_process(planned(tmp_path, PLAN.replace("[2]", "[50]"))[0], no_progress)
    assert isinstance(refused, Failure)
    assert refused.error.startswith("50 shots were asked for")
    odd = running.measure_in_process(planned(tmp_path, PLAN.replace("ratio = 0.5", 'ratio = "half"'))[0], no_progress)
    assert isinstance(odd, Failure)
    assert odd.error.startswith("TypeError: ")
    assert multiprocessing.active_children() == []
