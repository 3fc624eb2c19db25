"""Few good parts seen in other ways. Zhai et al., "Foundation Visual Encoders Are Secretly Few-Shot Anomaly Detectors",
ICLR 2026, arXiv:2510.01934; the shares and strengths are those of the authors' code.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from blemish.synth.drawn.scene import Colours
from blemish.synth.published.cutpaste import LUMA, color_jitter


def few_view(image: Colours, rng: np.random.Generator, *, orient: float = 0.3, appear: float = 0.3) -> Colours:
    """The part (H, W, 3), mirrored or turned with a probability `orient`, changed in its looks with one of `appear`."""
    seen = _turn(image, rng) if rng.random() < orient else image
    changed = _change(seen, rng) if rng.random() < appear else seen
    return np.ascontiguousarray(changed, np.float32)


def _turn(image: Colours, rng: np.random.Generator) -> Colours:
    """Mirrored along either axis, or by a quarter turn; of one that is no square by half a turn."""
    chosen = int(rng.integers(3))
    if chosen < 2:
        return np.flip(image, chosen)
    return np.rot90(image, int(rng.choice([1, 3])) if image.shape[0] == image.shape[1] else 2)


def _change(image: Colours, rng: np.random.Generator) -> Colours:
    """Its colours off, grey, or blurred by up to two pixels."""
    chosen = int(rng.integers(3))
    if chosen == 0:
        return color_jitter(image, rng, strength=0.3, hue=0.05)
    if chosen == 1:
        return np.repeat((image @ LUMA)[..., None], 3, 2)
    sigma = float(rng.uniform(0.1, 2.0))
    blurred: Colours = ndimage.gaussian_filter(image, (sigma, sigma, 0))
    return blurred
