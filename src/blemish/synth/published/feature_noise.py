"""SuperSimpleNet: Unifying Unsupervised and Supervised Learning for Fast and Reliable Surface Defect Detection.

Rolih, Fucka, Skocaj, ICPR 2024, arXiv:2408.03143: anomalies are Gaussian noise on adapted features, in Perlin spots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from blemish.synth.published.perlin import random_perlin_noise

EXPONENTS = (0, 5)  # numbers of Perlin cells are powers of two, 1 to 32


class Noise(NamedTuple):
    """Noise in spots of pictures, and nothing elsewhere."""

    values: Tensor  # (M, C), of the places in spots, in their order
    spots: Tensor  # (N, H, W), bool

    def dense(self) -> Tensor:
        """Of every place: (N, C, H, W), channels last in memory."""
        noise = self.values.new_zeros(*self.spots.shape, self.values.shape[1])
        noise[self.spots] = self.values
        return noise.permute(0, 3, 1, 2)


def perlin_masks(
    count: int,
    height: int,
    width: int,
    *,
    generator: torch.Generator,
    threshold: float = 0.2,
    empty: float = 0.5,
) -> Tensor:
    """Spots to put noise on: (count, 1, H, W), 0 or 1; a share `empty` of them has none.

    Noise is made at the next power of two and resized. Threshold: 0.2 for MVTec AD, 0.6 for VisA, KSDD2, SensumSODF.
    """
    seed = int(torch.randint(2**62, (1,), generator=generator))
    rng = np.random.default_rng(seed)
    side = 2 ** int(np.ceil(np.log2(max(height, width))))
    noise = torch.from_numpy(
        np.stack([random_perlin_noise(rng, side, side, exponents=EXPONENTS) for _ in range(count)])
    )
    resized = functional.interpolate(noise[:, None], size=(height, width), mode="bilinear")
    kept = torch.rand((count, 1, 1, 1), generator=generator) >= empty
    return ((resized > threshold) & kept).float()


def spread(features: Tensor) -> float:
    """How far a channel's values are from their mean, root mean square over (N, C, H, W)."""
    return float(_variances(features).mean().sqrt())


def feature_noise(
    shape: Sequence[int],
    *,
    generator: torch.Generator,
    defects: Tensor | None = None,
    deviation: float = 0.015,
    threshold: float = 0.2,
    empty: float = 0.5,
) -> tuple[Noise, Tensor]:
    """For features of a shape (N, C, H, W), taken twice: noise N(0, deviation^2) in spots, and where it is anomalous.

    `defects` (N, 1, H, W) marks real ones: defective pictures get noise too, but never on a defect, and both count
    as anomalous: (2N, 1, H, W), 0 or 1. A picture is anomalous if any pixel is.
    """
    count, channels, height, width = shape
    spots = perlin_masks(2 * count, height, width, generator=generator, threshold=threshold, empty=empty)
    real = torch.zeros_like(spots) if defects is None else torch.cat([defects, defects]).cpu().float()
    spots = spots * (1 - real)
    return _noise(spots[:, 0] > 0, channels, deviation, generator), torch.maximum(spots, real)


def noise_in_spots(
    features: Tensor, rows: Tensor, deviation: float, threshold: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Noise for some rows of (N, C, H, W) in Perlin spots, and where these are, (M, H, W), 0 or 1.

    deviation: in units of each channel's own, so that a channel that never answers gets none.
    """
    shape = (len(rows), *features.shape[1:])
    if not len(rows):
        return features[rows], features.new_zeros(0, *shape[2:])
    spots = perlin_masks(len(rows), *shape[2:], generator=generator, threshold=threshold, empty=0.0)[:, 0]
    noise = _noise(spots > 0, shape[1], 1.0, generator).dense().to(features)
    return deviation * _variances(features).sqrt() * noise, spots.to(features)


def _variances(features: Tensor) -> Tensor:
    """Of each channel of (N, C, H, W): (1, C, 1, 1); faster than torch's own on a processor."""
    squares, mean = (each.mean((0, 2, 3), keepdim=True) for each in (features.square(), features))
    return (squares - mean.square()).clamp_min(0)


def _noise(spots: Tensor, channels: int, deviation: float, generator: torch.Generator) -> Noise:
    """N(0, deviation^2) where the spots (N, H, W) are."""
    drawn = torch.empty(int(spots.sum()), channels).normal_(0, deviation, generator=generator)
    return Noise(drawn, spots)
