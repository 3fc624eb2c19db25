"""What labelled pictures cannot prove is said, in every command that measures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tests.support.parts import frozen, mask, part

from blemish.cli.main import main
from blemish.recipes import recipe as recipes

SPOT = (10, 40)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    home = tmp_path / "set"
    for number in range(3):
        part(home / f"train/good/{number}.png", number)
        part(home / f"test/good/{number}.png", 50 + number)
        part(home / f"test/spot/{number}.png", 100 + number, spot=SPOT)
        mask(home / f"ground_truth/spot/{number}_mask.png", SPOT)
    return home


def evaluate(root: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["evaluate", str(root), "--method", "patchcore", "--encoder", "test-tiny", *more])


def by_recipe(root: Path, *more: str) -> Result:
    path = root.parent / "r.blemish"
    if not path.exists():
        recipes.save(frozen("winclip", []), path)
    return CliRunner().invoke(main, ["evaluate", str(root), "--recipe", str(path), *more])


def benchmark(root: Path, *more: str) -> Result:
    plan = root.parent / "plan.toml"
    plan.write_text(
        f'shots = ["all"]\nencoders = ["test-tiny"]\n[[methods]]\nname = "patchcore"\n[[data]]\nroot = "{root.name}"\n'
    )
    form = ["--format", "json"] if more else []
    return CliRunner().invoke(main, ["benchmark", str(plan), "--out", str(root.parent / "out"), *form])


def rename_type(root: Path) -> None:
    shutil.copy(root / "test/spot/0.png", root / "test/good/copy.png")


def learned_and_tested(root: Path) -> None:
    shutil.copy(root / "train/good/0.png", root / "test/good/again.png")


def learned_and_tested_in_another_format(root: Path) -> None:
    Image.open(root / "train/good/0.png").save(root / "test/good/again.jpg", quality=90)


def twice(root: Path) -> None:
    shutil.copy(root / "test/spot/0.png", root / "test/spot/again.png")


def learned_as_good(root: Path) -> None:
    shutil.copy(root / "train/good/0.png", root / "test/spot/again.png")


def no_defect(root: Path) -> None:
    shutil.rmtree(root / "test/spot")


def no_good(root: Path) -> None:
    shutil.rmtree(root / "test/good")


def some_masks(root: Path) -> None:
    (root / "ground_truth/spot/1_mask.png").unlink()


def stray_mask(root: Path) -> None:
    (root / "ground_truth/spot/1_mask.png").rename(root / "ground_truth/spot/7_mask.png")


HERE: dict[Callable[[Path], None], str] = {
    rename_type: "is labelled",
    twice: "it counts twice",
    no_defect: "there is no defect among the 3 samples",
    no_good: "there is no good sample",
    some_masks: "only 2 of the 3 defects have a mask",
    stray_mask: "is a mask that fits no picture",
}
LEARNED: dict[Callable[[Path], None], str] = {
    learned_and_tested: "which is learned from",
    learned_and_tested_in_another_format: "which is learned from",
    learned_as_good: "is labelled spot",
}


@pytest.mark.parametrize("change", HERE | LEARNED, ids=lambda change: change.__name__)
def test_evaluate_says_it_once_and_in_its_json(change: Callable[[Path], None], root: Path) -> None:
    said = (HERE | LEARNED)[change]
    change(root)
    done = evaluate(root, "--json")
    assert done.exit_code == 0, done.output
    assert sum(said in line for line in done.stderr.splitlines()) == 1
    assert sum(said in line for line in json.loads(done.stdout)["notes"]) == 1


@pytest.mark.parametrize("change", HERE, ids=lambda change: change.__name__)
def test_so_does_the_measuring_of_a_recipe(change: Callable[[Path], None], root: Path) -> None:
    change(root)
    done = by_recipe(root, "--json")
    assert done.exit_code == 0, done.output
    assert sum(HERE[change] in line for line in done.stderr.splitlines()) == 1
    assert sum(HERE[change] in line for line in json.loads(done.stdout)["notes"]) == 1


def test_and_a_benchmark(root: Path) -> None:
    learned_and_tested(root)
    some_masks(root)
    done = benchmark(root, "json")
    assert done.exit_code == 0, done.output
    for said in ("which is learned from", "only 2 of the 3 defects"):
        assert sum(said in line for line in json.loads(done.stdout)["notes"]) == 1
        assert sum(said in line for line in done.stderr.splitlines()) == 1


def test_without_anything_odd_nothing_is_said(root: Path) -> None:
    assert json.loads(evaluate(root, "--json").stdout)["notes"] == []


def misfits(root: Path) -> None:
    Image.fromarray(np.zeros((40, 200), np.uint8)).save(root / "ground_truth/spot/1_mask.png")


@pytest.mark.parametrize("command", [evaluate, by_recipe, benchmark])
def test_a_mask_that_does_not_fit_is_refused_before_anything_is_inspected(
    command: Callable[..., Result], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    misfits(root)
    monkeypatch.setattr("blemish.evaluation.evaluate.inspect", None)
    monkeypatch.setattr("blemish.fitting.fit_detector", None)
    done = command(root)
    assert done.exit_code == 1
    assert "1_mask.png is no mask for" in done.output
    assert "200 x 40" in done.output


@pytest.mark.parametrize("as_json", [True, False])
def test_a_metric_that_is_missing_says_why(as_json: bool, root: Path) -> None:
    shutil.rmtree(root / "ground_truth")
    done = evaluate(root, *(["--json"] if as_json else []))
    why = "no defect has a mask"
    if as_json:
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["missing"] == dict.fromkeys(("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro"), why)
        assert found["pixel_auroc"] is None
        assert found["image_auroc"] is not None
    else:
        assert sum(why in line for line in done.stdout.splitlines()) == 4


def test_masks_of_some_defects_leave_image_metrics_of_all(root: Path) -> None:
    whole = json.loads(evaluate(root, "--json").stdout)
    some_masks(root)
    found = json.loads(evaluate(root, "--json").stdout)
    assert found["image_auroc"] == whole["image_auroc"]
    assert found["n_anomalous"] == 3
    assert found["pixel_auroc"] is not None
    assert found["missing"] == {}


def test_an_empty_training_split_is_said(root: Path) -> None:
    for path in (root / "train/good").iterdir():
        path.unlink()
    done = evaluate(root)
    assert done.exit_code == 1
    assert "training split" in done.output
    done = CliRunner().invoke(main, ["evaluate", str(root), "--method", "winclip", "--encoder", "test-tiny"])
    assert done.exit_code == 0, done.output
    assert "no good part in the training split" in done.stderr


def test_another_split_can_be_measured_and_one_without_truth_only_looked_at(tmp_path: Path) -> None:
    home = tmp_path / "can"
    for number in range(2):
        part(home / f"train/good/{number}.png", number)
        part(home / f"validation/good/{number}.png", 20 + number)
        part(home / f"test_public/good/{number}.png", 50 + number)
        part(home / f"test_public/bad/{number}.png", 100 + number, spot=SPOT)
        mask(home / f"test_public/ground_truth/bad/{number}_mask.png", SPOT)
        part(home / f"test_private/{number}.png", 150 + number)
    whole = evaluate(tmp_path, "--json")
    assert whole.exit_code == 0, whole.output
    assert json.loads(whole.stdout)["pixel_auroc"] is not None
    assert "measured is test_public" in whole.stderr
    validation = json.loads(evaluate(tmp_path, "--split", "validation", "--json").stdout)
    assert (validation["n_normal"], validation["n_anomalous"]) == (2, 0)
    private = evaluate(tmp_path, "--split", "test_private")
    assert private.exit_code == 1
    assert "`blemish inspect`" in private.stderr
    out = ["--out", str(tmp_path / "out"), "--no-overlays", "--encoder", "test-tiny", "--json"]
    looked = CliRunner().invoke(main, ["inspect", str(home / "test_private"), *out])
    assert looked.exit_code == 0, looked.output
    assert looked.stdout.count('"score"') == 2
