"""Whether a channel that a header calls alpha is a picture of transparency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from blemish.notices import notice


def is_transparency(alpha: NDArray[Any], opaque: float, path: Path) -> bool:
    """False, and said, for alpha that is the same everywhere or that counts 0 and 1: no picture would be left of it.

    Many cameras and programs write a fourth byte that nobody fills. Alpha that is `opaque` everywhere is not worth a
    word.
    """
    low, high = alpha.min(), alpha.max()
    if low == high == opaque:
        return False
    if low == high:
        notice(f"%s: its alpha is {low:g} everywhere, which is no picture of transparency, so it is ignored", path)
        return False
    if alpha.dtype.kind == "u" and high <= 1:
        notice("%s: its alpha holds only 0 and 1, which is no picture of transparency, so it is ignored", path)
        return False
    return True
