"""Masks in the places where people put them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support import trees

from blemish import data
from blemish.data import truth
from blemish.data.truth import leave_out_masks
from blemish.notices import gather
from blemish.types import Sample


def found(root: Path, layout: str | None = None) -> tuple[dict[str, Sample], list[str]]:
    """Test samples by the place of their picture, and what was said."""
    with gather() as notices:
        samples = data.samples(root, layout=layout)
    return {str(sample.image.relative_to(root).with_suffix("")): sample for sample in samples}, notices.lines()


def parts(root: Path) -> None:
    for number in range(5):
        trees.picture(root / f"good/g{number}.png")
    for kind in ("crack", "dent"):
        for number in range(2):
            trees.picture(root / kind / f"{number}.png")


PLACES = [
    "mask/{kind}/{number}.png",
    "masks/{kind}/{number}_mask.png",
    "Masks/{kind}/{number}_MASK.PNG",
    "ground_truth/{kind}/{number}_label.png",
    "ground truth/{kind}/{number}_gt.bmp",
    "Ground-Truth/{kind}/{number}.tif",
    "gt/{kind}/{number}.png",
    "{kind}/mask/{number}.png",
    "{kind}/ground_truth/{number}_mask.png",
    "{kind}/{number}_mask.png",
    "{kind}/{number}_GT.png",
    "labels/{kind}/{number}.png",
    "Annotations/{kind}/{number}_annotation.png",
    "segmentations/{kind}/{number}.png",
    "mask_images/{kind}/{number}_seg.png",
    "Mask.Images/{kind}/{number}_ground_truth.png",
    "ground_truths/{kind}/{number}_groundtruth.png",
    "{kind}/seg/{number}_segmentation.png",
]


@pytest.mark.parametrize("place", PLACES)
def test_masks_are_found_in_the_usual_places(place: str, tmp_path: Path) -> None:
    parts(tmp_path)
    for kind in ("crack", "dent"):
        for number in range(2):
            trees.mask(tmp_path / place.format(kind=kind, number=number))
    assert data.detect(tmp_path) == "folder"
    samples, said = found(tmp_path)
    defects = {name: sample for name, sample in samples.items() if sample.is_anomalous}
    assert {sample.label for sample in defects.values()} == {"crack", "dent"}
    assert len(defects) == 4
    for name, sample in defects.items():
        kind, _, stem = name.partition("/")
        assert sample.masks == (tmp_path / place.format(kind=kind, number=stem),)
    assert said == []


@pytest.mark.parametrize("place", [place for place in PLACES if place[0] != "{"])
def test_in_mvtecs_folders_too(place: str, tmp_path: Path) -> None:
    trees.mvtec(tmp_path)
    home = tmp_path / "bottle"
    shutil.rmtree(home / "ground_truth")
    for number in range(2):
        trees.mask(home / place.format(kind="crack", number=f"{number:03}"))
    samples, said = found(home)
    assert all(len(sample.masks) == 1 for sample in samples.values() if sample.is_anomalous)
    assert said == []


def test_a_flat_folder_of_masks_names_its_pictures(tmp_path: Path) -> None:
    for name in ("good/a", "crack/b", "dent/c"):
        trees.picture(tmp_path / f"{name}.png")
    for name in ("b", "c_mask"):
        trees.mask(tmp_path / f"mask/{name}.png")
    samples, said = found(tmp_path)
    assert {name: len(sample.masks) for name, sample in samples.items() if sample.is_anomalous} == {
        "crack/b": 1,
        "dent/c": 1,
    }
    assert {sample.label for sample in samples.values()} <= {"good", "crack", "dent"}
    assert said == []


def test_a_mask_that_two_pictures_could_have_is_none_and_that_is_said(tmp_path: Path) -> None:
    parts(tmp_path)
    trees.mask(tmp_path / "mask/0.png")
    samples, said = found(tmp_path)
    assert not any(sample.masks for sample in samples.values())
    assert "mask/0.png is a mask that fits no picture" in said[0]


def test_a_mask_of_no_picture_is_said_in_one_line(tmp_path: Path) -> None:
    parts(tmp_path)
    for name in ("0", "7", "8", "9"):
        trees.mask(tmp_path / f"masks/crack/{name}.png")
    samples, said = found(tmp_path)
    assert samples["crack/0"].masks
    (line,) = said
    assert "masks/crack/7.png is a mask that fits no picture" in line
    assert line.endswith("(and 2 more)")


def test_empty_masks_of_good_pictures_are_neither_used_nor_strange(tmp_path: Path) -> None:
    parts(tmp_path)
    for number in range(5):
        trees.mask(tmp_path / f"masks/good/g{number}.png", value=0)
    samples, said = found(tmp_path)
    assert not any(sample.masks for sample in samples.values())
    assert said == []


def test_masks_in_a_folder_of_the_pictures_name_are_joined(tmp_path: Path) -> None:
    parts(tmp_path)
    for number in range(3):
        trees.mask(tmp_path / f"ground_truth/crack/0/{number:03}.png")
    samples, said = found(tmp_path)
    assert [mask.name for mask in samples["crack/0"].masks] == ["000.png", "001.png", "002.png"]
    assert said == []


def test_of_a_picture_of_another_name_the_ending_is_no_mask(tmp_path: Path) -> None:
    """A picture may be called so: it is a mask only beside the picture that it would be of."""
    trees.picture(tmp_path / "good/1.png")
    trees.picture(tmp_path / "label/left_label.png")
    samples, _ = found(tmp_path)
    assert samples["label/left_label"].is_anomalous


@pytest.mark.parametrize("place", ["marks/{kind}/0.png", "{kind}/marks/0_mask.png"])
@pytest.mark.parametrize("layout", ["folder", "mvtec"])
def test_a_folder_of_the_pictures_names_that_is_ignored_is_said(place: str, layout: str, tmp_path: Path) -> None:
    parts(tmp_path / "test" if layout == "mvtec" else tmp_path)
    trees.picture(tmp_path / "train/good/0.png" if layout == "mvtec" else tmp_path / "good/0.png")
    test = layout == "mvtec" and place.startswith("{")
    mask = trees.mask(tmp_path / ("test" if test else ".") / place.format(kind="crack"))
    _, said = found(tmp_path)
    ignored = mask.parent if mask.parent.name == "marks" else mask.parent.parent
    assert said == [
        f"{ignored} is ignored, though its files are called as pictures are: call it ground_truth for masks"
    ]


def test_a_type_whose_pictures_look_like_masks_of_the_others_is_said(tmp_path: Path) -> None:
    parts(tmp_path)
    trees.mask(tmp_path / "marks/0_mask.png")
    trees.mask(tmp_path / "marks/1_mask.png")
    samples, (said,) = found(tmp_path)
    assert samples["marks/0_mask"].label == "marks"
    assert said.startswith(f"{tmp_path / 'marks'} is taken for a type of defect, though it looks as masks do")


def test_of_very_many_types_no_picture_is_read_for_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts(tmp_path)
    trees.mask(tmp_path / "marks/0_mask.png")
    monkeypatch.setattr(truth, "LOOKED_AT", 1)
    assert found(tmp_path)[1] == []


def test_a_mask_beside_only_its_own_type_is_of_no_other(tmp_path: Path) -> None:
    parts(tmp_path)
    for name in ("marks/7.png", "marks/7_mask.png"):
        trees.mask(tmp_path / name)
    assert found(tmp_path)[1] == []


def test_types_whose_pictures_share_their_names_are_no_masks(tmp_path: Path) -> None:
    parts(tmp_path)
    trees.picture(tmp_path / "solder_mask/0.png")
    trees.picture(tmp_path / "old/notes.png")
    samples, said = found(tmp_path)
    assert samples["solder_mask/0"].label == "solder_mask"
    assert said == []


def test_masks_among_defects_that_are_given_are_left_out_and_said(tmp_path: Path) -> None:
    parts(tmp_path)
    trees.mask(tmp_path / "crack/labels/0.png")
    with gather() as notices:
        left = leave_out_masks(tmp_path, None)
    assert len(left) == 9
    assert "labels/0.png is left out, since it lies among masks" in notices.lines()[0]
    assert leave_out_masks(tmp_path / "crack" / "labels", None) == [tmp_path / "crack/labels/0.png"]
