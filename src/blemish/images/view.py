"""What of each picture is inspected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.images.framing import Region


@dataclass(frozen=True, slots=True)
class View:
    """What part of each picture is inspected, and how finely."""

    region: Region | None = None
    mask: NDArray[np.bool_] | None = None  # (H, W) of the whole picture, True where to inspect
    tile: int | None = None  # side of square tiles in pixels of the picture; None: the whole region at once
    overlap: int = 0  # pixels that neighbouring tiles share at least
    white: float | None = None  # the sample value of full brightness, see `blemish.images.read`


WHOLE = View()
