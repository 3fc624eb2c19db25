"""What is written is read back: nothing is lost that a format can hold, and what it cannot is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.test_inspect import run as command
from tests.support.annotated import CRACK, HEIGHT, STAIN, WIDTH, picture, plain, run

from blemish import data
from blemish.data.masks import read_ground_truth
from blemish.evaluation.evidence import samples_to_measure
from blemish.formats import READ, WRITTEN, read_format, written_format
from blemish.formats.labels import read_labels
from blemish.formats.polygons import cross_themselves, fill_polygons, polygons_of
from blemish.formats.runs import read_run
from blemish.formats.table import Annotated, Annotation, Box, Refused, keep

BOTH = sorted(set(READ) & set(WRITTEN))


def place(name: str, out: Path) -> Path:
    """What of a folder that was written is read."""
    return out if name == "yolo" else next(out / file for file in FILES if (out / file).exists())


FILES = ("annotations.json", "tasks.json", "annotations.xml")


def there_and_back(name: str, pictures: list[Annotated], folder: Path) -> list[Annotated]:
    out, refused = folder / name, list[Refused]()
    out.mkdir()
    with keep(pictures) as (table, seen):
        written_format(name).write(table, seen, out)
        images = out / "images" if name == "yolo" else Path(seen.root)
    found = list(read_labels(place(name, out), name, images, refuse=refused.append))
    assert refused == []
    return found


@pytest.mark.parametrize("name", BOTH)
def test_a_run_that_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    before = list(read_run(run(tmp_path / "run")))
    found = there_and_back(name, before, tmp_path)
    holds_scores = not written_format(name).CANNOT_HOLD
    assert [plain(each, scores=holds_scores) for each in found] == [
        plain(each, scores=holds_scores) for each in (before if name != "yolo" else sorted(before, key=by_name))
    ]


def by_name(found: Annotated) -> str:
    return found.path


@pytest.mark.parametrize("name", BOTH)
def test_boxes_and_regions_of_several_polygons_are_read_back(name: str, tmp_path: Path) -> None:
    file = str(picture(tmp_path / "parts" / "a.png"))
    boxed = Annotation("crack", (), Box(3.25, 4.5, 10, 6.125), 0.5)
    several = Annotation("stain", [CRACK, STAIN], None, 0.25)
    shown = [Annotated(file, WIDTH, HEIGHT, [boxed])] if name == "yolo" else []
    shown = shown or [Annotated(file, WIDTH, HEIGHT, [boxed, several], 0.5, "reject")]
    scores = name != "yolo"
    found = there_and_back(name, shown, tmp_path)
    assert [plain(each, scores=scores) for each in found] == [plain(each, scores=scores) for each in shown]


def test_a_picture_with_boxes_and_polygons_has_only_polygons_for_yolo(tmp_path: Path) -> None:
    file = str(picture(tmp_path / "parts" / "a.png"))
    mixed = [Annotation("crack", (), Box(3, 4, 10, 6)), Annotation("stain", [STAIN])]
    (found,) = there_and_back("yolo", [Annotated(file, WIDTH, HEIGHT, mixed)], tmp_path)
    assert [each.box for each in found.regions] == [Box(3, 4, 10, 6), Box(50, 20, 20, 10)]
    assert all(len(each.polygons) == 1 for each in found.regions)


def test_labels_become_folders_that_data_sets_are_read_from(tmp_path: Path) -> None:
    out = tmp_path / "labels"
    assert command("convert", run(tmp_path / "run"), "--to", "coco", "--out", out).exit_code == 0
    made = tmp_path / "set"
    labels = (out / "annotations.json", "--from", "coco", "--images", tmp_path / "parts")
    result = command("convert", *labels, "--out", made)
    assert result.exit_code == 0, result.output
    assert "3 pictures" not in result.stdout
    assert f"{made}: 4 pictures, 3 regions; crack 1, defect 1, good 1, stain 1" in result.stdout
    samples = {each.label: each for split in ("train", "test") for each in data.samples(made, split=split)}
    assert set(samples) == {"good", "crack", "stain", "defect"}
    for label, contour in (("crack", CRACK), ("stain", STAIN), ("defect", STAIN)):
        wanted = np.zeros((HEIGHT, WIDTH), bool)
        fill_polygons(wanted[None], [contour], [0])
        assert (read_ground_truth(samples[label].masks, samples[label].image) == wanted).all()
    assert samples["crack"].image.read_bytes() == (tmp_path / "parts" / "a.png").read_bytes()


def test_a_picture_of_two_types_is_measured_once_by_both_its_masks(tmp_path: Path) -> None:
    command("convert", run(tmp_path / "run"), "--to", "cvat", "--out", tmp_path / "labels")
    made = tmp_path / "set"
    command("convert", tmp_path / "labels", "--from", "cvat", "--images", tmp_path / "parts", "--out", made)
    (found,) = (each for each in samples_to_measure(made) if each.image.name == "a.png")
    assert found.label == "crack+stain"
    wanted = np.zeros((1, HEIGHT, WIDTH), bool)
    fill_polygons(wanted, [CRACK, STAIN], [0, 0])
    assert (read_ground_truth(found.masks, found.image) == wanted[0]).all()


def test_labels_of_one_program_are_written_for_another(tmp_path: Path) -> None:
    first, second = tmp_path / "cvat", tmp_path / "labelstudio"
    assert command("convert", run(tmp_path / "run"), "--to", "cvat", "--out", first).exit_code == 0
    labels = (first / "annotations.xml", "--from", "cvat", "--images", tmp_path / "parts")
    result = command("convert", *labels, "--to", "labelstudio", "--out", second)
    assert result.exit_code == 0, result.output
    before = [plain(each) for each in read_run(tmp_path / "run")]
    images = tmp_path / "parts"
    refused = list[Refused]()
    found = list(read_labels(second / "tasks.json", "labelstudio", images, refuse=refused.append))
    assert refused == []
    assert [plain(each) for each in found] == before


def test_what_yolo_cannot_hold_is_said(tmp_path: Path) -> None:
    result = command("convert", run(tmp_path / "run"), "--to", "yolo", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "no scores, no verdicts" in result.stderr
    assert (tmp_path / "out" / "images" / "deep" / "b.png").exists()
    assert (tmp_path / "out" / "labels" / "c.txt").read_text() == ""


def test_a_run_without_calibration_has_the_regions_that_good_parts_suggest(tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    for line in lines:
        line["suggested"] = {"verdict": line.pop("verdict"), "threshold": 0.1, "regions": line.pop("regions")}
    calibrated = [plain(each) for each in read_run(folder)]
    (folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [plain(each) for each in read_run(folder)] == calibrated


@pytest.mark.parametrize("decided", [False, True])
def test_a_run_that_marks_nothing_since_it_is_not_calibrated_says_so(decided: bool, tmp_path: Path) -> None:
    folder = run(tmp_path / "run")
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    for line in lines:
        line["regions"], line["verdict"] = [], "accept" if decided else None
    (folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = command("convert", folder, "--to", "coco", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert ("this run has no verdicts" in result.stderr) is not decided


@given(st.data())
def test_pixels_become_polygons_and_the_same_pixels_again(drawn: st.DataObject) -> None:
    flat = drawn.draw(st.lists(st.booleans(), min_size=30, max_size=30))
    mask = fill_holes(np.array(flat).reshape(5, 6))
    again = np.zeros_like(mask)
    polygons = polygons_of(mask)
    fill_polygons(again[None], polygons, [0] * len(polygons))
    assert not cross_themselves(polygons).any()
    assert (again == mask).all()


def fill_holes(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Background that cannot be left by the sides of pixels belongs to the part around it."""
    outside = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), bool)
    outside[0] = outside[-1] = outside[:, 0] = outside[:, -1] = True
    free = np.pad(~mask, 1, constant_values=True)
    while True:
        grown = outside.copy()
        for axis in (0, 1):
            for step in (1, -1):
                grown |= np.roll(outside, step, axis) & free
        grown |= outside
        if (grown == outside).all():
            return np.asarray(~outside[1:-1, 1:-1])
        outside = grown


