"""Contact sheets: specimens side by side, to be judged by eye."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from blemish.synth.drawn.specimens import Picture, Specimen

OUTLINE = (255, 0, 0)


def sheet(specimens: Sequence[Specimen]) -> Picture:
    """Rows of triples (good, flawed, flaw outlined), about as wide as high: (H, W, 3)."""
    triples = [np.concatenate([each.good, each.flawed, draw_outline(each)], 1) for each in specimens]
    columns = max(1, round(math.sqrt(len(triples) / 3)))
    blank = np.zeros_like(triples[0])
    filled = [*triples, *[blank] * (-len(triples) % columns)]
    return np.concatenate([np.concatenate(filled[at : at + columns], 1) for at in range(0, len(filled), columns)], 0)


def draw_outline(specimen: Specimen) -> Picture:
    """The flawed picture with a line around the flaw, a pixel off it."""
    near = ndimage.binary_dilation(specimen.mask, iterations=1)
    line = ndimage.binary_dilation(near) & ~near
    found: Picture = np.where(line[..., None], np.array(OUTLINE, np.uint8), specimen.flawed)
    return found
