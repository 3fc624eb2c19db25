from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.parts import frozen, good, spots

from blemish.errors import BadInput
from blemish.export import exporting
from blemish.export.deploying import ExportPlan
from blemish.export.exporting import export_recipe
from blemish.progress import no_progress
from blemish.recipes import recipe as recipes
from blemish.recipes.calibrate import HoldoutScheme, calibrate
from blemish.serve.changes import KeptPart
from blemish.serve.recipe_jobs import Lesson, replace_recipes, restore_recipes, teach_recipe
from blemish.types import GOOD


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    """A deployed recipe, its source, and parts that came to the line."""
    folder = tmp_path_factory.mktemp("lesson")
    others, flawed = good(folder / "others", 12, 20), spots(folder / "bad", 3)
    way = HoldoutScheme("split", every_picture=True)
    source = calibrate(frozen("patchcore", good(folder / "learned", 4)), others, defects={"spot": flawed}, way=way)
    recipes.save(source, folder / "source.blemish")
    recipes.save(export_recipe(source, ExportPlan()).recipe, folder / "live.blemish")
    come = [*good(folder / "ring", 2, 60), *spots(folder / "ring", 2)]
    parts = [KeptPart(path.stem, "review", "", {"front": path.name}) for path in come]
    parts.append(KeptPart("gone", "accept", "", {"front": "gone.png"}))
    held_out = dict.fromkeys(others, GOOD) | dict.fromkeys(flawed, "spot")
    return Lesson(
        folder / "live.blemish", folder / "source.blemish", folder / "new.blemish", folder / "new-source.blemish",
        tuple(come[:1]), {"spot": tuple(come[2:])}, held_out, True, tuple(parts), folder / "ring", 10**6,
    )  # fmt: skip


@pytest.mark.slow
def test_a_deployed_recipe_is_taught_by_its_source_exported_again_and_put_in_place(lesson: Lesson) -> None:
    live, source = recipes.load(lesson.recipe), recipes.load(lesson.source)
    said = teach_recipe(lesson, watch=no_progress)
    new, taught = recipes.load(lesson.out), recipes.load(lesson.out_source)
    assert (new.hash, new.parent) == (said["new"], live.hash)
    assert (taught.hash, taught.parent) == (said["source_new"], source.hash)
    assert new.deployed
    assert new.calibration
    assert live.calibration
    assert new.calibration.goal == live.calibration.goal
    assert len(new.calibration.good) == 12
    assert {each.kind for each in taught.taught} == {GOOD, "spot"}
    assert (said["examined"], said["unseen"]) == (4, 1)
    assert len(said["flips"]) == 4  # nothing is for review where one threshold decides
    pairs = [(lesson.out, lesson.recipe), (lesson.out_source, lesson.source)]
    replace_recipes(pairs, watch=no_progress)
    assert recipes.load(lesson.recipe).hash == new.hash
    restore_recipes([(lesson.recipe, live.hash), (lesson.source, "")], watch=no_progress)
    assert [recipes.load(path).hash for path in (lesson.recipe, lesson.source)] == [live.hash, source.hash]


@pytest.mark.slow
def test_good_parts_alone_are_taught_to_the_graph_that_is_there(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "graphs_of", None)  # nothing can be traced
    out, source = tmp_path / "new.blemish", tmp_path / "new-source.blemish"
    said = teach_recipe(lesson._replace(defects={}, out=out, out_source=source), watch=no_progress)
    assert (recipes.load(out).hash, len(recipes.load(source).taught)) == (said["new"], 5)


@pytest.mark.slow
def test_a_deployed_recipe_without_its_source_cannot_be_taught(lesson: Lesson) -> None:
    with pytest.raises(BadInput, match=r"live\.blemish is deployed and cannot be taught: name its source under"):
        teach_recipe(lesson._replace(source=lesson.recipe), watch=no_progress)
