"""Natural Synthetic Anomalies for Self-Supervised Anomaly Detection and Localization (NSA).

Schlueter, Tan, Hou, Kainz, ECCV 2022, arXiv:2109.15222. Patches of another normal picture, resized, are blended in by
Poisson's equation. "Shift-Intensity", with the intensity of the change as its label, is what TAB (Lee, Lai,
CVPRW 2024, arXiv:2312.09480) trains with.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from blemish.synth.drawn.scene import Colours, Mask, Plane
from blemish.synth.published.poisson import Gradients, poisson_blend

ATTEMPTS = 30  # places that are tried before an object is given up; the code tries without end
OBJECT_SHARE = 0.25  # of a patch, and of what it covers, that must show the object


def nsa(
    image: Colours,
    rng: np.random.Generator,
    *,
    source: Colours,
    patches: int = 3,
    width: tuple[float, float] = (0.03, 0.4),
    resize: tuple[float, float] = (0.7, 1.3),
    gradients: Gradients = "normal",
    background: tuple[float, float] | None = None,
    tolerance: float = 1 / 255,
) -> tuple[Colours, Mask]:
    """Up to `patches` patches of `source` blended in: the first always, each other by the toss of a coin.

    `width` bounds a patch's half sides and `resize` its factor; textures take 4 patches, (0.5, 2) and "mixed".
    `background` is the grey level of what is no object and how far it strays, both in [0, 1]; None: no background.
    The mask is where the picture changed by more than `tolerance`.
    """
    blended = image
    for number in range(patches):
        if number == 0 or rng.random() < 0.5:
            blended = _one_more(blended, rng, source, width, resize, gradients, background)
    return blended.copy(), _change(image, blended) > tolerance


def shift_intensity(image: Colours, rng: np.random.Generator, *, source: Colours) -> tuple[Colours, Mask]:
    """NSA as TAB uses it: patches land elsewhere than they come from, and normal gradients; see `intensity_label`."""
    return nsa(image, rng, source=source)


def intensity_label(image: Colours, blended: Colours, *, size: int = 5) -> Plane:
    """How much the picture changed, mean of the channels after a median filter: (H, W) in [0, 1]."""
    smooth: Plane = ndimage.median_filter(_change(image, blended), size)
    return smooth


def logistic_label(
    image: Colours, blended: Colours, *, steepness: float = 1 / 12, centre: float = 24.0, size: int = 5
) -> Plane:
    """1 / (1 + exp(-k (d - x0))) of the filtered change d in levels of 255, 0 where nothing changed: (H, W)."""
    levels = 255 * intensity_label(image, blended, size=size)
    label = 1 / (1 + np.exp(-steepness * (levels - centre)))
    return np.where(levels > 0, label, 0).astype(np.float32)


def _change(image: Colours, blended: Colours) -> Plane:
    change: Plane = np.abs(blended - image).mean(axis=-1)
    return change


def half_side(rng: np.random.Generator, room: int, bounds: tuple[float, float]) -> int:
    """Half of a patch's side, pixels: (0.03 + Gamma(2, 0.05)) of the picture's, within `bounds` of it."""
    return max(round(room * float(np.clip(0.03 + rng.gamma(2, 0.05), *bounds))), 1)


def _one_more(
    image: Colours,
    rng: np.random.Generator,
    source: Colours,
    width: tuple[float, float],
    resize: tuple[float, float],
    gradients: Gradients,
    background: tuple[float, float] | None,
) -> Colours:
    """The image with one patch more, or as it is if no place for one was found on the object."""
    target_object, source_object = _object(image, background), _object(source, background)
    for _ in range(ATTEMPTS):
        from_window = _window(rng, source.shape[:2], width)
        if source_object[from_window].mean() < OBJECT_SHARE:
            continue
        factor = float(np.clip(rng.normal(1, 0.5), *resize))
        patch = _resized(source[from_window], factor, image.shape[:2])
        inside = _resized(source_object[from_window].astype(np.float32), factor, image.shape[:2]) > 0.5
        top, left = (int(rng.integers(r - p + 1)) for r, p in zip(image.shape[:2], inside.shape, strict=True))
        to_window = np.s_[top : top + inside.shape[0], left : left + inside.shape[1]]
        there = target_object[to_window]
        if (inside & there).sum() < OBJECT_SHARE * max(there.sum(), inside.sum()):
            continue
        above, region = image.copy(), np.zeros(image.shape[:2], bool)
        above[to_window], region[to_window] = patch, inside | there
        return poisson_blend(image, above, region, gradients=gradients)
    return image


def _object(image: Colours, background: tuple[float, float] | None) -> Mask:
    if background is None:
        return np.ones(image.shape[:2], bool)
    level, spread = background
    shows: Mask = np.abs(image.mean(axis=-1) - level) >= spread
    return shows


def _window(rng: np.random.Generator, room: tuple[int, ...], bounds: tuple[float, float]) -> tuple[slice, slice]:
    """A patch about a random pixel, cut off at the picture's border."""
    rows, columns = (_stretch(rng, size, bounds) for size in room)
    return rows, columns


def _stretch(rng: np.random.Generator, room: int, bounds: tuple[float, float]) -> slice:
    half, middle = half_side(rng, room, bounds), int(rng.integers(room))
    return slice(max(middle - half, 0), min(middle + half, room))


def _resized(patch: Plane, factor: float, room: tuple[int, ...]) -> Plane:
    """Each side times `factor`, but no larger than the picture (H, W) or smaller than three pixels."""
    sizes = [
        int(np.clip(round(size * factor), min(3, limit), limit))
        for size, limit in zip(patch.shape[:2], room, strict=True)
    ]
    rows, columns = (
        (np.arange(size) + 0.5) * old / size - 0.5 for size, old in zip(sizes, patch.shape[:2], strict=True)
    )
    top, left = _between(rows, patch.shape[0]), _between(columns, patch.shape[1])
    down = patch[top[0]] + _beside(top[2], patch.ndim, 0) * (patch[top[1]] - patch[top[0]])
    across: Plane = down[:, left[0]] + _beside(left[2], patch.ndim, 1) * (down[:, left[1]] - down[:, left[0]])
    return across.astype(np.float32)


def _between(places: np.typing.NDArray[np.float64], size: int) -> tuple[Mask, Mask, Plane]:
    inside = np.clip(places, 0, size - 1)
    low = inside.astype(int)
    return low, np.minimum(low + 1, size - 1), (inside - low).astype(np.float32)


def _beside(shares: Plane, dimensions: int, axis: int) -> Plane:
    shape = [1] * dimensions
    shape[axis] = -1
    return shares.reshape(shape)
