"""Maps and masks by blocks, where their own pixels would take longer than they are worth."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

D = TypeVar("D", bound=np.generic)


def highest_of_blocks(plane: NDArray[D], finest: int | None) -> NDArray[D]:
    """The highest value of each block of (H, W), NaN only where all is; at most `finest` blocks along a side."""
    if finest is None or max(plane.shape) <= finest:
        return plane
    shape = [max(1, round(length * finest / max(plane.shape))) for length in plane.shape]
    rows, columns = (np.arange(count) * length // count for count, length in zip(shape, plane.shape, strict=True))
    highest: Any = np.logical_or if plane.dtype == bool else np.fmax
    found: NDArray[D] = highest.reduceat(highest.reduceat(plane, rows, axis=0), columns, axis=1)
    return found
