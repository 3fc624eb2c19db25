"""Where the part is in a picture of one on a plain background, and nowhere else: found where that is sure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CELLS = 128
"""Along the longer side: what is smaller than such a cell is no part."""
MARGIN = 0.03
"""The frame of the picture that must be background, as a share of its sides."""
PLAIN, APART = 12.0, 20.0
"""Grey levels of 255 by which a plain background strays at most, and by which a part differs at least."""


def find_part(picture: NDArray[Any]) -> NDArray[np.bool_] | None:
    """bool (H, W) of a picture (3, H, W), uint8 or in [0, 1], one cell wider than the part; None where it is not sure.

    It is sure where the frame of the picture is of one colour, and something of another stands in it, away from the
    frame: a part that reaches the frame, or a material that fills the picture, is None.
    """
    cells, rows, columns = _cells(picture)
    edge = [max(1, round(MARGIN * length)) for length in cells.shape[:2]]
    frame = np.ones(cells.shape[:2], bool)
    frame[edge[0] : -edge[0], edge[1] : -edge[1]] = False
    away = np.abs(cells - np.median(cells[frame], axis=0)).max(2)
    strays = float(np.quantile(away[frame], 0.98))
    part = away > max(APART, 2 * strays)
    if strays > PLAIN or part[frame].any() or not 0.02 <= part.mean() <= 0.9:
        return None
    wider = _widen(_fill(part))
    found: NDArray[np.bool_] = wider[rows][:, columns]
    return found


def _cells(picture: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Mean colours (h, w, 3) in levels of 255, and which cell each row and each column of the picture is in."""
    step = max(1, -(-max(picture.shape[1:]) // CELLS))
    height, width = picture.shape[1:]
    inside = picture[:, : max(1, height // step) * step, : max(1, width // step) * step]
    blocks = inside.reshape(3, -1, min(step, height), inside.shape[2] // min(step, width), min(step, width))
    means = blocks.mean((2, 4), dtype=np.float32).transpose(1, 2, 0)
    levels = means if picture.dtype == np.uint8 else 255 * means
    rows, columns = (
        np.minimum(np.arange(n) // step, k - 1) for n, k in zip((height, width), levels.shape, strict=False)
    )
    return levels, rows, columns


def _fill(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With its holes: what has part on all four sides."""
    sides = [np.maximum.accumulate(part, 0), np.maximum.accumulate(part[::-1], 0)[::-1]]
    sides += [np.maximum.accumulate(part, 1), np.maximum.accumulate(part[:, ::-1], 1)[:, ::-1]]
    found: NDArray[np.bool_] = np.logical_and.reduce(sides)
    return found


def _widen(part: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(part, 1)
    height, width = part.shape
    shifts = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    found: NDArray[np.bool_] = np.logical_or.reduce(shifts)
    return found
