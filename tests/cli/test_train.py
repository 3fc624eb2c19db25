"""`blemish train`: from a data set to a recipe that inspects, calibrates, evaluates and reports."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from tests.structure.source import ROOT
from tests.support.parts import mask, part
from tests.support.quick import slow_but
from tests.support.training import TRAINED

from blemish import catalog
from blemish.cli import train as commands
from blemish.cli.main import main
from blemish.detectors.supersimplenet import SuperSimpleNet
from blemish.files import alone_at, alone_in
from blemish.recipes.file import read
from blemish.recipes.recipe import load
from blemish.training import loop
from blemish.types import GOOD

SMALL = ("--encoder", "test-tiny", "--set", "image_size=64", "--batch-size", "4", "--device", "cpu")
QUICK = ("supersimplenet", *SMALL, "--set", "width=16")


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def passed(*words: str | Path) -> Result:
    result = run(*words)
    assert result.exit_code in (0, 10, 11), result.output + result.stderr
    return result


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """MVTec's layout: good parts to train on, and a test split that is not."""
    for at in range(6):
        part(tmp_path / "set/train/good" / f"{at}.png", at)
        part(tmp_path / "set/test/good" / f"{at}.png", 100 + at)
        spot = (8 + 6 * at, 44 - 6 * at)
        part(tmp_path / "set/test/spot" / f"{at}.png", 200 + at, spot=spot)
        mask(tmp_path / "set/ground_truth/spot" / f"{at}_mask.png", spot)
    return tmp_path / "set"


