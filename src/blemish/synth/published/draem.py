"""DRAEM - A discriminatively trained reconstruction embedding for surface anomaly detection: its simulated anomalies.

Zavrtanik, Kristan, Skocaj, ICCV 2021, arXiv:2108.07610. The texture comes from the caller: the paper takes DTD's.
"""

from __future__ import annotations

import numpy as np

from blemish.synth.drawn.scene import Colours, Mask
from blemish.synth.published.augmenters import augment
from blemish.synth.published.perlin import perlin_mask

PAPER_OPACITY = (0.1, 1.0)
CODE_OPACITY = (0.2, 1.0)  # the code draws the image's share from (0, 0.8)


def draem(
    image: Colours,
    rng: np.random.Generator,
    *,
    texture: Colours,
    opacity: tuple[float, float] = PAPER_OPACITY,
    probability: float = 0.5,
    threshold: float = 0.5,
    exponents: tuple[int, int] = (0, 5),
) -> tuple[Colours, Mask]:
    """An augmented texture of the image's size blended in where Perlin noise is high; else the image as it is."""
    height, width, _ = image.shape
    if texture.shape != image.shape:
        raise ValueError(f"the texture is {texture.shape} and the image {image.shape}: resize the texture first")
    if rng.random() >= probability:
        return image.copy(), np.zeros((height, width), bool)
    mask = perlin_mask(rng, height, width, threshold=threshold, exponents=exponents)
    share = np.float32(rng.uniform(*opacity))
    anomaly = augment(texture, rng)
    blend = (1 - share) * image + share * anomaly
    return np.where(mask[..., None], blend, image).astype(np.float32), mask
