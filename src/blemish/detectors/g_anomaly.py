"""G-Anomaly: a pyramid of graph transformers over patches. Reconstructed from the abstract."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import draw_linear
from blemish.blocks.graphs import patch_graph, propagate
from blemish.training.sentences import TOKENS, FrozenSentenceDetector
from blemish.types import Encoder, Features

SCALES, BLOCKS, RESIDUAL, SMALL = 3, 2, 0.2, 0.1


class GAnomaly(FrozenSentenceDetector):
    """Patches at three scales, each scale a graph of like patches, against learned sentences at each.

    graph: two blocks of each scale mix a patch with its `neighbours` nearest ones, a fifth of what it was at first
        stays in each; else the blocks see each patch alone.
    The abstract says: a graph transformer pyramid as a visual encoder, matched with language at several resolutions,
    against over-smoothing. Its attention is that of the graph here.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        graph: bool = True,
        neighbours: int = 8,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.graph, self.neighbours = graph, neighbours
        generator, width = torch.Generator().manual_seed(seed), self.encoder.width
        self.maps = nn.ModuleList(draw_linear(width, width, generator) for _ in range(SCALES * BLOCKS))
        self.requires_grad_(False).eval()

    def adapt(self, seen: Features) -> Features:
        """The last layer at each scale, as its graph sees it."""
        grids = [F.normalize(seen.patches[-1], dim=-1)]
        for _ in range(SCALES - 1):
            coarser = F.avg_pool2d(grids[-1].movedim(-1, 1), 2, ceil_mode=True).movedim(1, -1)
            grids.append(F.normalize(coarser, dim=-1))
        return Features(seen.image, tuple(self._mix(scale, grid) for scale, grid in enumerate(grids)))

    def _mix(self, scale: int, grid: Tensor) -> Tensor:
        """(N, h, w, D) -> (N, h, w, D)."""
        first = found = grid.flatten(1, 2)
        edges = patch_graph(first, self.neighbours) if self.graph else None
        for block in range(BLOCKS):
            told = found if edges is None else propagate(edges, found, first, RESIDUAL)
            found = told + SMALL * F.gelu(self.maps[scale * BLOCKS + block](told))
        return found.view_as(grid)
