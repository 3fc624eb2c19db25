"""A detector that has been shown defects: what resembles one of them scores higher, and its type has a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from blemish.blocks.exemplars import CachedEncoder, Exemplars, patch_descriptors
from blemish.blocks.maps import maximum, upsample
from blemish.inspection import View, prepare
from blemish.types import Detector, Prediction

ROWS, OF, SPREAD, PICTURES, MARGIN = (
    "shown.rows",  # (K, D), patches of defects
    "shown.of",  # (K,), the picture of each, as `number`
    "shown.spread",  # (P,), of each picture, how far its good patches' scores reach above their median
    "shown.pictures",  # (P,)
    "shown.margin",  # (), see `blocks.exemplars.Exemplars`
)
GOOD_ROWS, GOOD_OF = "contrast.rows", "contrast.of"
"""(M, D), patches of good parts, and of shown pictures beside the defect; (M,), the picture of each."""

GAIN = 2.0
"""How far the likeness to a shown defect lifts a score at most, in units of the spread of good patches' scores."""


def number(identifier: str) -> int:
    """A picture's id, 12 hex digits, as tensors keep it."""
    return int(identifier, 16)


class WithKnownDefects(nn.Module):
    """The detector, and on top of its map `gain` times the resemblance to a shown defect; no score is ever lowered.

    image_score: the detector's, and what the highest value of its map has risen by.
    """

    def __init__(
        self, detector: Detector, encoder: CachedEncoder, exemplars: Exemplars, gain: float, types: Sequence[str]
    ) -> None:
        super().__init__()
        self.detector, self.encoder, self.exemplars = detector, encoder, exemplars
        self.gain, self.types = gain, types  # the type of each of the exemplars' defect patches
        self.geometry = detector.geometry

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in the detector's own units."""
        self.encoder.clear()
        found = self.raised(self.detector(images), patch_descriptors(self.encoder, images))
        self.encoder.clear()
        return found

    def raised(self, found: Prediction, patches: Tensor) -> Prediction:
        """What the detector found, raised where the patches (N, h, w, D) are like a shown defect."""
        score, anomaly_map = found.image_score, found.anomaly_map
        amount = self.exemplars(patches).amount  # (N, h, w)
        raised = anomaly_map + self.gain * upsample(amount, anomaly_map.shape[-2:])
        return found._replace(image_score=score + (maximum(raised) - maximum(anomaly_map)), anomaly_map=raised)

    def types_at(self, image: Tensor, points: Sequence[tuple[float, float]]) -> list[str | None]:
        """The type that an input (3, H, W) resembles at each (x, y), as shares of its sides; None: no shown defect."""
        self.encoder.clear()
        amount, row = (grid[0] for grid in self.exemplars(patch_descriptors(self.encoder, image[None])))
        height, width = amount.shape
        cells = [(min(int(y * height), height - 1), min(int(x * width), width - 1)) for x, y in points]
        return [self.types[int(row[cell])] if amount[cell] > 0 else None for cell in cells]


def with_known_defects(
    detector: Detector, encoder: CachedEncoder, tensors: Mapping[str, Tensor], kinds: Mapping[int, str]
) -> WithKnownDefects:
    """The detector, which sees by that encoder, with the defects of a recipe's tensors; `kinds` names their types.

    Raises ValueError or KeyError for tensors that do not agree.
    """
    for names, axes in ((ROWS, GOOD_ROWS), 2), ((OF, GOOD_OF, SPREAD, PICTURES), 1), ((MARGIN,), 0):
        if any(tensors[name].ndim != axes for name in names):
            raise ValueError(f"shapes of {' and '.join(names)}")
    if len(tensors[OF]) != len(tensors[ROWS]):
        raise ValueError(f"lengths of {OF} and {ROWS}")
    exemplars = Exemplars(tensors[ROWS], tensors[GOOD_ROWS], float(tensors[MARGIN]))
    types = [kinds[picture] for picture in tensors[OF].tolist()]
    return WithKnownDefects(detector, encoder, exemplars, GAIN * float(tensors[SPREAD].mean()), types)


def types_in(detector: Detector, path: Path, view: View, points: Sequence[tuple[int, int]]) -> list[str | None]:
    """The type of the shown defect that the picture resembles at each of its pixels (x, y), None where none.

    Reads the picture again; only the tiles with a point in them are looked at.
    """
    if not isinstance(detector, WithKnownDefects) or not points:
        return [None] * len(points)
    prepared = prepare(path, detector.geometry, view)
    left, top = (view.region.x, view.region.y) if view.region else (0, 0)
    found: dict[int, str | None] = {}
    for box, image in zip(prepared.boxes, prepared.inputs, strict=True):
        side = (view.tile or box.width, view.tile or box.height)
        shares = {
            at: ((x - left - box.x + 0.5) / side[0], (y - top - box.y + 0.5) / side[1])
            for at, (x, y) in enumerate(points)
            if found.get(at) is None and 0 <= x - left - box.x < box.width and 0 <= y - top - box.y < box.height
        }
        if shares:
            with torch.inference_mode():
                found |= zip(shares, detector.types_at(image, list(shares.values())), strict=True)
    return [found.get(at) for at in range(len(points))]
