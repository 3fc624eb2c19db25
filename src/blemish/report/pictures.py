"""Pictures and maps made small enough to be kept by the thousand."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.classification.regions import inside_region
from blemish.report.items import Encoded, Heat, TypeMap
from blemish.runs.decision import TypedRegion

SMALL, LARGE = 128, 800
"""Longest sides of a picture in the gallery and of one that can be looked into, pixels."""
HEAT_SMALL, HEAT_LARGE = 32, 160
"""Longest sides of their maps."""
SMALL_BYTES, LARGE_BYTES = 4096, 98304
"""What one of them takes at most; a large one that is noise all over takes more."""
DIMMED = 0.4  # brightness of what was not inspected, as in an overlay


def shrink(picture: NDArray[Any]) -> Image.Image:
    """A picture (3, H, W), at most LARGE, in 8 bits."""
    pixels = picture if picture.dtype == np.uint8 else np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, 2)))
    image.thumbnail((LARGE, LARGE), reducing_gap=2.0)
    return image


def grey_out(picture: NDArray[Any], anomaly_map: NDArray[Any]) -> Image.Image:
    """As `shrink`, and dark grey where the map (H, W) is NaN, which was not inspected."""
    image = shrink(picture)
    unseen = np.isnan(_sampled(anomaly_map, (image.height, image.width)))
    if not unseen.any():
        return image
    grey = image.convert("L").point([round(DIMMED * value) for value in range(256)]).convert("RGB")
    return Image.composite(grey, image, Image.fromarray(unseen))


def small(image: Image.Image, *, side: int = SMALL) -> bytes:
    """WebP of at most SMALL_BYTES: noise, which does not compress, loses quality and then size."""
    less = image.convert("RGB")
    less.thumbnail((side, side), reducing_gap=2.0)
    tries = (_webp(less, quality) for quality in (72, 48, 24, 8))
    found = next((data for data in tries if len(data) <= SMALL_BYTES), None)
    return found if found is not None else small(image, side=side // 2)


def large(image: Image.Image) -> bytes:
    """WebP of at most LARGE pixels, as good as LARGE_BYTES allow."""
    less = image.convert("RGB")
    less.thumbnail((LARGE, LARGE), reducing_gap=2.0)
    fine = _webp(less, 93)
    return fine if len(fine) <= LARGE_BYTES else _webp(less, 75)


def heat(anomaly_map: NDArray[Any], side: int) -> tuple[bytes, Heat]:
    """A map (H, W) as a grey PNG, and the scores of its black, of its middle and of its white.

    Each of its pixels is the highest of those it stands for, so that no small defect is averaged away. What was not
    inspected is black.
    """
    height, width = anomaly_map.shape
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    scores = _highest(_highest(anomaly_map, size[0]).T, size[1]).T
    finite = np.sort(scores[np.isfinite(scores)]) if np.isfinite(scores).any() else np.zeros(1)
    low, middle, high = (float(finite[at]) for at in (0, (len(finite) - 1) // 2, -1))
    share = np.clip((np.where(np.isnan(scores), low, scores) - low) / max(high - low, 1e-12), 0, 1)
    return _png(Image.fromarray(np.rint(share * 255).astype(np.uint8))), (low, middle, high)


def _highest(values: NDArray[Any], target: int) -> NDArray[Any]:
    """Of the rows (H, W) that each of `target` covers, at least in part: NaN only where all of them are."""
    numbers, length = np.arange(target), len(values)
    ends = np.stack([numbers * length // target, -(-(numbers + 1) * length // target)], 1).reshape(-1)
    padded = np.concatenate([values, values[-1:]])  # an end may be the length
    return np.asarray(np.fmax.reduceat(padded, ends, axis=0)[::2])


def encode_large(
    image: Image.Image,
    anomaly_map: NDArray[Any] | None,
    mask: NDArray[np.bool_] | None,
    maps: Mapping[str, NDArray[Any]],
) -> Encoded:
    """A large picture with its map, if there is one, where a defect is labelled its mask (H, W), and maps of types."""
    marked = b"" if mask is None else truth(mask)
    least = 0.0 if anomaly_map is None or np.isnan(anomaly_map).all() else float(np.nanmin(anomaly_map))
    typed = [TypeMap(name, *heat(np.where(np.isnan(each), least, each), HEAT_LARGE)) for name, each in maps.items()]
    overlay, scores = (b"", None) if anomaly_map is None else heat(anomaly_map, HEAT_LARGE)
    return Encoded(large(image), overlay, scores, marked, typed)


def split_map(
    anomaly_map: NDArray[Any], type_map: NDArray[Any] | None, types: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """The map (H, W) of each type that is there, NaN where another one is or none."""
    if type_map is None:
        return {}
    there = [number for number in np.unique(type_map).tolist() if 0 <= number < len(types)]
    return {types[number]: np.where(type_map == number, anomaly_map, np.nan) for number in there}


def map_regions(anomaly_map: NDArray[Any], regions: Sequence[TypedRegion]) -> dict[str, NDArray[Any]]:
    """The map (H, W) of each type by which a classifier called regions, the worst first, NaN outside these."""
    found = dict[str, NDArray[Any]]()
    for each in regions:
        if each.type and each.named:
            inside = inside_region(anomaly_map, each.region).of_picture(anomaly_map.shape)
            own = found.setdefault(each.type, np.full_like(anomaly_map, np.nan))
            own[inside] = anomaly_map[inside]
    return found


def truth(mask: NDArray[np.bool_]) -> bytes:
    """A mask (H, W) as a black and white PNG of at most LARGE / 2 pixels."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    image.thumbnail((LARGE // 2, LARGE // 2), Image.Resampling.BOX)
    return _png(image.point([0] + [255] * 255).convert("1"))


def _sampled(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Every so many rows and columns of (H, W)."""
    rows, columns = (
        np.rint(np.linspace(0, whole - 1, part)).astype(np.int64)
        for whole, part in zip(values.shape, size, strict=True)
    )
    return values[rows][:, columns]


def _webp(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
