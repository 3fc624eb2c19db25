"""What of each picture is inspected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    balance: float | None = None  # beside tiles the region is seen whole too, see `Begun`; None: tiles alone
    keep_aspect: bool = False  # what is seen whole keeps its shape, also for a method that stretches it to a square
    aspect: float | None = None  # what is seen whole is stretched to that width / height; None: to a square

    @property
    def scales(self) -> dict[str, Any]:
        """`balance`, `keep_aspect` and `aspect` as plain values, where they are not as always."""
        return {name: getattr(self, name) for name in ("balance", "keep_aspect", "aspect") if getattr(self, name)}


WHOLE = View()
