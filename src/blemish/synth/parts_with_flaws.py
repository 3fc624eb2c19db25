"""Flaws of a stated size and contrast on pictures of good parts of any size, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.synth.augment import make_defect
from blemish.synth.drawn.scene import Colours, Mask
from blemish.synth.drawn.specimens import SMALLEST, Picture, visible

DRAWS = 12
"""Flaws drawn until one is seen where it should be."""
FINEST, LEAST = 384, 32
"""Pixels of the square in which a flaw is drawn: a larger one is drawn so and enlarged, a smaller one never."""
ON_THE_PART = 0.8
"""The share of a flaw that lies on the part, where it is known."""
SMALLEST_SHARE = 1e-4
"""Of the picture's pixels: a fleck that is smaller is no flaw that anyone looks for."""


def draw_on_part(
    picture: Picture,
    other: Picture,
    rng: np.random.Generator,
    *,
    generator: str,
    size: float,
    contrast: float,
    part: Mask | None = None,
) -> tuple[Picture, Mask] | None:
    """The picture with a flaw, and where it is (H, W); None where none can be seen, as on black.

    size: side of the square that holds it, as a share of the picture's shorter side. contrast: how much of the change
    that the generator makes is made, in [0, 1]. part: where the part is, (H, W). other: another part, of any size.
    """
    for _ in range(DRAWS):
        window = _window(rng, picture.shape[:2], size, part)
        whole, there = picture[window], _alike(other, window)
        seen = _shrink(whole)
        flawed, mask = make_defect(generator, seen, rng, _shrink(there)[: seen.shape[0], : seen.shape[1]])
        height, width = whole.shape[:2]
        change = _enlarge((flawed - seen) * _fade(*seen.shape[:2])[..., None] * np.float32(contrast), height, width)
        drawn = np.clip(whole + 255 * change, 0, 255).round().astype(np.uint8)
        shown = visible(whole, drawn, _enlarge(mask[..., None].astype(np.float32), height, width)[..., 0] > 0.5)
        least = max(SMALLEST, SMALLEST_SHARE * picture.shape[0] * picture.shape[1])
        if shown.sum() >= least and (part is None or part[window][shown].mean() >= ON_THE_PART):
            return _put(picture, window, np.where(shown[..., None], drawn, whole), shown)
    return None


def _window(rng: np.random.Generator, room: tuple[int, ...], size: float, part: Mask | None) -> tuple[slice, slice]:
    """A square about a random place of the part, wholly inside the picture."""
    side = min(max(LEAST, round(size * min(room))), *room)
    middle: NDArray[np.int64] | None = None
    if part is not None and part.any():
        row = int(rng.choice(np.flatnonzero(part.any(1))))
        middle = np.array([row, int(rng.choice(np.flatnonzero(part[row])))])
    corner = [int(rng.integers(length - side + 1)) for length in room]
    if middle is not None:
        corner = [int(np.clip(at - side // 2, 0, length - side)) for at, length in zip(middle, room, strict=True)]
    top, left = corner
    return slice(top, top + side), slice(left, left + side)


def _alike(other: Picture, window: tuple[slice, slice]) -> Picture:
    """The same place of another part, as far as that is as large; of a smaller one its last window."""
    side = window[0].stop - window[0].start
    starts = [max(0, min(place.start, length - side)) for place, length in zip(window, other.shape[:2], strict=True)]
    found = other[starts[0] : starts[0] + side, starts[1] : starts[1] + side]
    return found if found.shape[:2] == (side, side) else np.asarray(Image.fromarray(found).resize((side, side)))


def _shrink(picture: Picture) -> Colours:
    """(h, w, 3) in [0, 1] of at most `FINEST` pixels a side."""
    if len(picture) > FINEST:
        picture = np.asarray(Image.fromarray(picture).resize((FINEST, FINEST), Image.Resampling.BOX))
    return picture.astype(np.float32) / np.float32(255)


def _enlarge(planes: Colours, height: int, width: int) -> Colours:
    """Each plane of (h, w, C) at another size."""
    if planes.shape[:2] == (height, width):
        return planes
    size, how = (width, height), Image.Resampling.BILINEAR
    moved = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, how)) for plane in np.rollaxis(planes, 2)
    ]
    return np.stack(moved, 2)


def _fade(height: int, width: int) -> NDArray[np.float32]:
    """1 inside, and down to 0 within a tenth of the side: no flaw ends in a straight line that is the window's."""
    down, across = (
        np.minimum(1, 10 * (np.minimum(np.arange(n), n - 1 - np.arange(n)) + 0.5) / n) for n in (height, width)
    )
    found: NDArray[np.float32] = (down[:, None] * across).astype(np.float32)
    return found


def _put(picture: Picture, window: tuple[slice, slice], piece: Picture, shown: Mask) -> tuple[Picture, Mask]:
    whole, mask = picture.copy(), np.zeros(picture.shape[:2], bool)
    whole[window], mask[window] = piece, shown
    return whole, mask