@pytest.fixture
def table(tmp_path: Path, root: Path) -> Path:
    """A table whose training split has labelled defects, one of them without a mask."""
    lines = ["image,label,mask,split"]
    lines += [f"set/train/good/{at}.png,good,,train" for at in range(6)]
    lines += [f"set/test/spot/{at}.png,spot,set/ground_truth/spot/{at}_mask.png,train" for at in range(3)]
    (tmp_path / "parts.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "parts.csv"


def test_a_recipe_is_trained_and_all_commands_work_on_it(root: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "line.blemish"
    result = passed("train", *QUICK, root, "--steps", "3", "--out", recipe)
    assert "learning from 6 good parts and 0 with defects" in result.stderr
    assert "training: 3 of 3" in result.stderr
    assert "supersimplenet trained for 3 steps" in result.output
    assert not (tmp_path / "line.blemish.training").exists()
    found = load(recipe)
    assert found.method == "supersimplenet"
    assert [each.kind for each in found.taught] == [GOOD] * 6
    passed("inspect", root / "test", "--recipe", recipe, "--out", tmp_path / "out")
    assert len((tmp_path / "out/results.jsonl").read_text(encoding="utf-8").splitlines()) == 12
    passed("calibrate", recipe, "--good", root / "test/good", "--out", tmp_path / "calibrated.blemish")
    page = tmp_path / "page.html"
    passed(
        "inspect",
        root / "test",
        "--recipe",
        tmp_path / "calibrated.blemish",
        "--report",
        page,
        "--out",
        tmp_path / "again",
    )
    assert page.exists()
    passed("evaluate", root, "--recipe", tmp_path / "calibrated.blemish")


def test_labelled_defects_of_the_training_split_are_learned_from_unless_ignored(table: Path, tmp_path: Path) -> None:
    recipes = {}
    for defects, count in (("use", 3), ("ignore", 0)):
        out = tmp_path / f"{defects}.blemish"
        result = passed("train", *QUICK, table, "--steps", "2", "--defects", defects, "--out", out)
        assert f"learning from 6 good parts and {count} with defects" in result.stderr
        recipes[defects] = load(out)
    assert recipes["use"].arguments["supervised"] is True
    assert recipes["ignore"].arguments["supervised"] is False
    assert {each.kind for each in recipes["use"].taught} == {GOOD, "spot"}


def test_examples_of_defects_teach_whatever_split_they_are_of(root: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "plain", tmp_path / "bad"
    for at in range(5):
        part(good / "good" / f"{at}.png", at)
    for at, where in enumerate((good, bad, bad)):
        part(where / "dent" / f"{at}.png", 50 + at, spot=(20, 20))
    words = ("train", "clip-mdc", *SMALL, "--steps", "1")
    told = passed(*words, good, "--out", tmp_path / "none.blemish").stderr
    assert f"nothing is learned from 1 defect of {good}, which a plain folder keeps for tests" in told
    assert "learning from 4 good parts and 0 with defects" in told
    told = passed(*words, good, "--examples", bad, "--examples", good, "--out", tmp_path / "some.blemish").stderr
    assert "learning from 4 good parts and 3 with defects" in told
    assert "nothing is learned" not in told
    told = passed(*words, good / "good", "--normal", "--examples", bad, "--out", tmp_path / "good.blemish").stderr
    assert "learning from 5 good parts and 2 with defects" in told
    refused = run("train", "found-ad", *SMALL, root, "--examples", bad, "--out", tmp_path / "no.blemish")
    assert "found-ad does not learn from labelled defects: leave out --examples" in refused.stderr


def test_the_same_seed_gives_the_same_tensors_twice(root: Path, tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        passed("train", *QUICK, root, "--steps", "2", "--seed", seed, "--out", tmp_path / f"{name}.blemish")
        found.append(load(tmp_path / f"{name}.blemish").tensors)
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())
    assert any(not torch.equal(tensor, found[2][name]) for name, tensor in found[0].items())


def test_a_training_that_was_stopped_goes_on_to_the_same_recipe(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", *QUICK, root, "--steps", "4", "--augment", "cutpaste")
    passed(*words, "--out", tmp_path / "whole.blemish")
    asked = itertools.count()
    with monkeypatch.context() as patch:
        patch.setattr(commands.Stop, "__call__", lambda self: next(asked) == 2)
        result = run(*words, "--out", tmp_path / "cut.blemish")
    assert result.exit_code == 0
    assert next(asked) == 3
    result = passed(*words, "--minutes", "0", "--resume", "--out", tmp_path / "cut.blemish")
    assert "stopped early; the same command with --resume goes on" in result.output
    assert not (tmp_path / "cut.blemish").exists()
    result = run(*words, "--out", tmp_path / "cut.blemish")
    assert "holds a training that was stopped: go on with --resume, or remove the folder" in result.stderr
    assert result.exit_code == 1
    result = run(*words, "--seed", "5", "--resume", "--out", tmp_path / "cut.blemish")
    assert "was begun with other seed" in result.stderr
    passed(*words, "--resume", "--out", tmp_path / "cut.blemish")
    one, other = (load(tmp_path / f"{name}.blemish") for name in ("whole", "cut"))
    assert one.tensors.keys() == other.tensors.keys()
    assert all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


def test_nothing_to_go_on_with_is_said_and_it_begins_anew(root: Path, tmp_path: Path) -> None:
    words = ("train", *QUICK, root, "--steps", "2")
    (tmp_path / "a.blemish.training").mkdir()
    (tmp_path / "a.blemish.training" / "made-of.json").write_text('{"seed": 7}')  # killed before its first checkpoint
    result = passed(*words, "--resume", "--out", tmp_path / "a.blemish")
    assert f"{tmp_path / 'a.blemish.training'} holds no training to go on with: it begins anew" in result.stderr
    result = passed(*words, "--out", tmp_path / "b.blemish")
    assert "anew" not in result.stderr
    one, other = (load(tmp_path / f"{name}.blemish").tensors for name in "ab")
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("command", [("train", *QUICK), ("recipe", "freeze")])
@pytest.mark.parametrize("name", ["there.blemish", "there.png", "new.png"])
def test_a_recipe_takes_no_other_files_place(command: tuple[str, ...], name: str, root: Path, tmp_path: Path) -> None:
    out = tmp_path / name
    if name.startswith("there"):
        out.write_bytes(b"mine")
    asked = (root, "--steps", "1", "--out", out) if "train" in command else (out, "--normal", root / "train/good")
    result = run(*command, *asked)
    assert result.exit_code == 1
    reason = "exists: name another file" if name.startswith("there") else "is called as a picture is"
    assert f"{out} {reason}" in result.stderr
    assert "learning" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"set", *([name] if out.exists() else [])})


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_keeps_it_and_says_how_to_go_on(
    told: signal.Signals, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", *QUICK, root, "--steps", "4", "--augment", "cutpaste")
    passed(*words, "--out", tmp_path / "whole.blemish")
    before = signal.getsignal(told)
    with monkeypatch.context() as patch:
        step, steps = loop._step, itertools.count()

        def step_and_signal(*given: Any) -> dict[str, float]:
            if next(steps) == 1:
                signal.raise_signal(told)
            return step(*given)

        patch.setattr(loop, "_step", step_and_signal)
        result = run(*words, "--out", tmp_path / "cut.blemish")
    assert result.exit_code == 128 + told
    assert "the same command with --resume goes on from" in result.output
    assert signal.getsignal(told) == before
    assert torch.load(tmp_path / "cut.blemish.training/checkpoint.pt", weights_only=True)["step"] == 2
    passed(*words, "--resume", "--out", tmp_path / "cut.blemish")
    one, other = (load(tmp_path / f"{name}.blemish").tensors for name in ("whole", "cut"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def blemish(*words: str | Path, first: str = "", **more: Any) -> subprocess.Popen[str]:
    """The command in a process of its own; `first` is done before."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT.parent), "OMP_NUM_THREADS": "1"}
    beginning = ["-c", f"{first}; from blemish.cli.main import main; main()"] if first else ["-m", "blemish"]
    command = [sys.executable, *beginning, *map(str, words)]
    return subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True, **more)


def test_a_training_that_was_killed_goes_on_to_the_same_recipe(root: Path, tmp_path: Path) -> None:
    words = ("train", *QUICK, root, "--augment", "perlin", "--steps", "20")
    passed(*words, "--out", tmp_path / "whole.blemish")
    checkpoint, until = tmp_path / "cut.blemish.training/checkpoint.pt", time.monotonic() + 120
    often = "from blemish.training import loop; loop.UNSAVED = -1.0"
    with blemish(*words, "--out", tmp_path / "cut.blemish", first=often) as process:
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        second = run(*words, "--out", tmp_path / "cut.blemish")
        process.kill()
    assert second.exit_code == 1
    assert "is being written by another run" in second.stderr
    assert "learning" not in second.stderr
    assert not (tmp_path / "cut.blemish").exists()
    result = passed(*words, "--resume", "--out", tmp_path / "cut.blemish")
    assert "anew" not in result.stderr
    one, other = (load(tmp_path / f"{name}.blemish").tensors for name in ("whole", "cut"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_batches_are_gathered_and_rounded_as_asked(root: Path, tmp_path: Path) -> None:
    found = {}
    for name, more in {"a": (), "b": ("--accumulate", "2"), "c": ("--precision", "bf16-mixed")}.items():
        told = passed("train", *QUICK, root, "--steps", "2", *more, "--out", tmp_path / f"{name}.blemish").stderr
        assert ("with defects, in bf16-mixed" in told) == ("bf16-mixed" in more)
        found[name] = load(tmp_path / f"{name}.blemish").tensors
    for name in ("b", "c"):
        assert all(tensor.isfinite().all() for tensor in found[name].values())
        assert any(not torch.equal(tensor, found["a"][key]) for key, tensor in found[name].items())


@pytest.mark.slow
def test_two_devices_train_one_recipe(root: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "a.blemish", ("train", *QUICK, root, "--steps", "4", "--devices", "2")
    with blemish(*words, "--out", out, stdout=subprocess.PIPE) as process:
        printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert printed.count("supersimplenet trained for 4 steps") == 1
    assert said.count("learning from 6 good parts") == 1
    alone = tmp_path / "b.blemish"
    passed("train", *QUICK, root, "--steps", "4", "--out", alone)
    one, other = load(out).tensors, load(alone).tensors
    assert any(not torch.equal(tensor, other[name]) for name, tensor in one.items())
    passed("inspect", root / "test", "--recipe", out, "--out", tmp_path / "out")


@pytest.mark.parametrize("words", [("--device", "cpu:0", "--devices", "2")])
def test_several_devices_are_named_without_a_number(words: tuple[str, ...], root: Path, tmp_path: Path) -> None:
    result = run("train", *QUICK, root, *words, "--out", tmp_path / "a.blemish")
    assert result.exit_code == 2
    assert "leave out its number, or --devices" in result.stderr


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (("--rate", "1e30"), 1, "a learning rate of 1e+30: give one above 0 and at most 1; by 0 nothing is learned"),
        (("--rate", "-1"), 1, "a learning rate of -1: give one above 0 and at most 1; by 0 nothing is learned"),
        (("--rate", "nan"), 1, "a learning rate of nan: give one above 0 and at most 1; by 0 nothing is learned"),
        (("--minutes", "nan"), 2, "nan is no number"),
        (("--minutes", "-1"), 2, "-1.0 is not in the range"),
        (("--set", "image_size=7"), 1, "image_size=7: test-tiny sees patches of 8 pixels, give that or more"),
    ],
)
def test_numbers_that_teach_nothing_are_refused(
    words: tuple[str, ...], status: int, reason: str, root: Path, tmp_path: Path
) -> None:
    result = run("train", *QUICK, root, "--steps", "1", *words, "--out", tmp_path / "a.blemish")
    assert result.exit_code == status
    assert reason in result.stderr
    assert [*tmp_path.iterdir()] == [root]


def test_a_full_disk_keeps_what_was_trained(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("train", *QUICK, root, "--steps", "4", "--out", tmp_path / "a.blemish")
    monkeypatch.setattr(loop, "UNSAVED", -1.0)
    with monkeypatch.context() as patch:
        syncs, sync = itertools.count(), os.fsync

        def fill(descriptor: int) -> None:
            if next(syncs) == 3:  # after the note and two checkpoints
                raise OSError(errno.ENOSPC, "No space left on device")
            sync(descriptor)

        patch.setattr(os, "fsync", fill)
        result = run(*words)
    assert result.exit_code == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Error"))
    assert "checkpoint.pt cannot be written (the disk is full): make room, and go on" in line
    folder = tmp_path / "a.blemish.training"
    assert {path.name for path in folder.iterdir()} == {"checkpoint.pt", "made-of.json"}
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["step"] == 2
    passed(*words, "--resume")


def test_folders_of_good_parts_are_said_to_be_that(root: Path, tmp_path: Path) -> None:
    words = ("train", *QUICK, root / "train/good", "--steps", "1", "--out", tmp_path / "a.blemish")
    result = run(*words)
    assert result.exit_code == 1
    assert "if these are folders of good parts, say --normal" in result.stderr
    result = passed(*words, "--normal", "--augment", "perlin")
    assert "learning from 6 good parts" in result.stderr


def test_epochs_count_how_often_each_good_part_is_seen(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.blemish"
    result = passed("train", *QUICK, root, "--epochs", "2", "--out", out)
    assert "training: 3 of 3" in result.stderr  # 12 parts, 4 a step
    result = passed("train", *QUICK, root, "--epochs", "2", "--augment", "nsa", "--out", tmp_path / "b.blemish")
    assert "training: 6 of 6" in result.stderr
    result = run("train", *QUICK, root, "--epochs", "2", "--steps", "2", "--out", out)
    assert result.exit_code == 2
    assert "--steps and --epochs say the same thing" in result.stderr


def test_a_method_that_is_not_trained_names_the_command_that_freezes_it(root: Path, tmp_path: Path) -> None:
    result = run("train", "patchcore", *SMALL, root, "--out", tmp_path / "a.blemish")
    assert result.exit_code == 1
    assert "blemish recipe freeze" in result.stderr
    assert not (tmp_path / "a.blemish.training").exists()


ASKED = {"adp", "anomaly-clip", "glass", "supersimplenet"}
"""At home and on other products, published and not: all are refused by what their cards say."""


@pytest.mark.parametrize("method", slow_but(ASKED, TRAINED))
def test_a_method_that_is_trained_is_not_fitted_by_other_commands(method: str, root: Path, tmp_path: Path) -> None:
    needs_more = catalog.card(method).normal == "none"
    taught = () if needs_more else ("--normal", root / "train/good")
    result = run(
        "inspect", root / "test", *taught, "--method", method, "--encoder", "test-tiny", "--out", tmp_path / "o"
    )
    assert result.exit_code == 1
    assert f"blemish train {method}" in result.stderr


def test_a_picture_that_cannot_be_read_is_named_and_the_others_are_learned_from(root: Path, tmp_path: Path) -> None:
    (root / "train/good/0.png").write_bytes(b"no picture")
    result = passed("train", *QUICK, root, "--steps", "1", "--out", tmp_path / "a.blemish")
    assert "not learned from" in result.stderr
    assert "learning from 5 good parts" in result.stderr


def test_the_checkpoint_says_what_it_was_made_of(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.blemish"
    passed("train", *QUICK, root, "--steps", "2", "--minutes", "0", "--out", out)
    stated = json.loads((tmp_path / "a.blemish.training/made-of.json").read_text(encoding="utf-8"))
    assert stated["method"] == "supersimplenet"
    assert stated["steps"] == 2


@pytest.fixture
def labelled(tmp_path: Path, root: Path) -> Path:
    """MVTec's layout with defects in the training split too, their masks where those of the test split are."""
    for at in range(4):
        spot = (10 + 6 * at, 40 - 6 * at)
        part(root / "train/crack" / f"{at}.png", 300 + at, spot=spot)
        mask(root / "ground_truth/crack" / f"{at}_mask.png", spot)
    return root


def test_masks_of_a_training_split_are_found_beside_those_of_the_test_split(labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.blemish"
    result = passed("train", *QUICK, labelled, "--steps", "1", "--out", out)
    assert "learning from 6 good parts and 4 with defects" in result.stderr
    assert "no mask" not in result.stderr
    assert "fits no picture" not in result.stderr
    assert load(out).arguments["supervised"] is True


def test_a_mask_of_a_test_picture_is_not_taken_for_one_of_a_training_picture(labelled: Path, tmp_path: Path) -> None:
    part(labelled / "test/crack/0.png", 400, spot=(20, 20))
    result = passed("train", *QUICK, labelled, "--steps", "1", "--out", tmp_path / "a.blemish")
    assert "learning from 6 good parts and 3 with defects" in result.stderr
    assert "not learned from: 1 defect without a mask" in result.stderr
    mask(labelled / "train/ground_truth/crack/0_mask.png", (10, 40))
    result = passed("train", *QUICK, labelled, "--steps", "1", "--out", tmp_path / "b.blemish")
    assert "learning from 6 good parts and 4 with defects" in result.stderr


def test_a_mask_of_another_size_is_refused_by_name_before_training(labelled: Path, tmp_path: Path) -> None:
    mask(labelled / "ground_truth/crack/2_mask.png", (4, 4), side=32)
    result = run("train", *QUICK, labelled, "--steps", "1", "--out", tmp_path / "a.blemish")
    assert result.exit_code == 1
    assert "2_mask.png is no mask for" in result.stderr
    assert "training:" not in result.stderr


AUXILIARY = ("anomaly-clip", *SMALL)


def test_what_is_trained_on_other_products_learns_from_their_test_splits_when_told(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.blemish"
    result = run("train", *AUXILIARY, root, "--steps", "1", "--out", out)
    assert result.exit_code == 1
    assert "give some with masks, by --split test, or --augment drawn" in result.stderr
    result = passed("train", *AUXILIARY, root, "--split", "test", "--steps", "1", "--out", out)
    assert "learning from 6 good parts and 6 with defects" in result.stderr
    first = load(out)
    assert first.taught == ()
    assert [(each.name, each.good, each.defects) for each in first.trained_on] == [("set", 6, 6)]
    assert "6 good parts, 6 defects" in passed("recipe", "show", out).output
    measured = passed("evaluate", root, "--recipe", out)
    assert "these are the pictures of set that the recipe was trained on: they prove nothing" in measured.stderr
    result = passed("train", *AUXILIARY, root, "--split", "all", "--steps", "1", "--out", tmp_path / "b.blemish")
    assert "learning from 12 good parts and 6 with defects" in result.stderr
    assert load(tmp_path / "b.blemish").trained_on[0].sha256 != first.trained_on[0].sha256


def test_what_is_trained_on_its_own_product_never_sees_the_test_split(root: Path, tmp_path: Path) -> None:
    result = run("train", *QUICK, root, "--split", "test", "--steps", "1", "--out", tmp_path / "a.blemish")
    assert result.exit_code == 1
    assert "never on a test split: leave out --split" in result.stderr
    result = run("train", *AUXILIARY, root, "--normal", "--split", "test", "--out", tmp_path / "a.blemish")
    assert result.exit_code == 2


def test_good_parts_that_are_held_out_calibrate_what_the_others_taught(root: Path, tmp_path: Path) -> None:
    good, words = root / "train/good", ("train", *QUICK, root, "--steps", "1")
    passed(*words, "--keep-back", "2", "--out", tmp_path / "held.blemish")
    assert len(load(tmp_path / "held.blemish").taught) == 4
    passed("calibrate", tmp_path / "held.blemish", "--good", good)
    found = load(tmp_path / "held.blemish").calibration
    assert found is not None
    assert (found.scheme, len(found.good)) == ("split", 2)
    passed(*words, "--out", tmp_path / "all.blemish")
    result = run("calibrate", tmp_path / "all.blemish", "--good", good)
    assert result.exit_code == 1
    assert "taught the recipe: give others, or train it again with some left out by --keep-back" in result.stderr
    result = run(*words, "--keep-back", "6", "--out", tmp_path / "none.blemish")
    assert (result.exit_code, "there are 6 good parts, and some must teach" in result.stderr) == (1, True)
    result = run("train", *AUXILIARY, root, "--split", "test", "--keep-back", "1", "--out", tmp_path / "other.blemish")
    assert (result.exit_code, "all of yours can calibrate it: leave out --keep-back" in result.stderr) == (1, True)


def test_each_data_set_that_trained_a_recipe_stands_in_it(root: Path, labelled: Path, tmp_path: Path) -> None:
    good = tmp_path / "more"
    part(good / "good/0.png", 77)
    out = tmp_path / "a.blemish"
    passed("train", *QUICK, labelled, good, "--steps", "1", "--out", out)
    assert [(each.name, each.good, each.defects) for each in load(out).trained_on] == [("set", 6, 4), ("more", 1, 0)]


def test_a_recipe_that_reads_words_is_asked_about_another_product(root: Path, tmp_path: Path) -> None:
    words = ("april-gan", *SMALL)
    recipe = tmp_path / "a.blemish"
    passed("train", *words, root, "--split", "test", "--steps", "2", "--product", "metal cap", "--out", recipe)
    passed("calibrate", recipe, "--good", root / "test/good", "--out", tmp_path / "c.blemish")
    before = load(tmp_path / "c.blemish")
    result = passed("teach", tmp_path / "c.blemish", "--product", "leather")
    assert "the calibration no longer holds" in result.stderr
    now = load(tmp_path / "c.blemish")
    assert now.arguments["product"] == "leather"
    assert now.parent == before.hash
    assert now.calibration is None
    assert now.trained_on == before.trained_on
    passed("teach", tmp_path / "c.blemish", "--undo")
    assert load(tmp_path / "c.blemish").hash == before.hash
    passed("train", *AUXILIARY, root, "--split", "test", "--steps", "1", "--out", tmp_path / "n.blemish")
    result = run("teach", tmp_path / "n.blemish", "--product", "leather")
    assert result.exit_code == 1
    assert "anomaly-clip reads no words for a product" in result.stderr


@pytest.mark.parametrize(("method", "argument"), [("ov-as", "vocabulary"), ("multi-ads", "plausible")])
def test_an_open_vocabulary_is_asked_about_other_types_of_defects(
    root: Path, tmp_path: Path, method: str, argument: str
) -> None:
    recipe, picture = tmp_path / "a.blemish", root / "test/spot/0.png"
    passed("train", method, *SMALL, root, "--split", "test", "--steps", "2", "--out", recipe)
    before = load(recipe)
    passed("teach", recipe, "--vocabulary", "scratch, deep dent")
    now = load(recipe)
    assert (now.arguments[argument], now.parent) == (["scratch", "deep dent"], before.hash)
    assert now.trained_on == before.trained_on
    weights = {name for name in before.tensors if name in now.tensors and "texts" not in name}
    assert weights
    assert all(torch.equal(now.tensors[name], before.tensors[name]) for name in weights)
    passed("inspect", picture, "--recipe", recipe, "--out", tmp_path / "run")
    (found,) = json.loads((tmp_path / "run/results.jsonl").read_text())["types"]
    assert found in {"scratch", "deep dent"}


def test_a_vocabulary_that_words_cannot_change_is_refused(root: Path, tmp_path: Path) -> None:
    words = ("--split", "test", "--steps", "1", "--out", tmp_path / "a.blemish")
    passed("train", *AUXILIARY, root, *words)
    result = run("teach", tmp_path / "a.blemish", "--vocabulary", "scratch")
    assert (result.exit_code, "anomaly-clip has no vocabulary that words can change" in result.stderr) == (1, True)
    shown = ("--set", 'vocabulary=["spot"]', "--set", "shots=2")
    passed("train", "ov-as", *SMALL, root, *shown, *words[:-1], tmp_path / "shown.blemish")
    result = run("teach", tmp_path / "shown.blemish", "--vocabulary", "scratch, dent")
    assert result.exit_code == 1
    assert "shown.blemish are of other vocabulary" in result.stderr
    passed("train", "ov-iad", *SMALL, root, *words[:-1], tmp_path / "open.blemish")
    for odd in (" , ", GOOD, "dent,dent"):
        result = run("teach", tmp_path / "open.blemish", "--vocabulary", odd)
        assert (result.exit_code, result.stderr.startswith("Error: vocabulary: ")) == (1, True)


def test_a_device_that_is_not_here_is_refused_in_a_sentence(root: Path, tmp_path: Path) -> None:
    words = ("--device", "cuda:7", "--out", tmp_path / "a.blemish")
    for command in (("train", *QUICK, root), ("pretrain", "--work", tmp_path / "w")):
        result = run(*command, *words)
        assert result.exit_code == 1
        assert "there is no device 'cuda:7' here" in result.stderr


def test_a_place_that_another_run_writes_or_nobody_can_is_told_before_anything_is_done(
    root: Path, tmp_path: Path
) -> None:
    out, blocked = tmp_path / "a.blemish", tmp_path / "file"
    blocked.write_bytes(b"")
    commands_of = {
        "train": (*QUICK, root, "--steps", "1"),
        "pretrain": ("--work", tmp_path / "w", "--specimens", "2"),
        "synth": ("--count", "1"),
    }
    for command, words in commands_of.items():
        with alone_at(out):
            result = run(command, *words, "--out", out)
        assert result.exit_code == 1
        assert "is being written by another run" in result.stderr
        result = run(command, *words, "--out", blocked / "a.png")
        assert result.exit_code == 1
        assert "cannot be written" in result.stderr
        assert "reading" not in result.stderr
    with alone_in(tmp_path / "w"):
        result = run("pretrain", *commands_of["pretrain"], "--out", out)
    assert "is being written by another run" in result.stderr


def test_what_is_tied_to_made_defects_makes_them_by_itself_unless_told_otherwise(root: Path, tmp_path: Path) -> None:
    words = ("train", "clip-ada", *SMALL, root, "--steps", "1", "--out", tmp_path / "a.blemish")
    assert run(*words, "--augment", "rust").stderr.count("no augmentation 'rust'") == 1
    passed(*words)
    assert load(tmp_path / "a.blemish").method == "clip-ada"


def test_what_a_frozen_encoder_sees_is_kept_and_used_by_the_next_training(root: Path, tmp_path: Path) -> None:
    kept = ("--cache", tmp_path / "seen", "--augment", "cutpaste", "--pool", "2", "--steps", "3")
    passed("train", *QUICK, root, *kept, "--out", tmp_path / "one.blemish")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "seen").rglob("*.safetensors")}
    assert 3 < len(files) <= 1 + 6 + 2
    passed("train", *QUICK, root, *kept, "--out", tmp_path / "two.blemish")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "seen").rglob("*.safetensors")} == files
    one, two = (read(tmp_path / f"{name}.blemish").tensors for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_what_cannot_be_kept_is_said(root: Path, tmp_path: Path) -> None:
    out = ("--steps", "1", "--out", tmp_path / "a.blemish")
    result = run("train", *QUICK, root, "--cache", tmp_path / "seen", "--augment", "cutpaste", *out)
    assert result.exit_code == 1
    assert "say how many to make and keep, such as --pool 1000" in result.stderr
    result = run("train", *QUICK, root, "--pool", "3", *out)
    assert result.exit_code == 1
    assert "say by which --augment" in result.stderr


class Tuned(SuperSimpleNet):
    """One whose encoder is trained as well."""

    frozen = None  # type: ignore[assignment]


def test_a_tower_that_is_trained_has_nothing_to_keep(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "method", lambda name: Tuned)
    result = run("train", *QUICK, root, "--cache", tmp_path / "seen", "--out", tmp_path / "a.blemish")
    assert result.exit_code == 1
    assert "supersimplenet trains what its encoder sees" in result.stderr


def test_a_training_begins_with_the_weights_of_a_recipe(root: Path, table: Path, tmp_path: Path) -> None:
    others, line = tmp_path / "others.blemish", tmp_path / "line.blemish"
    passed("train", "april-gan", *SMALL, root, "--split", "test", "--steps", "3", "--out", others)
    words = ("train", "april-gan", table, "--from", others, "--batch-size", "4", "--device", "cpu")
    passed(*words, "--steps", "1", "--rate", "0", "--out", tmp_path / "same.blemish")
    before, same = load(others), load(tmp_path / "same.blemish")
    heads = [name for name in before.tensors if "heads" in name]
    assert heads
    assert all(torch.equal(before.tensors[name], same.tensors[name]) for name in heads)
    passed(*words, "--steps", "3", "--product", "metal cap", "--out", line)
    found = load(line)
    assert not all(torch.allclose(before.tensors[name], found.tensors[name]) for name in heads)
    assert found.encoders == before.encoders
    assert found.arguments == {**before.arguments, "product": "metal cap"}
    assert [(each.name, each.defects) for each in found.trained_on] == [("set", 6), ("parts.csv", 3)]
    assert found.parent == before.hash
    passed("evaluate", root, "--recipe", line)
    passed("teach", line, "--undo")
    assert load(line).hash == before.hash


def test_a_training_on_good_parts_goes_on_with_defects_and_without(root: Path, table: Path, tmp_path: Path) -> None:
    good, bad, again = (tmp_path / f"{name}.blemish" for name in ("good", "bad", "again"))
    passed("train", *QUICK, root, "--steps", "1", "--out", good)
    words = ("train", "supersimplenet", "--batch-size", "4", "--device", "cpu", "--steps", "1", "--rate", "0")
    passed(*words, table, "--from", good, "--out", bad)
    passed(*words, root, "--from", bad, "--out", again)
    heads = [{name for name in load(recipe).tensors if "score_head" in name} for recipe in (good, bad, again)]
    assert (heads[0], bool(heads[1]), heads[2]) == (set(), True, set())
    one, *others = (load(recipe).tensors for recipe in (good, bad, again))
    weights = [name for name in one if "map_head" in name and "weight" in name]
    assert weights
    assert all(torch.equal(one[name], other[name]) for other in others for name in weights)


def test_a_training_from_a_recipe_is_resumed_from_the_same_one_only(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in "01":
        passed("train", *QUICK, root, "--steps", "1", "--seed", seed, "--out", tmp_path / f"{seed}.blemish")
    words = ("train", "supersimplenet", root, "--steps", "4", "--batch-size", "4", "--device", "cpu")
    passed(*words, "--from", tmp_path / "0.blemish", "--out", tmp_path / "whole.blemish")
    passed(*words, "--from", tmp_path / "0.blemish", "--minutes", "0", "--out", tmp_path / "cut.blemish")
    result = run(*words, "--from", tmp_path / "1.blemish", "--resume", "--out", tmp_path / "cut.blemish")
    assert "was begun with other start" in result.stderr
    passed(*words, "--from", tmp_path / "0.blemish", "--resume", "--out", tmp_path / "cut.blemish")
    one, other = (load(tmp_path / f"{name}.blemish") for name in ("whole", "cut"))
    assert all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("april-gan",), "is a recipe of supersimplenet, not of april-gan"),
        (("supersimplenet", "--set", "width=32"), "was trained with width 16, not 32"),
        (("supersimplenet", "--encoder", "embedded"), "is meant for the encoder test-tiny"),
    ],
)
def test_a_recipe_of_another_kind_is_no_beginning(
    words: tuple[str, ...], said: str, root: Path, tmp_path: Path
) -> None:
    passed("train", *QUICK, root, "--steps", "1", "--out", tmp_path / "a.blemish")
    asked = ("--augment", "cutpaste", "--from", tmp_path / "a.blemish", "--out", tmp_path / "b.blemish")
    result = run("train", *words, root, *asked)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "b.blemish").exists()
