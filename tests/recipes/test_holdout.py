from __future__ import annotations

from pathlib import Path
from shutil import copy

import pytest
from PIL import Image
from tests.support.parts import good
from torch import Tensor

from blemish import encoders
from blemish.errors import BadImage, BadInput
from blemish.images import Region, Unreadable, View
from blemish.recipes.holdout import draw_folds, parts_of, score_parts
from blemish.recipes.reading import Reading
from blemish.types import Geometry, Prediction

TINY = encoders.load("test-tiny")


class Brightness:
    """The score is the mean of the picture plus what it was told."""

    geometry = Geometry(16)

    def __init__(self, more: float = 0.0) -> None:
        self.more = more

    def __call__(self, images: Tensor) -> Prediction:
        return Prediction(images.mean((1, 2, 3)) + self.more, images.amax(1))


def grey(path: Path, level: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), (level, level, level)).save(path)
    return path


def test_distinct_pictures_are_parts_of_their_own_and_copies_are_not(tmp_path: Path) -> None:
    paths = good(tmp_path, 6)
    assert parts_of(paths) == [(path,) for path in paths]
    again = Path(copy(paths[2], tmp_path / "again.png"))
    encoded = tmp_path / "encoded.jpg"
    with Image.open(paths[4]) as picture:
        picture.save(encoded, quality=92)
    found = parts_of([*paths, again, encoded])
    assert (found[2], found[4], len(found)) == ((paths[2], again), (paths[4], encoded), 6)
    apart = parts_of([*paths, again, encoded], every_picture=True)
    assert (apart[2], apart[4], len(apart)) == ((paths[2], again), (paths[4],), 7)


def test_parts_are_told_apart_by_what_is_inspected_of_them(tmp_path: Path) -> None:
    paths = good(tmp_path, 3)
    with Image.open(paths[0]) as below, Image.open(paths[1]) as above:
        whole = below.copy()
        whole.paste(above.crop((0, 0, 64, 32)), (0, 0))
    whole.save(tmp_path / "halves.png")
    paths.append(tmp_path / "halves.png")
    assert parts_of(paths, view=View(region=Region(0, 0, 64, 32)))[1] == (paths[1], paths[3])
    assert parts_of(paths, view=View(region=Region(0, 32, 64, 32)))[0] == (paths[0], paths[3])


def test_unreadable_pictures_are_listed_or_raised(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    paths, unreadable = [*good(tmp_path, 2), broken], list[Unreadable]()
    assert len(parts_of(paths, reading=Reading(unreadable=unreadable))) == 2
    assert score_parts(Brightness(), [broken], reading=Reading(unreadable=unreadable)) == {}
    assert [bad.id for bad in unreadable] == [str(broken)] * 2
    with pytest.raises(BadImage, match="broken"):
        parts_of(paths)
    with pytest.raises(BadImage, match="broken"):
        score_parts(Brightness(), [broken])


def test_a_score_has_its_maps_peak_and_its_pictures_size(tmp_path: Path) -> None:
    bright = grey(tmp_path / "bright.png", 204)
    found = score_parts(Brightness(), [bright])[bright]
    assert (found.picture, found.size) == (bright, (20, 20))
    assert (found.score, found.peak) == pytest.approx((0.8, 0.8))


def test_folds_are_of_one_size_and_hold_each_part_at_most_once() -> None:
    assert draw_folds(4, None, 0) == [[0], [1], [2], [3]]
    found = draw_folds(11, 3, 0)
    assert [len(fold) for fold in found] == [3, 3, 3]
    assert len({number for fold in found for number in fold}) == 9
    assert found == draw_folds(11, 3, 0) != draw_folds(11, 3, 1)
    for count, folds in ((1, None), (3, 4), (3, 1), (0, None)):
        with pytest.raises(BadInput, match="cannot be left out"):
            draw_folds(count, folds, 0)
