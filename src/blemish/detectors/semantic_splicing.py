"""Few-shot augmentation by semantic splicing of texts. Reconstructed from the abstract."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import Bottleneck, TextBridge
from blemish.blocks.losses import margin_loss
from blemish.blocks.prompts import Wording, prototypes
from blemish.training.sentences import FrozenSentenceDetector
from blemish.types import Batch, Encoder, Features

SPLICED = Wording(
    ("{} without flaw", "{} without scratch", "{} without hole", "clean {}", "whole {}"),
    ("{} with flaw", "{} with scratch", "{} with hole", "stained {}", "broken {}"),
    ("a photo of a {}.", "a close-up photo of a {}."),
)
"""The same sentences, and with words for a defect in place of those for none."""


class SemanticSplicing(FrozenSentenceDetector):
    """Good parts and sentences about them, adapted so that sentences with a defect spliced in lie farther away.

    margin: by how much farther, in squared distances of unit vectors. 0: not nearer is enough.
    The abstract says: normal texts are turned into abnormal ones for negative pairs; a hypersphere, on which images lie
    nearer normal texts. Adapters and the margin are chosen.
    """

    written = True

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        margin: float = 0.3,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=1)
        self.product, self.margin, width = product, margin, self.encoder.width
        self.moving = Bottleneck(width, width, max(1, width // 4), torch.Generator().manual_seed(seed))
        self.bridging = TextBridge(width, seed=seed + 1)
        self.requires_grad_(False).eval()

    def read(self) -> Tensor:
        """Unit embeddings of the normal sentences and of those with a defect spliced in, adapted: (2, D)."""
        bridged: Tensor = self.bridging(prototypes(self.encoder, self.product, SPLICED))
        return bridged

    def adapt(self, seen: Features) -> Features:
        """Picture and places, adapted."""
        return Features(self._move(seen.image), tuple(map(self._move, seen.patches)))

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of good parts and their places: by how much sentences with a defect are too near."""
        seen, texts = self.see(batch), self.read()
        good = slice(None) if batch.labels is None else ~batch.labels
        self.updates.add()
        terms = dict[str, Tensor]()
        for name, found in (("picture", seen.image[good]), ("places", seen.patches[-1][good])):
            normal, spliced = ((found - text).square().sum(-1) for text in texts)
            terms[name] = margin_loss(normal + self.margin, spliced)
        return terms

    def _move(self, seen: Tensor) -> Tensor:
        """(..., D) -> unit vectors (..., D)."""
        unit = F.normalize(seen, dim=-1)
        return F.normalize(unit + self.moving(unit), dim=-1)