def test_a_mask_that_is_written_has_the_pixels_whose_centres_lie_inside() -> None:
    mask = np.zeros((4, 6), bool)
    fill_polygons(mask[None], [[[1, 1], [4, 1], [4, 3], [1, 3]]], [0])
    assert mask.sum() == 6
    assert mask[1:3, 1:4].all()
    mask = np.zeros((4, 4), bool)
    fill_polygons(mask[None], [[[-5, -5], [9, -5], [9, 9], [-5, 9]]], [0])
    assert mask.all()


def test_the_pixels_of_a_slanted_polygon_are_those_whose_centres_lie_on_one_side_of_each_side() -> None:
    corners = np.array([(3.2, 2.1), (25.7, 8.3), (18.4, 27.9), (5.5, 20.0)])
    mask = np.zeros((32, 32), bool)
    fill_polygons(mask[None], [corners.tolist()], [0])
    y, x = np.mgrid[:32, :32] + 0.5
    along = np.roll(corners, -1, axis=0) - corners
    sides = [a * (y - py) - b * (x - px) for (a, b), (px, py) in zip(along, corners, strict=True)]
    assert (mask == (np.min(sides, axis=0) > 0)).all()
    crossed = cross_themselves([corners.tolist(), corners[[0, 2, 1, 3]].tolist(), corners[:3].tolist()])
    assert crossed.tolist() == [False, True, False]


