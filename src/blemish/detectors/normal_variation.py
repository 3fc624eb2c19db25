"""Normal-variation-aware multi-prompt CLIP. Reconstructed from a fragment of the abstract."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.competition import NeighbourUnit, beat_best_normal, lack_of_variety
from blemish.training.sentences import SUFFIXES, TEMPERATURE, TOKENS, FrozenSentenceDetector, Judged
from blemish.types import Batch, Encoder, Features

VARIETY = 0.1  # of what the normal sentences have in common


class NormalVariation(FrozenSentenceDetector):
    """Several normal sentences of learned words and an anomalous one: the best fitting normal one has to be beaten.

    normals: how many, which are taught to differ. 1: there is no competition.
    A place is seen with its neighbours, by a convolution that adds little at first.
    The fragment says: several normal prompts compete, so that odd but good parts pass; a ConvBlock per layer, and one
    more light module on the prompts, whose name is cut off and which is left out.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        normals: int = 4,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        suffixes = (SUFFIXES[0],) * normals + SUFFIXES[1:]
        super().__init__(encoder, image_size=image_size, seed=seed, suffixes=suffixes, tokens=tokens)
        self.normals = normals
        self.around = NeighbourUnit(self.encoder.width, torch.Generator().manual_seed(seed))
        self.requires_grad_(False).eval()

    def adapt(self, seen: Features) -> Features:
        """Places with their neighbours."""
        return Features(seen.image, (self.around(seen.patches[-1]),))

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """By the last sentence against the best of the others."""
        whole, places = F.normalize(seen.image, dim=-1), seen.patches[-1]
        picture, grid = (beat_best_normal(each, texts, TEMPERATURE) for each in (whole, places))
        return Judged(picture, (grid.sigmoid(),))

    def more(self, seen: Features, texts: Tensor, batch: Batch) -> dict[str, Tensor]:
        """How alike the normal sentences are."""
        return {"variety": VARIETY * lack_of_variety(texts[:-1])} if self.normals > 1 else {}
