"""Shown defects: where a picture resembles one of them more than it resembles any good part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.memory import MemoryBank
from blemish.blocks.patches import join_layers
from blemish.types import Attention, Between, Encoder, Features, Matrices, SeamEncoder

QUANTILE = 0.999
PATCHES_AT_ONCE = 4096
"""Good patches compared at once, however many there are."""


class Match(NamedTuple):
    """How much each patch is like a shown defect, and which one."""

    amount: Tensor  # (...), in [0, 1]: 0 where a good patch is as near, 1 where it is the defect itself
    row: Tensor  # (...), the number of the nearest defect patch


class Exemplars(nn.Module):
    """Patches of shown defects (K, D), and of good parts for contrast (M, D).

    A patch counts as like a defect from where it is nearer to it than to any good patch by `margin`, in 1 - cos.
    """

    def __init__(self, defects: Tensor, good: Tensor, margin: float) -> None:
        super().__init__()
        self.margin = margin
        self.defects, self.good = MemoryBank(), MemoryBank()
        self.defects.hold(defects)
        self.good.hold(good)

    def forward(self, patches: Tensor) -> Match:
        """Of patches (..., D), as `patch_descriptors` returns them."""
        near, row = (found.squeeze(-1) for found in self.defects.nearest(patches))
        far = self.good.distance(patches).clamp_min(torch.finfo(patches.dtype).tiny)
        return Match(((far - near - self.margin) / far).clamp(0, 1), row)


def layers_of(encoder: Encoder) -> tuple[int, int]:
    """Those that describe a patch: at a half and three quarters of the depth."""
    return encoder.depth // 2, encoder.depth * 3 // 4


def patch_descriptors(encoder: Encoder, images: Tensor) -> Tensor:
    """Unit features of patches, each on its own: (N, h, w, D)."""
    found = encoder(images, layers=layers_of(encoder)).patches
    return F.normalize(join_layers([F.normalize(patches, dim=-1) for patches in found]), dim=-1)


class CachedEncoder(nn.Module):
    """An encoder that looks at images once between two calls of `clear`, for whoever asks for its layers.

    kept: layers that somebody will ask for later.
    """

    def __init__(self, encoder: Encoder, kept: Sequence[int] = ()) -> None:
        super().__init__()
        self.encoder, self.kept = encoder, kept
        self.name, self.sha256, self.can = encoder.name, encoder.sha256, encoder.can
        self.image_size, self.patch_size = encoder.image_size, encoder.patch_size
        self.depth, self.width, self.widths = encoder.depth, encoder.width, encoder.widths
        self.clear()

    def clear(self) -> None:
        """Forget what was seen: the same tensor may hold other images now."""
        self._seen: tuple[Tensor, Tensor, dict[int, Tensor]] | None = None

    def forward(
        self,
        images: Tensor,
        *,
        layers: Sequence[int] = (),
        projected: bool = False,
        attention: Attention = "qkv",
        last: int = 0,
        between: Between | None = None,
        extra: Mapping[int, Tensor] | None = None,
        normed: bool = True,
        matrices: Matrices | None = None,
    ) -> Features:
        """As the encoder's own, which is asked each time for what differs from its plain layers."""
        if projected or last or attention != "qkv" or between is not None or extra or not normed or matrices:
            return cast(SeamEncoder, self.encoder)(
                images, layers=layers, projected=projected, attention=attention,
                last=last, between=between, extra=extra, normed=normed, matrices=matrices,
            )  # fmt: skip
        if self._seen is None or self._seen[0] is not images or not set(layers) <= set(self._seen[2]):
            wanted = sorted({*layers, *layers_of(self), *self.kept})
            image, patches = self.encoder(images, layers=wanted)
            self._seen = images, image, dict(zip(wanted, patches, strict=True))
        return Features(self._seen[1], tuple(self._seen[2][layer] for layer in layers))

    def __getattr__(self, name: str) -> Any:
        """What else the encoder has: sentences and windows, if it can read and has them."""
        if name == "encoder" or name.startswith("_"):
            return super().__getattr__(name)
        return getattr(self.encoder, name)


def margin(good: Tensor, pictures: Tensor, defects: Tensor) -> float:
    """How much nearer to a defect than to the good patches of other pictures good patches (M, D) are at most, in
    1 - cos; all but 1 of 1,000 of them, never below 0. `pictures` (M,) says which one a patch is of.
    """
    if len(pictures.unique()) < 2:
        return 0.0
    excess = torch.cat(
        [
            (part @ defects.T).amax(1) - (part @ good.T).masked_fill_(owners[:, None] == pictures, -1).amax(1)
            for part, owners in zip(good.split(PATCHES_AT_ONCE), pictures.split(PATCHES_AT_ONCE), strict=True)
        ]
    )
    return max(0.0, float(torch.quantile(excess, QUANTILE, interpolation="higher")))
