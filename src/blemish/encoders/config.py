"""The shapes of the towers, and the pixel statistics that the published ones were trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Activation = Literal["gelu", "quick_gelu", "swiglu"]
Resize = Literal["bicubic", "bicubic-antialias", "bicubic-offset", "bilinear"]
"""How the position table follows the grid; "bicubic-offset" is DINO's, by the factor (n + 0.1) / side."""
Pool = Literal["class", "mean", "normed_mean"]
Normalization = Literal["clip", "imagenet", "half"]
Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
STATISTICS: dict[Normalization, Statistics] = {
    "clip": (CLIP_MEAN, CLIP_STD),
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "half": (HALF, HALF),
}


@dataclass(frozen=True, slots=True)
class ViTConfig:
    """The shape of a vision transformer; `blemish.encoders.layouts` infers it from the tensors of a checkpoint."""

    image_size: int = 224
    patch_size: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    output: int = 0  # width of the joint space; 0: no projection
    activation: Activation = "gelu"
    epsilon: float = 1e-5
    prefix: int = 1  # tokens before the patches: class, and DeiT's distillation token
    registers: int = 0
    prefix_positions: bool = True  # whether the position table covers the prefix tokens
    norm_pre: bool = False
    norm_last: bool = True
    pool: Pool = "class"  # the image embedding: class token, or mean of the patches before or after the last norm
    resize: Resize = "bicubic"
    alpha: bool = False  # whether it can be shown a region beside the picture (AlphaCLIP)
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD


@dataclass(frozen=True, slots=True)
class TextConfig:
    """The shape of a text transformer."""

    vocabulary: int = 49408
    context: int = 77
    width: int = 512
    depth: int = 12
    heads: int = 8
    hidden: int = 2048
    output: int = 512
    activation: Activation = "gelu"
    epsilon: float = 1e-5
