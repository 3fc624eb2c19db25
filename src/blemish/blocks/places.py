"""Good parts remembered place by place."""

from __future__ import annotations

import torch
from torch import Tensor

from blemish.blocks.learned import Learned
from blemish.blocks.rows import Rows
from blemish.errors import BadInput


class PlaceMemory(Learned):
    """Grids (M, h, w, C) of unit vectors, one a good part: a place is compared with the same place of each."""

    grids: Tensor

    def __init__(self) -> None:
        super().__init__("grids: M h w C")

    def hold(self, *rows: Tensor) -> None:
        """Replace them."""
        self.store({"grids": rows[0]})

    def recall(self) -> Rows:
        """All of them."""
        return (self.grids,)

    def distance(self, places: Tensor) -> Tensor:
        """1 - the highest cosine: unit vectors (N, h, w, C) -> (N, h, w), in [0, 2].

        Raises NotFitted without a good part, and BadInput for another grid than theirs.
        """
        self.require()
        if places.shape[1:] != self.grids.shape[1:]:
            size, known = (" x ".join(map(str, each.shape[1:3])) for each in (places, self.grids))
            raise BadInput(f"this picture has {size} patches, and those of good parts have {known}: give the same size")
        cosines = [torch.einsum("nhwc,hwc->nhw", places, grid) for grid in self.grids]
        return 1 - torch.stack(cosines).amax(0)
