from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.images.test_framing import Bright

from blemish.blocks.defect_regions import regions as regions_of
from blemish.errors import BadInput
from blemish.images import Inspected, Mosaic, Region, Source, View, crop, cut, peak_of, tiles
from blemish.inspection import inspect
from blemish.types import Geometry

LENGTH = st.integers(1, 70)


def blend(maps: Iterable[NDArray[Any]], regions: Iterable[Region], size: tuple[int, int]) -> NDArray[Any]:
    mosaic = Mosaic(size)
    for part, region in zip(maps, regions, strict=True):
        mosaic.add(part, region)
    return mosaic.joined()[0]


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    side = draw(st.integers(2, 40))
    return draw(LENGTH), draw(LENGTH), side, draw(st.integers(0, side - 1))


@settings(deadline=None, max_examples=60)
@given(layouts())
def test_tiles_cover_the_picture_and_stay_inside_it(layout: tuple[int, int, int, int]) -> None:
    height, width, side, overlap = layout
    covered = np.zeros((height, width), np.float32)
    for region in tiles(height, width, side, overlap):
        assert (region.height, region.width) == (min(side, height), min(side, width))
        inside = crop(covered, region)
        inside += 1
    assert covered.min() >= 1


@settings(deadline=None, max_examples=60)
@given(layouts())
def test_neighbours_share_at_least_the_overlap_and_no_tile_comes_twice(layout: tuple[int, int, int, int]) -> None:
    height, width, side, overlap = layout
    regions = tiles(height, width, side, overlap)
    assert len(set(regions)) == len(regions)
    for starts in ({region.x for region in regions}, {region.y for region in regions}):
        ordered = sorted(starts)
        assert all(left + side - right >= overlap for left, right in pairwise(ordered))


@settings(deadline=None, max_examples=60)
@given(layouts(), st.floats(-100, 100, width=32))
def test_constant_maps_blend_to_the_constant(layout: tuple[int, int, int, int], value: float) -> None:
    height, width, side, overlap = layout
    regions = tiles(height, width, side, overlap)
    blended = blend((np.full((side, side), value, np.float32) for _ in regions), regions, (height, width))
    assert np.allclose(blended, np.array(value), rtol=2e-6, atol=0)


@settings(deadline=None, max_examples=60)
@given(layouts())
def test_cutting_and_blending_gives_the_picture_back(layout: tuple[int, int, int, int]) -> None:
    height, width, side, overlap = layout
    image = np.random.default_rng(height * width).random((1, height, width), np.float32)
    regions = tiles(height, width, side, overlap)
    blended = blend((tile[0] for tile in cut(image, regions, side)), regions, (height, width))
    assert np.allclose(blended, image[0], atol=1e-6)


def test_a_map_fades_evenly_into_its_neighbour() -> None:
    regions = [Region(0, 0, 20, 4), Region(10, 0, 20, 4)]
    blended = blend([np.zeros((4, 20), np.float32), np.ones((4, 20), np.float32)], regions, (4, 30))
    assert np.allclose(blended[0], [*[0] * 10, *np.arange(1, 11) / 11, *[1] * 10])
    assert np.array_equal(blended[0], blended[3])


def test_pixels_under_no_tile_are_not_inspected() -> None:
    blended = blend([np.ones((2, 2), np.float32)], [Region(0, 0, 2, 2)], (2, 3))
    assert (blended[:, :2] == 1).all()
    assert np.isnan(blended[:, 2]).all()


def test_a_picture_smaller_than_a_tile_repeats_its_edge() -> None:
    image = np.array([[[1, 2], [3, 4]]], np.uint8)
    (tile,) = cut(image, tiles(2, 2, 3, 0), 3)
    assert tile.dtype == np.uint8
    assert tile.tolist() == [[[1, 2, 2], [3, 4, 4], [3, 4, 4]]]


@pytest.mark.parametrize(("side", "overlap"), [(8, 8), (8, -1), (0, 0)])
def test_an_overlap_that_leaves_no_step_is_refused(side: int, overlap: int) -> None:
    with pytest.raises(BadInput, match="at least 0 and below the side"):
        tiles(20, 20, side, overlap)


def test_a_map_smaller_than_its_tile_is_refused() -> None:
    with pytest.raises(BadInput, match="must be at least as large"):
        blend([np.ones((2, 2), np.float32)], [Region(0, 0, 3, 2)], (2, 3))


def test_where_tiles_overlap_the_one_that_names_a_type_and_has_the_pixel_most_in_its_middle_decides() -> None:
    for later in ((1,), (1, -1)):
        mosaic = Mosaic((4, 30))
        mosaic.add(np.zeros((4, 20), np.float32), Region(0, 0, 20, 4), np.zeros((4, 20), np.int16))
        for kind in later:
            mosaic.add(np.zeros((4, 20), np.float32), Region(10, 0, 20, 4), np.full((4, 20), kind, np.int16))
        _, kinds = mosaic.joined()
        assert kinds is not None
        assert kinds[1].tolist() == [0] * 15 + [1] * 15


def test_without_types_there_is_no_map_of_types() -> None:
    mosaic = Mosaic((2, 2))
    mosaic.add(np.ones((2, 2), np.float32), Region(0, 0, 2, 2))
    assert mosaic.joined()[1] is None


def test_memory_for_a_large_picture_is_a_few_bytes_a_pixel() -> None:
    side = 1500
    picture = np.zeros((side, side, 3), np.uint8)
    picture[700:720, 300:340] = 200
    tracemalloc.start()
    try:
        for found in inspect(Bright(Geometry(64)), [Source(picture, "large")], view=View(tile=300, overlap=75)):
            assert isinstance(found, Inspected)
            assert peak_of(found.anomaly_map)[0] in range(295, 345)
            assert len(regions_of(found.anomaly_map, 0.5)) == 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 14 * side**2  # a copy of the picture, 3; its map, 4; and either the joining of tiles or regions


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.5])
def test_the_peak_is_the_first_of_the_highest(value: float) -> None:
    scores = np.random.default_rng(0).integers(0, 4, (7, 9)).astype(np.float32) / 4
    scores[3, 4], scores[0], scores[5, 5] = 1.0, np.nan, 1.0
    scores[2, 2] = value
    expected = np.unravel_index(int(np.nan_to_num(scores, nan=-np.inf, posinf=np.inf).argmax()), scores.shape)
    assert peak_of(scores) == (int(expected[1]), int(expected[0]))
