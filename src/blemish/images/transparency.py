"""Whether a channel that a header calls alpha is a picture of transparency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from blemish.notices import notice

NEARLY, LEAST_SHOWN = 0.9, 0.001
"""A pixel of this share of full alpha is shown as it is; and the share of pixels of which some picture is left."""


def is_transparency(alpha: NDArray[Any], opaque: float, path: Path) -> bool:
    """False, and said, for alpha that is the same everywhere or that shows hardly a pixel as it is.

    Many cameras and programs write a fourth byte that nobody fills: no picture, or a dark one, would be left. Alpha
    that is `opaque` everywhere is not worth a word.
    """
    low, high = alpha.min(), alpha.max()
    if low == high == opaque:
        return False
    if low == high:
        notice(f"%s: its alpha is {low:g} everywhere, which is no picture of transparency, so it is ignored", path)
        return False
    if (alpha >= NEARLY * opaque).mean() < LEAST_SHOWN:
        notice("%s: its alpha hides nearly all of it, which is no picture of transparency, so it is ignored", path)
        return False
    return True
