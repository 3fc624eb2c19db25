"""Maps made visible, by one scale for all pictures so that they can be compared."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from blemish.errors import BadInput
from blemish.images.reading import SUFFIXES, unit

# Even steps of CIELAB lightness from a dark violet to a light yellow, so equal steps of the score look equally large.
_ANCHORS = ((45, 12, 85), (102, 14, 112), (162, 30, 105), (214, 60, 75), (241, 111, 38), (251, 166, 28), (246, 220, 80))
_STRONGEST = 0.7  # opacity at `high`: the part stays visible underneath
_DIMMED = 0.4  # brightness of what was not inspected


def colours(scores: Tensor) -> Tensor:
    """float32 (3, H, W) in [0, 1] of scores (H, W) in [0, 1]: dark violet through red to light yellow."""
    anchors = torch.tensor(_ANCHORS, dtype=torch.float32) / 255
    position = scores.clamp(0, 1) * (len(anchors) - 1)
    below = position.long().clamp(max=len(anchors) - 2)
    return torch.lerp(anchors[below], anchors[below + 1], (position - below)[..., None]).permute(2, 0, 1)


def overlay(image: Tensor, anomaly_map: Tensor, low: float, high: float) -> Tensor:
    """uint8 (3, H, W): the picture, tinted from not at all at `low` to strongly at `high`; NaN is dark grey.

    The map (H, W) has the size of the picture. Give all pictures the same `low` and `high`, or they cannot be compared.
    """
    if not low < high:
        raise BadInput(f"the colour scale goes from {low} to {high}: low must be below high")
    if anomaly_map.shape != image.shape[-2:]:
        shapes = f"{tuple(anomaly_map.shape)}, the picture {tuple(image.shape[-2:])}"
        raise BadInput(f"the map is {shapes}: call place() with the size of the picture first")
    picture = unit(image)
    scores = ((anomaly_map.float() - low) / (high - low)).clamp(0, 1)
    tinted = torch.lerp(picture, colours(scores.nan_to_num(0)), _STRONGEST * scores)
    dimmed = _DIMMED * picture.mean(0, keepdim=True)
    return torch.where(scores.isnan(), dimmed, tinted).mul_(255).round_().to(torch.uint8)


def save_picture(path: str | Path, image: Tensor) -> None:
    """Write (3, H, W), uint8 or float in [0, 1], in the format that the name ends with; floats become 8 bits."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{path}: a picture cannot be written as {path.suffix!r}: use one of {', '.join(SUFFIXES)}")
    if image.ndim != 3 or image.shape[0] != 3:
        raise BadInput(f"{path}: a picture is (3, H, W), not {tuple(image.shape)}")
    pixels = image if image.dtype == torch.uint8 else image.clamp(0, 1).mul(255).round().to(torch.uint8)
    Image.fromarray(pixels.permute(1, 2, 0).contiguous().cpu().numpy()).save(path)
