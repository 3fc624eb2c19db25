"""UniCLIP-AD: one CLIP with low-rank updates for all parts. Reconstructed from the abstract."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from blemish import encoders
from blemish.blocks.low_rank import LowRank
from blemish.training.sentences import TOKENS, SentenceDetector
from blemish.types import Capability, Encoder, Features, SeamEncoder

INSIDE: tuple[Capability, ...] = ("seams",)


class UniCLIPAD(SentenceDetector):
    """A tower whose attention learns a little, for all products at once, against learned sentences.

    rank: of the updates of the matrices of queries, values and output in the last half of the blocks. 0: the tower
        stays as it is. It is trained on good parts of all products, each equally often, and made defects.
    The abstract says: LoRA, and one model for all parts of a vehicle's; ranks and places are chosen.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        rank: int = 8,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens, needs=INSIDE)
        self.rank, side = rank, self.encoder.patch_size
        tower = cast(SeamEncoder, self.encoder)
        blank, first = torch.zeros(1, 3, side, side), tower.depth // 2 + 1
        self.updating = LowRank(tower, blank, rank=rank, first=first, seed=seed) if rank else None
        self.requires_grad_(False).eval()

    def look(self, images: Tensor) -> Features:
        """Patches in the space of sentences, from a second stream as AnomalyCLIP's."""
        tower, depth = cast(SeamEncoder, self.encoder), self.encoder.depth
        last, changed = round(depth * 19 / 24), self.updating
        return tower(
            images, layers=[depth], projected=True, attention="vv", last=last, normed=False, matrices=changed
        )  # fmt: skip
