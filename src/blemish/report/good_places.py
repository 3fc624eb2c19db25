"""What a good part is like where another has a defect, as measured in both pictures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BRIGHTER = 10.0
"""Grey levels of 255 by which one must be brighter for that to be said."""
ROUGHER = 1.5
"""How many times as much the greys of one must spread."""
ASPECTS = 1.02
"""How far the shapes of two pictures may differ for their places to be compared."""
NARROWEST = 3
"""Pixels across that are compared at least."""


def compare_places(part: Image.Image, good: Image.Image, box: Mapping[str, int], size: tuple[int, int]) -> str:
    """In words, of a region of a part of that size (width, height), and of the same place of a good part.

    "" where neither brightness nor texture differ, or where the pictures are of another shape.
    """
    shapes = (part.width * good.height, part.height * good.width)
    if max(shapes) > ASPECTS * min(shapes):
        return ""
    (here, rough), (there, smooth) = (_measured(_cut(each, box, size)) for each in (part, good))
    said = []
    if abs(there - here) >= BRIGHTER:
        said.append(f"{'brighter' if there > here else 'darker'} (grey {there:.0f}, not {here:.0f})")
    if max(rough, smooth) > ROUGHER * max(min(rough, smooth), 1.0):
        said.append(f"{'rougher' if smooth > rough else 'smoother'} (greys spread by {smooth:.0f}, not {rough:.0f})")
    return f"a good part is {' and '.join(said)} here" if said else ""


def _measured(greys: NDArray[np.uint8]) -> tuple[float, float]:
    return float(greys.mean()), float(greys.std())


def _cut(image: Image.Image, box: Mapping[str, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    across, down = image.width / size[0], image.height / size[1]
    left, top = box["x"] * across, box["y"] * down
    wide, high = max(box["width"] * across, NARROWEST), max(box["height"] * down, NARROWEST)
    left, top = max(0, min(left, image.width - wide)), max(0, min(top, image.height - high))
    edges = round(left), round(top), round(left + wide), round(top + high)
    return np.asarray(image.convert("L").crop(edges))
