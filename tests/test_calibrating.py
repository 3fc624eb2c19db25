from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.parts import frozen, good, mask, part, spots

from blemish import inspection
from blemish.calibration import Goal, changed
from blemish.errors import BadInput
from blemish.holding_out import HeldOut, calibration_of, defects_in, held_out, masks_in, with_calibration
from blemish.inspection import Inspected, Unreadable
from blemish.recipe import Recipe, detector
from blemish.teaching import Reading
from blemish.types import GOOD


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Recipe:
    return frozen("patchcore", good(folder / "taught", 4))


def held(recipe: Recipe, kinds: dict[Path, str], masks: dict[Path, Path] | None = None) -> HeldOut:
    return held_out(recipe, detector(recipe), kinds, masks=masks)


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
    apart = held_out(recipe, detector(recipe), as_good(pictures), every_picture=True)
    assert [len(each.pictures) for each in apart.parts] == [1, 2, 1, 1]


def test_what_taught_the_recipe_is_not_used_nor_another_picture_of_it(recipe: Recipe, tmp_path: Path) -> None:
    paths = [*good(tmp_path, 4), *good(tmp_path, 2, first=20)]
    Image.open(paths[0]).save(tmp_path / "again.jpg", quality=85)
    found = held(recipe, as_good([*paths, tmp_path / "again.jpg"]))
    assert {path.name for path in found.taught} == {"good0.png", "good1.png", "good2.png", "good3.png", "again.jpg"}
    assert [each.pictures[0].name for each in found.parts] == ["good20.png", "good21.png"]
    with pytest.raises(BadInput, match=r"no good part is left.*taught the recipe"):
        calibration_of(held(recipe, as_good(paths[:4])))


def test_unreadable_pictures_are_listed_or_refused(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    unreadable: list[Unreadable] = []
    pictures = as_good([*good(tmp_path, 1, first=20), tmp_path / "broken.png"])
    found = held_out(recipe, detector(recipe), pictures, reading=Reading(unreadable=unreadable))
    assert len(found.parts) == 1
    assert [each.path.name for each in unreadable] == ["broken.png"]
    with pytest.raises(BadInput, match=r"broken\.png"):
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
    later = with_calibration(new, changed(calibration, Goal(false_reject=0.5)))
    assert later.parent == new.hash
    assert later.calibration is not None
    assert later.calibration.good == calibration.good
