"""Recipes in a benchmark: measured as they are, on what did not teach them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.made import category, here, plan_file

from blemish import catalog
from blemish.benchmark.plan import PlannedTrial, read, trials
from blemish.benchmark.running import Failed, Finished, run_trials
from blemish.data import samples
from blemish.errors import BadInput
from blemish.evaluation.validate import validate
from blemish.recipes.detectors import detector
from blemish.recipes.recipe import load, save
from blemish.recipes.update import add_good, freeze, freeze_detector

PLAN = 'shots = [2]\n[[recipes]]\nfile = "own.blemish"\n[[data]]\nroot = "parts"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of one category, and a recipe that two of its good training parts have taught."""
    category(tmp_path / "parts" / "bolt")
    good = sorted((tmp_path / "parts/bolt/train/good").glob("*.png"))
    save(freeze("patchcore", "test-tiny", good=good[:2], arguments={"image_size": 64}), tmp_path / "own.blemish")
    return tmp_path


def planned(folder: Path, text: str = PLAN) -> list[PlannedTrial]:
    return trials(read(plan_file(folder, text)))


def measured(folder: Path, out: str = "out") -> Finished:
    (found,) = run_trials(planned(folder), folder / out, attempt=here)
    assert isinstance(found, Finished)
    return found


def test_it_is_measured_as_it_is_and_what_taught_it_decides_nothing(folder: Path) -> None:
    found, recipe = measured(folder), load(folder / "own.blemish")
    expected = validate(recipe, detector(recipe), samples(folder / "parts", category="bolt", split="test"))
    assert found.outcome["image_auroc"]["value"] == expected.report.whole.image_auroc.value  # type: ignore[union-attr]
    assert found.outcome["held_out"] == 4  # of 6 training parts
    assert (found.planned.trial.method, found.key["shots"]) == ("patchcore", 0)
    assert found.key["arguments"] == {"recipe": "own.blemish"}
    assert found.key["recipe"] == recipe.hash
    tested = sorted((folder / "parts/bolt/test/good").glob("*.png"))
    save(add_good(recipe, tested[:1]), folder / "own.blemish")
    again = measured(folder)
    assert not again.kept
    assert again.outcome["n_normal"] == found.outcome["n_normal"] - 1
    assert measured(folder).kept


def test_what_was_trained_stands_beside_methods(folder: Path) -> None:
    trained = catalog.method("april-gan")("test-tiny", image_size=64, layers=(2, 4))
    trained.updates.add()
    save(freeze_detector(trained, "april-gan", arguments={"image_size": 64, "layers": [2, 4]}), folder / "own.blemish")
    both = 'encoders = ["test-tiny"]\nshots = [2]\n[[methods]]\nname = "patchcore"\n' + PLAN.partition("\n")[2]
    found = list(run_trials(planned(folder, both), folder / "out", attempt=here))
    assert [each.planned.trial.method for each in found] == ["april-gan", "patchcore"]
    assert all(isinstance(each, Finished) for each in found)


def test_one_whose_encoder_is_elsewhere_says_so(folder: Path) -> None:
    elsewhere = PLAN.replace("[[data]]", 'encoder = "embedded"\n[[data]]')
    (found,) = run_trials(planned(folder, elsewhere), folder / "out", attempt=here)
    assert isinstance(found, Failed)
    assert "is meant for the encoder test-tiny" in found.error


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "recipes[0].file: this key is needed"),
        ('file = "nothing.blemish"', "recipes[0].file: "),
        ('file = "own.blemish"\nshots = 3', "recipes[0].shots: there is no such key"),
        ('file = "own.blemish"\n[[recipes]]\nfile = "./own.blemish"', "recipes[1]: measures the same as recipes[0]"),
    ],
)
def test_a_mistake_is_refused_by_its_key(lines: str, said: str, folder: Path) -> None:
    with pytest.raises(BadInput) as caught:
        planned(folder, PLAN.replace('file = "own.blemish"', lines))
    assert said in str(caught.value)
