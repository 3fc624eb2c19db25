"""Maps made visible, by one scale for all pictures so that they can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.errors import BadInput
from blemish.images.reading import SUFFIXES, unit

# Even steps of CIELAB lightness from a dark violet to a light yellow, so equal steps of the score look equally large.
_ANCHORS = ((45, 12, 85), (102, 14, 112), (162, 30, 105), (214, 60, 75), (241, 111, 38), (251, 166, 28), (246, 220, 80))
_STRONGEST = 0.7  # opacity at `high`: the part stays visible underneath
_DIMMED = 0.4  # brightness of what was not inspected


def colours(scores: NDArray[Any]) -> NDArray[np.float32]:
    """float32 (3, H, W) in [0, 1] of scores (H, W) in [0, 1]: dark violet through red to light yellow."""
    anchors = np.array(_ANCHORS, np.float32) / 255
    position = np.clip(scores, 0, 1).astype(np.float32) * (len(anchors) - 1)
    below = np.minimum(position.astype(np.int64), len(anchors) - 2)
    return np.moveaxis(_mix(anchors[below], anchors[below + 1], (position - below)[..., None]), 2, 0)


def _mix(one: NDArray[Any], other: NDArray[Any], share: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(one + share.astype(np.float32) * (other - one), np.float32)


def overlay(image: NDArray[Any], anomaly_map: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """uint8 (3, H, W): the picture, tinted from not at all at `low` to strongly at `high`; NaN is dark grey.

    The map (H, W) has the size of the picture. Give all pictures the same `low` and `high`, or they cannot be compared.
    """
    if not low < high:
        raise BadInput(f"the colour scale goes from {low} to {high}: low must be below high")
    if anomaly_map.shape != image.shape[-2:]:
        shapes = f"{tuple(anomaly_map.shape)}, the picture {tuple(image.shape[-2:])}"
        raise BadInput(f"the map is {shapes}: call place() with the size of the picture first")
    picture = unit(image)
    unseen = np.isnan(anomaly_map)
    scores = np.clip((np.where(unseen, low, anomaly_map) - low) / (high - low), 0, 1)
    tinted = _mix(picture, colours(scores), _STRONGEST * scores)
    shown = np.where(unseen, _DIMMED * picture.mean(0, keepdims=True), tinted)
    return np.asarray(np.rint(shown * 255), np.uint8)


def save_picture(path: str | Path, image: NDArray[Any]) -> None:
    """Write (3, H, W), uint8 or float in [0, 1], in the format that the name ends with; floats become 8 bits."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{path}: a picture cannot be written as {path.suffix!r}: use one of {', '.join(SUFFIXES)}")
    if image.ndim != 3 or image.shape[0] != 3:
        raise BadInput(f"{path}: a picture is (3, H, W), not {tuple(image.shape)}")
    pixels = image if image.dtype == np.uint8 else np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, 2))).save(path)
