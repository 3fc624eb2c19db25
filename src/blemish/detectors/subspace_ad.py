"""SubspaceAD. Lendering et al., "SubspaceAD: Training-Free Few-Shot Anomaly Detection via Subspace Modeling",
CVPR 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Self

import torch
from torch import Tensor, nn

from blemish import encoders
from blemish.blocks.density import Subspace
from blemish.blocks.learned import Learned
from blemish.blocks.maps import fuse_mean, smooth, top_mean, upsample
from blemish.blocks.moments import Merged, Moments, settled
from blemish.blocks.patches import join_layers
from blemish.blocks.rotation import rotate, turned_while_few
from blemish.types import Encoder, Geometry, Prediction


class SubspaceAD(nn.Module):
    """Squared distance of each patch to the principal subspace of normal patches.

    image_score: mean of the highest 1 % of the map.
    layers: averaged; by default the same share of the depth as the paper's 22 to 28 of 40. Deviation: those of a
        residual network, which the paper does not use, differ in width and stand side by side.
    turns: random rotations of each good part beside itself, drawn by `seed`, as long as there are at most `few` parts:
        the paper learns from up to 4.
    """

    lessons = (tuple(f"taught.{name}" for name in Moments._fields),)

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        variance: float = 0.99,
        turns: int = 30,
        few: int = 16,
        sigma: float = 4.0,
        image_size: int = 672,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load(encoder)
        self.layers, self.variance, self.turns, self.few = layers, variance, turns, few
        self.sigma, self.image_size, self.seed = sigma, image_size, seed
        self.geometry = Geometry(image_size, multiple=self.encoder.patch_size)
        self.subspace = Subspace()
        # Not of fit(): the sums of each picture, and those of pictures that were merged.
        self.taught = Learned("number: N", "first: N D", "second: N D D", dtype=torch.float64)
        self.merged = Merged()

    @torch.inference_mode()
    def fit(self, batches: Iterable[Tensor]) -> Self:
        """Find the directions in which the patches of good parts vary; one pass, in constant memory."""
        self.subspace.learn((self._patches(images).flatten(0, 2) for images in self._views(batches)), self.variance)
        self.taught.forget()
        self.merged.forget()
        return self

    def _views(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(self.seed)

        def turns(images: Tensor) -> Iterator[Tensor]:
            for angles in torch.rand(len(images), self.turns, generator=generator).T * 360:
                yield torch.cat([rotate(image[None], float(a)) for image, a in zip(images, angles, strict=True)])

        return turned_while_few(batches, self.few, turns)

    @torch.inference_mode()
    def study(self, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """The sums of each image's patches, turned as well unless there are more than `few` images."""
        grids = (self._patches(view).flatten(1, 2).double() for view in self._views([images]))  # (N, h * w, D)
        none = torch.zeros(len(images), dtype=torch.float64, device=images.device)
        sums = ((none + rows.shape[1], rows.sum(1), rows.mT @ rows) for rows in grids)
        return (reduce(lambda one, other: tuple(map(torch.add, one, other)), sums),)

    def settle(self) -> None:
        """Find the subspace of the sums that were taught, and of those that were merged."""
        self.subspace.settle(*settled(self.merged.plus(map(Moments, *self._sums()))), self.variance)

    def merge(self, count: int) -> int:
        """Add up the `count` oldest sums for good."""
        sums = self._sums()
        self.merged.merge(map(Moments, *(rows[:count] for rows in sums)))
        self.taught.store(Moments(*(rows[count:] for rows in sums))._asdict())
        return count

    def _sums(self) -> list[Tensor]:
        return [self.taught.get_buffer(name) for name in Moments._fields]

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in squared distances."""
        grid = self.subspace.residual(self._patches(images))  # (N, h, w)
        # The authors' blur is a 3 x 3 window of a Gaussian of this deviation.
        anomaly_map = smooth(upsample(grid, images.shape[-2:]), self.sigma, radius=1)
        return Prediction(top_mean(anomaly_map, 0.01), anomaly_map)

    def _patches(self, images: Tensor) -> Tensor:
        layers = self.layers or relative_layers(self.encoder.depth, 0.55, 0.7)
        found = self.encoder(images, layers=layers).patches
        return fuse_mean(*found) if len({patches.shape for patches in found}) == 1 else join_layers(found)


def relative_layers(depth: int, first: float, last: float) -> tuple[int, ...]:
    """Every layer between two fractions of the depth, at least one: (12, .5, .75) -> (6, 7, 8, 9)."""
    low = max(1, round(depth * first))
    return tuple(range(low, max(low, round(depth * last)) + 1))
