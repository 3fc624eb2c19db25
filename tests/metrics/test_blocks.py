from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blemish.metrics.blocks import highest_of_blocks


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12))
def test_each_block_has_its_highest_value(height: int, width: int, finest: int) -> None:
    plane = np.random.default_rng(height).normal(size=(height, width)).astype(np.float32)
    found = highest_of_blocks(plane, finest)
    assert max(found.shape) == min(finest, max(height, width))
    assert found.max() == plane.max()
    rows, columns = (
        [count * length // n for count in range(n + 1)] for length, n in zip(plane.shape, found.shape, strict=True)
    )
    for y in range(found.shape[0]):
        for x in range(found.shape[1]):
            assert found[y, x] == plane[rows[y] : rows[y + 1], columns[x] : columns[x + 1]].max()
    mask = highest_of_blocks(plane > 1, finest)
    assert mask.dtype == bool
    assert (mask == (found > 1)).all()


def test_what_was_not_inspected_hides_nothing() -> None:
    plane = np.full((8, 8), np.nan, np.float32)
    plane[0, 0] = 3
    found = highest_of_blocks(plane, 2)
    assert found[0, 0] == 3
    assert np.isnan(found[1, 1])
    assert highest_of_blocks(plane, None) is plane
