from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.support.parts import LEARNERS, frozen, good, mask, part, spots

from blemish import inspection
from blemish.calibration.thresholds import Goal, Scheme, with_goal
from blemish.errors import BadImage, BadInput
from blemish.images import Inspected, Unreadable
from blemish.recipes import update
from blemish.recipes.calibrate import (
    HeldOutScores,
    HoldoutScheme,
    calibrate,
    calibration_of,
    defects_in,
    held_out_scores,
    masks_in,
    with_calibration,
)
from blemish.recipes.detectors import detector
from blemish.recipes.reading import Reading
from blemish.recipes.recipe import Recipe
from blemish.types import GOOD

SPLIT, CROSS = HoldoutScheme("split"), HoldoutScheme("cross")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Recipe:
    return frozen("patchcore", good(folder / "taught", 4))


def held(
    recipe: Recipe, kinds: dict[Path, str], masks: dict[Path, Path] | None = None, way: HoldoutScheme = SPLIT
) -> HeldOutScores:
    return held_out_scores(recipe, None, kinds, masks=masks, way=way)


def as_good(paths: list[Path]) -> dict[Path, str]:
    return dict.fromkeys(paths, GOOD)


def test_scores_and_peaks_are_those_of_inspection(recipe: Recipe, tmp_path: Path) -> None:
    paths = good(tmp_path, 3, first=20)
    found = held(recipe, as_good(paths))
    results = list(inspection.inspect(detector(recipe), paths, view=recipe.view))
    expected = [(r.score, float(r.anomaly_map.max())) for r in results if isinstance(r, Inspected)]
    assert [(each.score, each.peak) for each in found.parts] == expected
    calibration = calibration_of(found)
    assert calibration.good == tuple(score for score, _ in expected)
    assert calibration.peaks == tuple(peak for _, peak in expected)
    assert calibration.scheme == "split"


def test_pictures_of_one_part_count_once_by_the_highest(recipe: Recipe, tmp_path: Path) -> None:
    paths = good(tmp_path, 3, first=20)
    shutil.copy(paths[1], tmp_path / "copy.png")
    Image.open(paths[1]).save(tmp_path / "again.jpg", quality=85)
    pictures = [*paths, tmp_path / "copy.png", tmp_path / "again.jpg"]
    found = held(recipe, as_good(pictures))
    assert [len(each.pictures) for each in found.parts] == [1, 3, 1]
    alone = [held(recipe, as_good([path])).parts[0].score for path in pictures]
    assert found.parts[1].score == pytest.approx(max(alone[1], alone[3], alone[4]))
    apart = held(recipe, as_good(pictures), way=HoldoutScheme("split", every_picture=True))
    assert [len(each.pictures) for each in apart.parts] == [1, 2, 1, 1]


def test_what_taught_the_recipe_is_not_used_nor_another_picture_of_it(recipe: Recipe, tmp_path: Path) -> None:
    paths = [*good(tmp_path, 4), *good(tmp_path, 2, first=20)]
    Image.open(paths[0]).save(tmp_path / "again.jpg", quality=85)
    found = held(recipe, as_good([*paths, tmp_path / "again.jpg"]))
    assert {path.name for path in found.unused} == {"good0.png", "good1.png", "good2.png", "good3.png", "again.jpg"}
    assert [each.pictures[0].name for each in found.parts] == ["good20.png", "good21.png"]
    with pytest.raises(BadInput, match=r"no good part is left.*taught the recipe"):
        calibration_of(held(recipe, as_good(paths[:4])))


