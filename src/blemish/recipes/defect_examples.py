"""From pictures to what `known_defects` compares with: patches of defects, and of good parts for contrast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.coreset import coreset
from blemish.blocks.exemplars import margin, patch_descriptors
from blemish.data.masks import read_ground_truth
from blemish.encoders.inputs import as_tensor, device_of, predict
from blemish.errors import BadImage
from blemish.images import View, area, crop, cut, scale
from blemish.inspection import Prepared
from blemish.recipes.known_defects import GOOD_OF, GOOD_ROWS, MARGIN, OF, PICTURES, ROWS, SPREAD
from blemish.types import Detector, Encoder

COVERED = 0.25
"""A patch is of the defect if its share of the mask is at least that of the best covered patch times this."""
MOST_ANOMALOUS = 0.01
"""Share of the patches that count as the defect where there is no mask, at least `FEWEST`."""
FEWEST = 3
DEFECT_ROWS, SURROUNDING_ROWS = 256, 512
"""Patches kept at most of one shown picture."""
CONTRAST_ROWS, FIRST_ROWS, MORE_ROWS = 4096, 2048, 256
"""Patches of good parts kept for contrast at most: in all, of the first parts, of each lot that comes later."""


class Example(NamedTuple):
    """What a picture of a defect shows."""

    defect: Tensor  # (K, D)
    good: Tensor  # (M, D)
    spread: float  # of the detector's scores over good patches: highest less median


@torch.no_grad()
def example(
    detector: Detector, encoder: Encoder, path: Path, prepared: Prepared, view: View, mask: Path | None
) -> Example:
    """The patches of the defect, which the mask shows or else the detector finds most anomalous, and good ones."""
    rows, scores, shares = [], [], []
    pieces = [None] * len(prepared.boxes) if mask is None else _pieces(mask, path, prepared, view)
    for image, piece in zip(map(as_tensor, prepared.inputs), pieces, strict=True):
        grid = _described(encoder, image[None])[0]
        anomaly_map = predict(detector, image[None]).anomaly_map
        size = (grid.shape[0], grid.shape[1])
        rows.append(grid.flatten(0, 1))
        scores.append(F.adaptive_avg_pool2d(anomaly_map, size).flatten())
        shares += [] if piece is None else [torch.from_numpy(scale(piece[0], size, area)).flatten()]
    patches, score = torch.cat(rows), torch.cat(scores)
    defect, good, rest = _by_score(score) if mask is None else _by_mask(torch.cat(shares), mask, path)
    spread = float(score[rest].max() - score[rest].median()) if rest.any() else 0.0
    return Example(_few(patches[defect], DEFECT_ROWS), _few(patches[good], SURROUNDING_ROWS), spread)


def _pieces(mask: Path, path: Path, prepared: Prepared, view: View) -> Iterator[NDArray[np.bool_]]:
    """The mask as the detector's inputs are cut, (1, h, w)."""
    whole = read_ground_truth((mask,), path)[None]
    part = whole if view.region is None else crop(whole, view.region)
    if view.tile is None:
        return iter([part])
    if view.balance is None:
        return cut(part, prepared.boxes, view.tile)
    return chain([part], cut(part, prepared.boxes[1:], view.tile))


def _by_mask(shares: Tensor, mask: Path, path: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Bool (P,): patches of the defect, good ones, and all that are not of the defect."""
    if not shares.any():
        raise BadImage(f"{mask} marks nothing of what is inspected of {path}: paint the defect white, or leave it out")
    return shares >= COVERED * shares.max(), shares == 0, shares == 0


def _by_score(scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same by the detector's scores; as good counts only what it finds less anomalous than most patches."""
    count = min(len(scores), max(FEWEST, round(MOST_ANOMALOUS * len(scores))))
    defect = scores >= scores.topk(count).values[-1]
    return defect, (scores <= scores.median()) & ~defect, ~defect


def contrast(encoder: Encoder, images: Tensor, pictures: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """All patches (N * h * w, D) of good parts, and the picture of each; nothing for no image."""
    if not len(images):
        return []
    with torch.no_grad():
        rows = _described(encoder, images).flatten(1, 2)  # (N, h * w, D)
    return [(rows.flatten(0, 1), torch.tensor(pictures).repeat_interleave(rows.shape[1]))]


def _described(encoder: Encoder, images: Tensor) -> Tensor:
    """Patches (N, h, w, D) of images anywhere, brought back."""
    return patch_descriptors(encoder, images.to(device_of(encoder))).cpu()


def with_contrast(tensors: Mapping[str, Tensor], found: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """The tensors with more patches of good parts, as long as there is room for them."""
    there = len(tensors[GOOD_ROWS]) if GOOD_ROWS in tensors else 0
    count = min(MORE_ROWS if there else FIRST_ROWS, CONTRAST_ROWS - there)
    if not found or count <= 0:
        return dict(tensors)
    rows, pictures = (torch.cat(each) for each in zip(*found, strict=True))
    kept = coreset(rows, count, generator=torch.Generator().manual_seed(0))
    return _append(tensors, {GOOD_ROWS: rows[kept], GOOD_OF: pictures[kept]})


def with_example(tensors: Mapping[str, Tensor], shown: Example, picture: int) -> dict[str, Tensor]:
    """The tensors with one more picture of a defect."""
    return _append(
        tensors,
        {
            ROWS: shown.defect,
            OF: torch.full((len(shown.defect),), picture),
            SPREAD: torch.tensor([shown.spread], dtype=torch.float64),
            PICTURES: torch.tensor([picture]),
            GOOD_ROWS: shown.good,
            GOOD_OF: torch.full((len(shown.good),), picture),
        },
    )


def remove_pictures(tensors: Mapping[str, Tensor], pictures: set[int]) -> dict[str, Tensor]:
    """The tensors without the patches of these pictures; without any shown defect nothing of them is left."""
    gone, left = torch.tensor(sorted(pictures), dtype=torch.int64), dict(tensors)
    for owner, names in ((OF, (ROWS, OF)), (PICTURES, (SPREAD, PICTURES)), (GOOD_OF, (GOOD_ROWS, GOOD_OF))):
        if owner in tensors:
            stays = ~torch.isin(tensors[owner], gone)
            left |= {name: tensors[name][stays] for name in names}
    empty = {name for name in (ROWS, OF, SPREAD, PICTURES, GOOD_ROWS, GOOD_OF) if name in left and not len(left[name])}
    return {name: tensor for name, tensor in left.items() if name not in empty}


def with_margin(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with the margin that their patches ask for, and without one if no defect is shown."""
    rest = {name: tensor for name, tensor in tensors.items() if name != MARGIN}
    if ROWS not in rest:
        return rest
    return rest | {MARGIN: torch.tensor(margin(rest[GOOD_ROWS], rest[GOOD_OF], rest[ROWS]), dtype=torch.float64)}


def _few(rows: Tensor, count: int) -> Tensor:
    return rows if len(rows) <= count else rows[coreset(rows, count, generator=torch.Generator().manual_seed(0))]


def _append(tensors: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
    joined = {name: torch.cat([tensors[name], rows]) if name in tensors else rows for name, rows in more.items()}
    return {**tensors, **joined}
