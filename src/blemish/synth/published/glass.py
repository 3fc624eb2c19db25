"""A Unified Anomaly Synthesis Strategy with Gradient Ascent for Industrial Anomaly Detection and Localization (GLASS).

Chen, Luo, Lv, Zhang, ECCV 2024, arXiv:2407.09359: its local anomalies, textures in combined Perlin spots, and the
projections of its global ones. Deviation: the texture's augmenters are DRAEM's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from blemish.synth.drawn.scene import Colours, Mask
from blemish.synth.published.augmenters import augment
from blemish.synth.published.perlin import perlin_mask

MASK_ATTEMPTS = 100  # masks drawn before an empty one is accepted; the code draws without end


def glass(
    image: Colours,
    rng: np.random.Generator,
    *,
    texture: Colours,
    foreground: Mask | None = None,
    grid: int = 8,
    opacity: tuple[float, float] = (0.2, 0.8),
) -> tuple[Colours, Mask]:
    """A texture of the image's size blended in within one, either or both of two Perlin masks.

    The image's share is N(0.5, 0.1) within `opacity`; a patch of the features is `grid` pixels wide.
    """
    mask = local_mask(rng, image.shape[0], image.shape[1], foreground=foreground, grid=grid)
    share = np.float32(np.clip(rng.normal(0.5, 0.1), *opacity))
    blend = share * image + (1 - share) * augment(texture, rng)
    return np.where(mask[..., None], blend, image).astype(np.float32), mask


def local_mask(
    rng: np.random.Generator, height: int, width: int, *, foreground: Mask | None = None, grid: int = 8
) -> Mask:
    """One Perlin mask, the union or the intersection of two, equally often; drawn until one patch is marked."""
    allowed = np.ones((height, width), bool) if foreground is None else foreground
    mask = np.zeros((height, width), bool)
    for _ in range(MASK_ATTEMPTS):
        kind = int(rng.integers(3))
        one, other = perlin_mask(rng, height, width), perlin_mask(rng, height, width)
        mask = (one, one | other, one & other)[kind] & allowed
        if mask[grid // 2 :: grid, grid // 2 :: grid].any():
            return mask
    return mask


def onto_shell(features: Tensor, centre: Tensor, nearest: float, farthest: float) -> Tensor:
    """Features (..., C) moved along the line to `centre` until they are `nearest` to `farthest` away (hypersphere)."""
    away = features - centre
    length = torch.linalg.vector_norm(away, dim=-1, keepdim=True).clamp_min(1e-12)
    moved: Tensor = centre + away / length * length.clamp(nearest, farthest)
    return moved


def ascend(
    good: Tensor,
    noise: Tensor,
    judge: Callable[[Tensor], Tensor],
    anchor: Tensor,
    nearest: float,
    *,
    steps: int = 20,
    length: float = 1e-3,
) -> Tensor:
    """Features (..., C) with noise, moved in steps of `length` to where `judge` takes them for good ones.

    judge: the logits of good and of moved features, (2, ..., C) -> (2, ...), the latter anomalous where they are high.
    Every fifth time they are put between `nearest` and twice that from `anchor`, the features themselves or a centre.
    """
    moved = good + noise
    for step in range(1, steps + 1):
        logits = judge(torch.stack([good, moved]))[1]
        wrong = functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        (gradient,) = torch.autograd.grad(wrong, moved)
        moved = moved + length * functional.normalize(gradient, dim=-1)
        if step % 5 == 0:
            moved = onto_shell(moved, anchor, nearest, 2 * nearest)
    return moved
