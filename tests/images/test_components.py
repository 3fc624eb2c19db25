from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from blemish.images import components

NOISE = np.random.default_rng(0)
SIZES, SHARES = ((1, 9), (9, 1), (40, 31), (64, 64)), (0, 0.3, 0.5, 0.7, 1)
MASKS = [NOISE.random(size) < share for size in SIZES for share in SHARES]
ROWS = ("#######", "......#", "#####.#", "#...#.#", "#.###.#", "#.....#", "#######")
SPIRAL = np.array([[each == "#" for each in row] for row in ROWS])


@pytest.mark.parametrize("mask", [*MASKS, SPIRAL, SPIRAL.T, np.eye(9, dtype=bool)])
def test_components_are_numbered_and_lie_as_scipy_says(mask: NDArray[np.bool_]) -> None:
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    found = components(mask)
    assert np.array_equal(found.labels, labels)
    assert len(found.boxes) == count
    for (down, right), box in zip(ndimage.find_objects(labels), found.boxes, strict=True):
        assert box == (right.start, down.start, right.stop - right.start, down.stop - down.start)
