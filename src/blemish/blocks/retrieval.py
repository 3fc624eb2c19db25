"""Good parts found again as whole pictures, and their patches at the same place."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.learned import Learned
from blemish.blocks.rows import Rows
from blemish.errors import BadInput

CHUNK = 8
"""Pictures whose patches are compared at once."""


class Gallery(Learned):
    """Of each picture a vector (M, D) and the grid of every layer (M, h, w, C), all unit vectors."""

    def __init__(self, layers: int) -> None:
        super().__init__("whole: M D", *(f"grid{n}: M h{n} w{n} C{n}" for n in range(layers)))

    def hold(self, *rows: Tensor) -> None:
        """Replace what is known by these."""
        self.store(dict(zip(self.layout, rows, strict=True))) if len(rows[0]) else self.forget()

    def recall(self) -> Rows:
        """The vectors, and the grids of each layer."""
        return tuple(self.buffers())

    def nearest(self, whole: Tensor, k: int) -> Tensor:
        """Numbers of the k pictures, or of all if there are fewer, whose vectors are nearest: (N, D) -> (N, k)."""
        self.require()
        known = self.get_buffer("whole")
        return (F.normalize(whole, dim=-1) @ known.T).topk(min(k, len(known))).indices

    def distance(self, layer: int, patches: Tensor, pictures: Tensor, radius: int | None) -> Tensor:
        """1 - cosine of each picture's patches with the most alike of its numbered ones: (N, h, w, C), (N, k)
        -> (N, h, w).

        radius: how far from the same place they may be, in patches; None: anywhere. Raises BadInput for another grid.
        """
        known, query = self.get_buffer(f"grid{layer}"), F.normalize(patches, dim=-1)
        if radius is not None and query.shape[1:] != known.shape[1:]:
            raise BadInput(
                f"patch grid {tuple(query.shape[1:3])} differs from {tuple(known.shape[1:3])}, which was fitted: "
                "patches at the same place need pictures of one size and aspect"
            )
        if torch.compiler.is_exporting():  # a graph is for any number of pictures
            return 1 - _compare(query, known, pictures, radius)
        lots = zip(query.split(1), pictures.split(1), strict=True)
        return 1 - torch.cat([_compare(one, known, numbers, radius) for one, numbers in lots])


def _compare(query: Tensor, known: Tensor, pictures: Tensor, radius: int | None) -> Tensor:
    """The highest cosine of each place: (N, h, w, C), (M, h, w, C), (N, k) -> (N, h, w)."""
    around = None if radius is None else surroundings(query, radius)
    compare = partial(compare_anywhere, query) if around is None else partial(compare_around, around)
    found = torch.stack([compare(known[part]) for part in pictures.split(CHUNK, 1)]).amax(0)
    return found if radius is None else turn_back(found, radius)


def compare_anywhere(query: Tensor, grids: Tensor) -> Tensor:
    """The highest product of each place (N, h, w, C) with any of grids (N, k, h', w', C): (N, h, w)."""
    return (query.flatten(1, 2) @ grids.flatten(1, 3).mT).amax(-1).view(query.shape[:3])


def surroundings(query: Tensor, radius: int) -> Tensor:
    """The places (N, h, w, C) that are at each offset from each place, 0 outside: (N, h, w, offsets, C)."""
    side = 2 * radius + 1
    found = F.unfold(query.permute(0, 3, 1, 2), side, padding=radius)  # (N, C offsets, h w)
    split: Tensor = found.unflatten(1, (-1, side**2)).unflatten(-1, query.shape[1:3])
    return split.permute(0, 3, 4, 2, 1).contiguous()


def compare_around(queries: Tensor, grids: Tensor) -> Tensor:
    """The highest product of what is around each place (N, h, w, offsets, C) with it in grids (N, k, h, w, C):
    (N, h, w, offsets).
    """
    return (queries @ grids.permute(0, 2, 3, 4, 1)).amax(-1)


def turn_back(found: Tensor, radius: int) -> Tensor:
    """What was found of the query at each offset from a place (N, h, w, offsets) -> the highest of each: (N, h, w)."""
    (h, w), far = found.shape[1:3], 2 * radius
    padded = F.pad(found, (0, 0, *(radius,) * 4), value=-1.0)
    offsets = [(y, x) for y in range(far + 1) for x in range(far + 1)]
    each = [padded[:, far - y :, far - x :, y * (far + 1) + x][:, :h, :w] for y, x in offsets]
    return torch.stack(each).amax(0)
