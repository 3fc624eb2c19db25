from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.test_evaluate import Brightness
from torch import Tensor, nn

from blemish import encoders
from blemish.encoders.capabilities import geometry
from blemish.errors import BadInput
from blemish.images import Inspected, Source, Unreadable, View, frame, input_size, matching_regions
from blemish.inspection import LONGEST, inspect
from blemish.types import Geometry, Prediction

SHAPES = [(64, 64), (40, 100), (101, 37), (16, 16)]


def test_one_shape_for_all_pictures_has_its_shorter_side_set() -> None:
    for size in SHAPES:
        assert input_size(Geometry(32, multiple=8, aspect=2.5), *size) == (32, 80)
        assert input_size(Geometry(32, multiple=8, aspect=0.4), *size) == (80, 32)


class Bright(nn.Module):
    """The map is the input itself."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry

    def forward(self, images: Tensor) -> Prediction:
        grey = images.mean(1)
        return Prediction(grey.flatten(1).amax(1), grey)


def dotted(height: int, width: int, y: int, x: int) -> NDArray[Any]:
    picture = np.zeros((3, height, width), np.float32)
    picture[:, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = 1
    return picture


def result(shape: Geometry, picture: NDArray[Any], view: View | None = None) -> Inspected:
    (found,) = inspect(Bright(shape), [Source(picture.transpose(1, 2, 0), "dot")], view=view or View())
    assert isinstance(found, Inspected)
    return found


@pytest.mark.parametrize(
    "shape",
    [Geometry(96), Geometry(96, True, 8), Geometry(96, pad=True, multiple=8), Geometry(96, multiple=8, aspect=2.5)],
)
@pytest.mark.parametrize("size", SHAPES)
def test_a_spot_is_found_where_it_is(shape: Geometry, size: tuple[int, int]) -> None:
    height, width = size
    for y, x in ((height // 2, width // 2), (3, width - 4), (height - 4, 3)):
        found = result(shape, dotted(height, width, y, x))
        assert found.anomaly_map.shape == size
        assert np.isfinite(found.anomaly_map).all()
        at = int(found.anomaly_map.argmax())
        assert abs(at // width - y) <= 2
        assert abs(at % width - x) <= 2


@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("size", SHAPES)
def test_of_a_cropped_picture_only_the_middle_is_inspected(size: tuple[int, int], *, keep_aspect: bool) -> None:
    height, width = size
    shape = Geometry(64, keep_aspect, 8, crop=56)
    found = result(shape, dotted(height, width, height // 2, width // 2))
    inside = np.isfinite(found.anomaly_map)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    share = 56 / 64 if not keep_aspect else 56 / (64 * max(size) / min(size))
    long = rows if height >= width else columns
    assert len(long) / max(size) == pytest.approx(share, abs=2 / min(size))
    assert int(rows[0] + rows[-1]) == pytest.approx(height - 1, abs=1)
    assert int(columns[0] + columns[-1]) == pytest.approx(width - 1, abs=1)
    at = int(np.nan_to_num(found.anomaly_map, nan=-1).argmax())
    assert abs(at // width - height // 2) <= 2
    assert abs(at % width - width // 2) <= 2
    if min(size) > 16:  # where the spot is smaller than the margin
        assert result(shape, dotted(height, width, 0, 0)).score < 0.6


def test_a_cropped_input_is_the_middle_of_the_resized_picture() -> None:
    picture = np.random.default_rng(0).random((3, 32, 32), np.float32)
    assert np.array_equal(frame(picture, Geometry(32, crop=24)), picture[:, 4:28, 4:28])


def test_a_padded_input_repeats_the_edge_and_none_of_it_comes_back() -> None:
    picture = np.random.default_rng(0).random((3, 16, 32), np.float32)
    found = frame(picture, Geometry(32, pad=True))
    assert np.array_equal(found[:, 8:24], picture)
    assert np.array_equal(found[:, 0], picture[:, 0])
    assert np.array_equal(found[:, 31], picture[:, 15])
    inside, shown = matching_regions(Geometry(32, pad=True), 16, 32)
    assert (inside.y, inside.height, shown.height) == (8, 16, 16)


def test_tiles_are_seen_whole() -> None:
    for shape in (Geometry(32, crop=24), Geometry(32, pad=True)):
        found = result(shape, dotted(70, 90, 66, 4), View(tile=32, overlap=8))
        assert np.isfinite(found.anomaly_map).all()
        assert int(found.anomaly_map.argmax()) // 90 >= 60


def test_one_function_makes_the_geometry_of_an_encoder() -> None:
    tiny = encoders.load("test-tiny")
    made = geometry(tiny)
    assert (made.side, made.multiple) == (tiny.image_size, tiny.patch_size)
    assert geometry(tiny, 128, crop=64) == dataclasses.replace(made, side=128, crop=64)
    for wrong in (63, 136, 0):
        with pytest.raises(BadInput, match="crop="):
            geometry(tiny, 128, crop=wrong)
    for small in (tiny.patch_size - 1, 0, -tiny.patch_size):
        with pytest.raises(BadInput, match=rf"image_size={small}: .* sees patches of {tiny.patch_size} pixels, give"):
            geometry(tiny, small)
    with pytest.raises(BadInput, match="choose one"):
        geometry(tiny, 128, crop=64, pad=True)


def test_a_picture_far_longer_than_wide_is_named_and_the_others_are_inspected() -> None:
    detector = Brightness()
    detector.geometry = Geometry(448, True, 14)
    long, fine = np.zeros((1, 5000, 3)), np.random.default_rng(0).random((20, 30, 3))
    first, second = inspect(detector, [Source(long, "rail"), Source(fine, "plate")])
    assert isinstance(first, Unreadable)
    assert "rail: 5000 x 1 keeps its shape in this method and would become 2240000 x 448" in first.reason
    assert "--tile" in first.reason
    assert isinstance(second, Inspected)
    (tiled,) = inspect(detector, [Source(long, "rail")], view=View(tile=500))
    assert isinstance(tiled, Inspected)
    (just,) = inspect(detector, [Source(np.zeros((2, 2 * LONGEST, 3)), "strip")])
    assert isinstance(just, Inspected)


def test_a_long_picture_that_is_stretched_anyway_is_no_trouble() -> None:
    assert result(Geometry(64), np.zeros((3, 1, 5000), np.float32)).anomaly_map.shape == (1, 5000)
