"""Good parts found again as whole pictures, and their patches at the same place."""

from __future__ import annotations

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
        parts = [known[part] for part in pictures.split(CHUNK)]
        return 1 - torch.stack([most_alike(query, part, radius) for part in parts]).amax(0)


def most_alike(query: Tensor, grids: Tensor, radius: int | None) -> Tensor:
    """The highest product of each place (h, w, C) with places of grids (k, h, w, C), see `Gallery.distance`: (h, w)."""
    if radius is None:
        return (query @ grids.flatten(0, 2).T).amax(-1)
    (h, w, c), side = query.shape, 2 * radius + 1
    around = F.unfold(query.permute(2, 0, 1)[None], side, padding=radius)[0].view(c, side**2, h * w)
    products = around.permute(2, 1, 0) @ grids.flatten(1, 2).permute(1, 2, 0)  # (h w, side^2, k)
    found = F.pad(products.amax(-1).T.view(side, side, h, w), (radius,) * 4, value=-1.0)
    # What a place is compared with at an offset stands at the other end of that offset.
    shifts = [(y, x) for y in range(side) for x in range(side)]
    back = [found[y, x, 2 * radius - y :, 2 * radius - x :][:h, :w] for y, x in shifts]
    return torch.stack(back).amax(0)