def test_no_part_at_all_is_said_to_be_none(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no good part is given to calibrate by: check the folder"):
        calibrate(recipe, sorted(tmp_path.glob("*.webp")))


def test_unreadable_pictures_are_listed_or_refused(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    unreadable: list[Unreadable] = []
    pictures = as_good([*good(tmp_path, 1, first=20), tmp_path / "broken.png"])
    found = held_out_scores(recipe, None, pictures, reading=Reading(unreadable=unreadable))
    assert len(found.parts) == 1
    assert [Path(each.id).name for each in unreadable] == ["broken.png"]
    with pytest.raises(BadImage, match=r"broken\.png"):
        held(recipe, pictures)


def test_a_file_cannot_be_good_and_defective(recipe: Recipe, tmp_path: Path) -> None:
    path = part(tmp_path / "a.png", 30)
    shutil.copy(path, tmp_path / "b.png")
    with pytest.raises(BadInput, match=r"b\.png is the same file as .*a\.png"):
        held(recipe, {path: GOOD, tmp_path / "b.png": "dent"})


def test_defects_have_types_and_areas(recipe: Recipe, tmp_path: Path) -> None:
    spots(tmp_path / "bad" / "spot", 2)
    part(tmp_path / "bad" / "loose.png", 50, spot=(4, 4))
    mask(tmp_path / "bad" / "masks" / "spot" / "spot0_mask.png", (8, 44))
    mask(tmp_path / "bad" / "masks" / "loose.png", (4, 4))
    kinds = defects_in(tmp_path / "bad", masks=tmp_path / "bad" / "masks")
    assert {path.name: kind for path, kind in kinds.items()} == {
        "loose.png": "defect",
        "spot0.png": "spot",
        "spot1.png": "spot",
    }
    masks = masks_in(tmp_path / "bad" / "masks", list(kinds), tmp_path / "bad")
    found = held(recipe, as_good(good(tmp_path / "new", 2, first=20)) | kinds, masks)
    calibration = calibration_of(found)
    assert calibration.sizes["defect"] == (144.0,)
    assert calibration.sizes["spot"][0] == 144
    assert math.isnan(calibration.sizes["spot"][1])
    assert min(min(scores) for scores in calibration.defects.values()) > max(calibration.good)


def test_a_mask_is_not_given_to_two_pictures_of_one_name(tmp_path: Path) -> None:
    one, other = (part(tmp_path / "bad" / kind / "000.png", seed) for seed, kind in enumerate(("dent", "spot")))
    flat = mask(tmp_path / "flat" / "000.png", (4, 4))
    assert masks_in(tmp_path / "flat", [one, other], tmp_path / "bad") == {}
    assert masks_in(tmp_path / "flat", [one], tmp_path / "bad") == {one: flat}
    deep = mask(tmp_path / "deep" / "spot" / "000_mask.png", (4, 4))
    assert masks_in(tmp_path / "deep", [one, other], tmp_path / "bad") == {other: deep}


def test_good_is_no_type_of_defect(tmp_path: Path) -> None:
    good(tmp_path / "good", 1)
    with pytest.raises(BadInput, match="no type of defect"):
        defects_in(tmp_path)


def test_labels_of_defects_change_no_threshold(recipe: Recipe, tmp_path: Path) -> None:
    bad = spots(tmp_path / "bad", 4)
    shutil.copy(bad[0], tmp_path / "bad" / "copy.png")
    pictures = as_good(good(tmp_path / "new", 4, first=20))
    bad.append(tmp_path / "bad" / "copy.png")
    one, other = (
        calibration_of(held(recipe, pictures | dict(zip(bad, kinds, strict=True))), Goal(cost_ratio=3))
        for kinds in (["a", "a", "b", "b", "a"], ["b", "a", "b", "a", "a"])
    )
    assert one.defects != other.defects
    assert (one.accept, one.reject, one.pixel) == (other.accept, other.reject, other.pixel)


def test_a_calibrated_recipe_is_made_from_the_other(recipe: Recipe, tmp_path: Path) -> None:
    calibration = calibration_of(held(recipe, as_good(good(tmp_path, 3, first=20))))
    new = with_calibration(recipe, calibration)
    assert (new.parent, new.calibration) == (recipe.hash, calibration)
    assert new.tensors == recipe.tensors
    later = with_calibration(new, with_goal(calibration, Goal(false_reject=0.5)))
    assert later.parent == new.hash
    assert later.calibration is not None
    assert later.calibration.good == calibration.good


def scores(made: Recipe, paths: list[Path]) -> list[float]:
    results = list(inspection.inspect(detector(made), paths, view=made.view))
    return [each.score for each in results if isinstance(each, Inspected)]


@pytest.mark.parametrize("method", LEARNERS)
def test_parts_that_taught_it_are_scored_as_if_they_had_been_forgotten(method: str, tmp_path: Path) -> None:
    paths = good(tmp_path, 4)
    made = frozen(method, paths)
    found = calibration_of(held(made, as_good(paths), way=CROSS))
    assert (found.scheme, found.fold) == ("cross", 1)
    forgotten = [update.forget(made, [each.id]) for each in made.taught]
    assert list(found.good) == [scores(each, [path])[0] for each, path in zip(forgotten, paths, strict=True)]


def test_a_part_that_was_learned_would_score_lower(tmp_path: Path) -> None:
    """Why it is left out: a memory finds itself."""
    paths = good(tmp_path, 4)
    made = frozen("anomaly-dino", paths)
    assert max(scores(made, paths)) < min(calibration_of(held(made, as_good(paths), way=CROSS)).good)


def test_shown_defects_count_too_when_a_part_is_left_out(tmp_path: Path) -> None:
    paths, bad = good(tmp_path, 4), spots(tmp_path / "bad", 2)
    plain = frozen("patchcore", paths)
    made = update.add_defects(plain, "spot", bad)
    found = calibration_of(held(made, as_good(paths), way=CROSS))
    assert found.good[1] == pytest.approx(scores(update.forget(made, [made.taught[1].id]), paths[1:2])[0], rel=1e-6)
    halves = HoldoutScheme("cross", folds=2, seed=5)
    raised, bare = (calibration_of(held(each, as_good(paths), way=halves)) for each in (made, plain))
    assert raised.fold == bare.fold == 2
    assert all(one >= other for one, other in zip(raised.good, bare.good, strict=True))


def test_pictures_of_one_part_are_forgotten_together(tmp_path: Path) -> None:
    paths = good(tmp_path, 4)
    Image.open(paths[2]).save(tmp_path / "again.png", compress_level=1)
    paths.append(tmp_path / "again.png")
    made = frozen("anomaly-dino", paths)
    found = held(made, as_good(paths), way=CROSS)
    assert [len(part.pictures) for part in found.parts] == [1, 1, 2, 1]
    forgotten = update.forget(made, [made.taught[2].id, made.taught[4].id])
    assert found.parts[2].score == pytest.approx(max(scores(forgotten, [paths[2], paths[4]])), rel=1e-6)


def test_without_a_scheme_the_one_is_taken_that_more_parts_can_serve(recipe: Recipe, tmp_path: Path) -> None:
    taught, new = good(tmp_path, 4), good(tmp_path, 3, first=20)
    crossed = held(recipe, as_good([*taught, *new]), way=HoldoutScheme())
    assert (crossed.scheme, len(crossed.parts), list(crossed.unused)) == ("cross", 4, new)
    parted = held(recipe, as_good([*taught[:3], *new]), way=HoldoutScheme())
    assert (parted.scheme, len(parted.parts), list(parted.unused)) == ("split", 3, taught[:3])


def test_folds_of_one_size_leave_the_rest_unused(recipe: Recipe, tmp_path: Path) -> None:
    paths = good(tmp_path, 4)
    found = held(recipe, as_good(paths), way=HoldoutScheme("cross", folds=3, seed=1))
    assert (found.fold, len(found.parts), len(found.unused)) == (1, 3, 1)
    with pytest.raises(BadInput, match="cannot be left out"):
        held(recipe, as_good(paths), way=HoldoutScheme("cross", folds=5))


def test_of_a_defect_the_picture_counts_that_escapes_most_easily(recipe: Recipe, tmp_path: Path) -> None:
    (bad,) = spots(tmp_path, 1)
    Image.open(bad).save(tmp_path / "again.jpg", quality=70)
    others = as_good(good(tmp_path, 4, first=20))
    found = held(recipe, others | {bad: "spot", tmp_path / "again.jpg": "dent"})
    both = scores(recipe, [bad, tmp_path / "again.jpg"])
    (part,) = [each for each in found.parts if each.kind != GOOD]
    assert part.score == pytest.approx(min(both), rel=1e-6)
    assert part.kind == ("spot" if both[0] < both[1] else "dent")


@pytest.mark.parametrize("scheme", ["split", "cross"])
def test_defects_that_taught_the_recipe_cannot_tell_how_many_escape(scheme: Scheme, tmp_path: Path) -> None:
    paths, bad = good(tmp_path, 4), spots(tmp_path / "bad", 3)
    made = update.add_defects(frozen("patchcore", paths), "spot", bad[:1])
    new = [] if scheme == "cross" else good(tmp_path, 2, first=20)
    found = held(made, as_good([*paths, *new]) | dict.fromkeys(bad, "spot"), way=HoldoutScheme(scheme))
    assert len(calibration_of(found).defects["spot"]) == 2
    assert bad[0] in found.unused
    with pytest.raises(BadInput, match="taught the recipe as spot: it cannot be good"):
        held(made, as_good(bad[:1]))
    with pytest.raises(BadInput, match="taught the recipe as good: it cannot be spot"):
        held(made, {paths[0]: "spot"})


def test_a_recipe_without_good_parts_is_calibrated_by_any(tmp_path: Path) -> None:
    made = update.freeze("winclip", "test-tiny", arguments={"product": "cap"})
    found = held(made, as_good(good(tmp_path, 3)), way=HoldoutScheme())
    assert (found.scheme, len(found.parts)) == ("split", 3)


def test_verdicts_do_not_depend_on_the_labels_of_what_is_tested(recipe: Recipe, tmp_path: Path) -> None:
    found = calibration_of(held(recipe, as_good(good(tmp_path, 5, first=20))))
    test = [*good(tmp_path / "test" / GOOD, 2, first=40), *spots(tmp_path / "test" / "spot", 2)]
    shuffled = []
    for path, label in zip(test, ("spot", GOOD, "spot", GOOD), strict=True):
        (tmp_path / label).mkdir(exist_ok=True)
        shuffled.append(Path(shutil.copy(path, tmp_path / label / path.name)))
    before, after = ([found.verdict(score) for score in scores(recipe, paths)] for paths in (test, shuffled))
    assert before == after
    assert set(before) == {"accept", "reject"}
