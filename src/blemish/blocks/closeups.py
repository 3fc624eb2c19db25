"""Parts of a picture that are looked at again at full size, and what they change in its map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from blemish.images import Region
from blemish.types import Batch, Encoder, Features

LEAST = 1 / 3  # of the side, which a close-up shows
MOST = 2 / 3
SEAM = 8  # a close-up fades out over this part of its side


class Closeup(NamedTuple):
    """A rectangle of one picture of a batch, of the picture's own shape."""

    picture: int
    region: Region


def closeups_of_peaks(maps: Tensor, level: float, *, most: int) -> list[Closeup]:
    """Round the `most` worst regions of each map (N, H, W) that reach `level`, each a third of the side or more."""
    height, width = maps.shape[1:]
    found = []
    for picture, scores in enumerate(maps.detach().cpu().numpy()):
        labels, count = ndimage.label(scores >= level, structure=np.ones((3, 3)))
        worst = np.argsort(-ndimage.maximum(scores, labels, np.arange(1, count + 1)), kind="stable")[:most]
        boxes = ndimage.find_objects(labels)
        for down, right in (boxes[number] for number in worst):
            share = max(LEAST, (down.stop - down.start) / height, (right.stop - right.start) / width)
            middle = (right.start + right.stop) / 2, (down.start + down.stop) / 2
            found.append(Closeup(picture, _place(middle, share, width, height)))
    return found


def closeups_of_truth(masks: Tensor, generator: torch.Generator) -> list[Closeup]:
    """One of each picture, a third to two thirds of its side, round a pixel of its mask (N, H, W) if there is one."""
    height, width = masks.shape[1:]
    found = []
    for picture, mask in enumerate(masks):
        share, right, down, which = torch.rand(4, generator=generator).tolist()
        marked = mask.nonzero()
        y, x = marked[int(which * len(marked))].tolist() if len(marked) else (down * height, right * width)
        share = LEAST + (MOST - LEAST) * share
        middle = x + (right - 0.5) * share * width, y + (down - 0.5) * share * height
        found.append(Closeup(picture, _place(middle, share, width, height)))
    return found


def look_closer(images: Tensor, closeups: Sequence[Closeup]) -> Tensor:
    """Each close-up at the size of the pictures: (N, C, H, W) -> (M, C, H, W), bilinear."""
    size = list(images.shape[-2:])
    parts = [_cut(images[each.picture], each.region)[None] for each in closeups]
    return torch.cat([F.interpolate(part, size, mode="bilinear", align_corners=False) for part in parts])


def look_at_truth(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A close-up of each picture (N, 3, H, W) that `closeups_of_truth` draws, and of its mask (N, H, W), bool."""
    closeups = closeups_of_truth(masks, generator)
    return look_closer(images, closeups), look_closer(masks[:, None].float(), closeups)[:, 0] >= 0.5


def closeup_batch(batch: Batch) -> Batch:
    """The close-ups of a batch of which the masks are known: those that came with it, or else new ones."""
    if batch.near is not None or batch.masks is None:
        return batch.near or batch
    images, masks = look_at_truth(batch.images, batch.masks, torch.default_generator)
    return replace(batch, images=images, masks=masks, features=None)


def blend_closeups(maps: Tensor, closer: Tensor, closeups: Sequence[Closeup]) -> Tensor:
    """The maps (N, H, W), and inside each close-up their geometric mean with its own map (M, H, W), both in [0, 1].

    Toward a seam the close-up fades out by half a cosine; there is no seam at the border of the picture.
    """
    out = maps.clone()
    for each, near in zip(closeups, closer, strict=True):
        size = each.region.height, each.region.width
        found = F.interpolate(near[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        far, into = _cut(maps[each.picture], each.region), _cut(out[each.picture], each.region)
        into += _window(each.region, maps.shape[1:]).to(maps) * ((far * found).sqrt() - into)
    return out


@torch.no_grad()
def view_pictures(other: Encoder | None, images: Tensor, own: Tensor) -> Tensor:
    """Embeddings of whole pictures, (N, D): by another encoder, at the size it was trained at, if there is one."""
    if other is None:
        return own
    size = [other.image_size] * 2
    return other(F.interpolate(images, size, mode="bilinear", align_corners=False)).image


def view_defects(frozen: Callable[[Tensor], Features], batch: Batch, marked: Tensor, whole: Tensor) -> Tensor:
    """Embeddings (N, D) that a frozen tower has of a close-up where `marked`, bool (N,), else `whole`."""
    if not marked.any():
        return whole
    closer = closeup_batch(batch)
    seen = closer.features.image[marked] if closer.features else frozen(closer.images[marked]).image
    return whole.index_put((marked,), seen)


def _place(middle: tuple[float, float], share: float, width: int, height: int) -> Region:
    """The rectangle of that share of both sides round (x, y), moved inside the picture."""
    wide, high = min(width, round(share * width)), min(height, round(share * height))
    x, y = (round(at - side / 2) for at, side in zip(middle, (wide, high), strict=True))
    return Region(min(max(x, 0), width - wide), min(max(y, 0), height - high), wide, high)


def _cut(tensor: Tensor, region: Region) -> Tensor:
    return tensor[..., region.y : region.y + region.height, region.x : region.x + region.width]


def _window(region: Region, size: Sequence[int]) -> Tensor:
    down = _fade(region.height, region.y > 0, region.y + region.height < size[0])
    return down[:, None] * _fade(region.width, region.x > 0, region.x + region.width < size[1])


def _fade(length: int, before: bool, after: bool) -> Tensor:
    """1 in the middle, and toward each end that is a seam half a cosine to 0."""
    at, reach = torch.arange(length) + 0.5, max(1.0, length / SEAM)
    ends = [at if before else at + reach, length - at if after else length - at + reach]
    ramps = [(1 - (torch.pi * (end / reach).clamp(max=1)).cos()) / 2 for end in ends]
    return ramps[0] * ramps[1]
