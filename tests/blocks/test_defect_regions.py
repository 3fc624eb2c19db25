from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import pdist

from blemish.blocks.defect_regions import outline, regions
from blemish.errors import BadInput
from blemish.images import Region

EIGHT = np.ones((3, 3), dtype=bool)
small = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def enclosed(polygon: NDArray[np.int64]) -> float:
    """The area within, positive for a polygon that runs clockwise on the screen."""
    x, y = polygon.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


def scene() -> NDArray[Any]:
    """Two blocks that touch at a corner with a high spot, something low about them, and a lower single pixel."""
    anomaly_map = np.zeros((8, 10), np.float32)
    anomaly_map[1:5, 1:6] = 1
    anomaly_map[1:3, 1:4] = anomaly_map[3:5, 4:6] = 3
    anomaly_map[4, 5] = 5
    anomaly_map[6, 8] = 4
    return anomaly_map


def test_regions_are_described_worst_first() -> None:
    worst, other = regions(scene(), 2, scale=0.5)
    assert worst.box == Region(1, 1, 5, 4)
    assert (worst.area, worst.area_mm2, worst.score) == (10, 2.5, 5)
    farthest = pdist(worst.contour).max()
    assert (worst.length, worst.length_mm) == pytest.approx((farthest, farthest / 2), rel=4e-5)
    assert worst.mean == pytest.approx((9 * 3 + 5) / 10)
    assert worst.centroid == pytest.approx(
        ((1 + 2 + 3) * 2 / 10 + (4 + 5) * 2 / 10, (3 * 1 + 3 * 2 + 2 * 3 + 2 * 4) / 10)
    )
    assert worst.contour.tolist() == [[4, 1], [4, 3], [6, 3], [6, 5], [4, 5], [4, 3], [1, 3], [1, 1]]
    assert (other.box, other.score, other.area) == (Region(8, 6, 1, 1), 4, 1)
    assert other.contour.tolist() == [[9, 6], [9, 7], [8, 7], [8, 6]]


def cone(x: int, height: float) -> NDArray[np.float32]:
    """Of a slope of 1, in a map of 100 x 60."""
    rows, columns = np.mgrid[:60, :100]
    return np.asarray(np.maximum(height - np.hypot(rows - 30, columns - x), 0), np.float32)


def test_a_region_ends_half_way_down_to_the_median_or_at_the_threshold() -> None:
    (found,) = regions(10 + cone(50, 24), 11)
    assert (found.score, found.level) == (34, 22)
    assert found.box == Region(38, 18, 25, 25)
    (same,) = regions(10 + cone(50, 24), 28)
    assert (same.level, same.box) == (28, Region(44, 24, 13, 13))
    (wider,) = regions(10 + cone(50, 24), 11, share=0.25)
    assert (wider.level, wider.box) == (16, Region(32, 12, 37, 37))
    both = regions(10 + np.maximum(cone(40, 24), cone(70, 20)), 12)
    assert [(each.score, each.box.x) for each in both] == [(34, 28), (30, 62)]


def test_the_median_is_of_what_was_inspected_however_little_that_was() -> None:
    anomaly_map = np.full((1000, 1000), np.nan, np.float32)
    anomaly_map[501:503, 501:504] = [[1, 1, 9], [1, 3, 5]]
    (found,) = regions(anomaly_map, 1)
    assert (found.level, found.area) == (5.5, 1)


def test_least_and_most_choose_regions() -> None:
    assert [region.score for region in regions(scene(), 2, least=2)] == [5]
    assert [region.score for region in regions(scene(), 3)] == [5, 4]
    assert [region.score for region in regions(scene(), 3, most=1)] == [5]
    assert regions(scene(), 2)[0].area_mm2 is None
    assert regions(scene(), 6) == regions(scene(), math.inf) == []


def test_millimetres_have_six_digits() -> None:
    block = np.zeros((12, 10), np.float32)
    block[1:10, 1:8] = 1
    (found,) = regions(block, 1, scale=0.1)
    assert 63 * 0.1**2 != 0.63
    assert found.area_mm2 == 0.63
    assert found.length_mm == pytest.approx(found.length / 10, rel=1e-5)
    assert len(str(found.length_mm)) <= 8


def test_what_was_not_inspected_belongs_to_no_region() -> None:
    anomaly_map = scene()
    anomaly_map[2:4] = np.nan
    found = regions(anomaly_map, 2)
    assert [region.area for region in found] == [2, 1, 3]
    assert all(math.isfinite(region.mean) for region in found)
    assert regions(np.full((4, 4), np.nan, np.float32), 0) == []


def test_json_is_that_of_results() -> None:
    found = regions(scene(), 2)[0].as_json("dent")
    assert json.loads(json.dumps(found)) == found
    assert found["box"] == {"x": 1, "y": 1, "width": 5, "height": 4}
    assert (found["type"], found["area_mm2"], found["contour"][0]) == ("dent", None, [4, 1])


@settings(max_examples=200, deadline=None)
@given(small)
def test_regions_are_those_of_connected_pixels(mask: NDArray[np.bool_]) -> None:
    labels, count = ndimage.label(mask, EIGHT)
    found = regions(mask.astype(np.float32), 0.5)
    assert len(found) == count
    assert sum(region.area for region in found) == mask.sum()
    for region in found:
        number = next(
            n for n in range(1, count + 1) if _box(labels == n) == region.box and (labels == n).sum() == region.area
        )
        own = labels == number
        x, y = region.contour.min(0)
        assert (x, y) == region.box[:2]
        assert tuple(region.contour.max(0)) == (region.box.x + region.box.width, region.box.y + region.box.height)
        assert enclosed(region.contour) in {ndimage.binary_fill_holes(labels == n).sum() for n in range(1, count + 1)}
        assert enclosed(outline(own[ndimage.find_objects(own.astype(int))[0]])) == ndimage.binary_fill_holes(own).sum()


def _box(own: NDArray[np.bool_]) -> Region:
    rows, columns = np.nonzero(own.any(1))[0], np.nonzero(own.any(0))[0]
    return Region(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))


@settings(max_examples=100, deadline=None)
@given(small)
def test_an_outline_turns_at_every_corner(mask: NDArray[np.bool_]) -> None:
    for region in regions(mask.astype(np.float32), 0.5):
        steps = np.roll(region.contour, -1, 0) - region.contour
        assert ((steps == 0).sum(1) == 1).all()
        assert ((steps[1:] == 0) != (steps[:-1] == 0)).all()


def test_a_ring_has_the_outline_of_its_outside() -> None:
    ring = np.ones((5, 5), np.float32)
    ring[2, 2] = 0
    (found,) = regions(ring, 1)
    assert found.area == 24
    assert sorted(found.contour.tolist()) == [[0, 0], [0, 5], [5, 0], [5, 5]]


@pytest.mark.parametrize(("shape", "scale"), [((1, 4, 4), None), ((4, 4), 0.0), ((4, 4), -1.0)])
def test_what_cannot_be_described_is_refused(shape: tuple[int, ...], scale: float | None) -> None:
    with pytest.raises(BadInput, match=r"one map|positive number"):
        regions(np.ones(shape, np.float32), 0.5, scale=scale)


@pytest.mark.slow
def test_large_maps_are_described() -> None:
    noise = np.random.default_rng(0).normal(size=(4096, 4096)).astype(np.float32)
    anomaly_map = ndimage.gaussian_filter(noise, 8)
    found = regions(anomaly_map, float(np.quantile(anomaly_map, 0.99)))
    assert len(found) == 1000