def test_many_polygons_at_once_are_what_each_is_alone() -> None:
    rng = np.random.default_rng(0)
    several = [rng.uniform(-5, 45, (count, 2)).tolist() for count in (3, 4, 5, 9, 24, 40) for _ in range(4)]
    several += [[[x, y], [x + 9, y], [x + 9, y + 7], [x, y + 7]] for x, y in rng.integers(0, 40, (6, 2)).tolist()]
    together, apart = np.zeros((1, 40, 36), bool), np.zeros((len(several), 40, 36), bool)
    fill_polygons(together, several, [0] * len(several))
    fill_polygons(apart, several, range(len(several)))
    for each, mask in zip(several, apart, strict=True):
        assert (mask == (depths(each, 40, 36) % 2 == 1)).all()
    assert (together == apart.any(0)).all()
    assert cross_themselves(several).tolist() == [bool(cross_themselves([each])[0]) for each in several]
    assert cross_themselves(several).tolist() == [cuts_itself(np.array(each)) for each in several]


def depths(polygon: list[list[float]], height: int, width: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How many sides lie to the left of each pixel's centre."""
    y, x = np.mgrid[:height, :width] + 0.5
    found = np.zeros((height, width), np.int64)
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        inside = (np.minimum(y0, y1) <= y) & (y < np.maximum(y0, y1))
        found += inside & (x0 + (y - y0) * (x1 - x0) / (y1 - y0 or 1) <= x)
    return found


def cuts_itself(corners: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    """Side by side."""
    sides = list(zip(corners, np.roll(corners, -1, axis=0), strict=True))

    def on(side: Any, point: Any) -> float:
        (x0, y0), (x1, y1) = side
        return float((x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0))

    apart = [(a, b) for i, a in enumerate(sides) for j, b in enumerate(sides) if 1 < j - i < len(sides) - (i == 0)]
    return any(on(a, b[0]) * on(a, b[1]) < 0 and on(b, a[0]) * on(b, a[1]) < 0 for a, b in apart)


def test_every_format_says_what_it_reads() -> None:
    assert all(read_format(name).LOOKED_FOR for name in READ)
