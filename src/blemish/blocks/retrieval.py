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
        """1 - cosine of the patches (h, w, C) of one picture with the most alike of the numbered ones: (h, w).

        radius: how far from the same place they may be, in patches; None: anywhere. Raises BadInput for another grid.
        """
        known, query = self.get_buffer(f"grid{layer}"), F.normalize(patches, dim=-1)
        if radius is not None and query.shape != known.shape[1:]:
            raise BadInput(
                f"patch grid {tuple(query.shape[:2])} differs from {tuple(known.shape[1:3])}, which was fitted: "
                "patches at the same place need pictures of one size and aspect"
            )
        compare = (
            partial(compare_anywhere, query) if radius is None else partial(compare_around, surroundings(query, radius))
        )
        found = torch.stack([compare(known[part]) for part in pictures.split(CHUNK)]).amax(0)
        return 1 - (found if radius is None else turn_back(found, radius))


def compare_anywhere(query: Tensor, grids: Tensor) -> Tensor:
    """The highest product of each place (h, w, C) with any of grids (k, h', w', C): (h, w)."""
    return (query @ grids.flatten(0, 2).T).amax(-1)


def surroundings(query: Tensor, radius: int) -> Tensor:
    """The places (h, w, C) that are at each offset from each place, 0 outside: (h, w, offsets, C)."""
    (h, w, c), side = query.shape, 2 * radius + 1
    found = F.unfold(query.permute(2, 0, 1)[None], side, padding=radius)
    return found.view(c, side**2, h, w).permute(2, 3, 1, 0).contiguous()


def compare_around(queries: Tensor, grids: Tensor) -> Tensor:
    """The highest product of what is around each place (h, w, offsets, C) with it in grids (k, h, w, C):
    (h, w, offsets).
    """
    return (queries @ grids.permute(1, 2, 3, 0)).amax(-1)


def turn_back(found: Tensor, radius: int) -> Tensor:
    """What was found of the query at each offset from a place (h, w, offsets) -> the highest of each query: (h, w)."""
    (h, w), far = found.shape[:2], 2 * radius
    padded = F.pad(found, (0, 0, *(radius,) * 4), value=-1.0)
    each = [padded[far - y :, far - x :, y * (far + 1) + x][:h, :w] for y in range(far + 1) for x in range(far + 1)]
    return torch.stack(each).amax(0)
