"""FTPA and DMM: fine-grained text prompts and dynamic modulation, few-shot. Reconstructed from the abstract."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import Bottleneck
from blemish.blocks.comparison import choose_references, nearest_of_pair
from blemish.blocks.losses import focal_probability, masks_of
from blemish.blocks.maps import maximum, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.prompts import prototypes
from blemish.blocks.tokens import CrossAttention
from blemish.training.sentences import FrozenSentenceDetector
from blemish.types import Batch, Encoder, Features, Prediction


class FTPADMM(FrozenSentenceDetector):
    """Written sentences that attend to the picture's patches, and a memory of good parts, joined by a gate that sees
    how high either of them goes.

    refine: the sentences attend, and are kept near what they were (registration). modulate: a gate weighs the map of
        words and that of the memory, of each picture; else both count alike. In training the memory of a picture is
        another good one of its batch.
    The abstract says: image semantics refine hand-made prompts; a registration loss; explicit modulation between the
    few-shot branch and the text branch. Both forms are chosen.
    """

    written = True
    said: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        refine: bool = True,
        modulate: bool = True,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=1)
        self.product, self.refine, self.modulate = product, refine, modulate
        generator, width = torch.Generator().manual_seed(seed), self.encoder.width
        self.attention = CrossAttention(width, width, generator=generator) if refine else None
        self.gate, self.bank = Bottleneck(2, 1, 8, generator), MemoryBank()
        self.register_buffer("said", prototypes(self.encoder, product), persistent=False)
        self.requires_grad_(False).eval()

    def read(self) -> Tensor:
        """Unit embeddings of the written sentences: (2, D)."""
        return self.said.clone()

    def say(self, seen: Features, texts: Tensor, products: Sequence[str] | None = None) -> Tensor:
        """Of each picture its refined sentences: (N, 2, D)."""
        both = texts.expand(seen.image.shape[0], -1, -1)
        if self.attention is None:
            return both
        return F.normalize(self.attention(both, F.normalize(seen.patches[-1], dim=-1).flatten(1, 2)), dim=-1)

    def more(self, seen: Features, texts: Tensor, batch: Batch) -> dict[str, Tensor]:
        """How far sentences moved, and focal loss of the joined map beside another good part."""
        said, truth = self.say(seen, texts), masks_of(batch)
        terms = {"registration": (1 - (said * texts).sum(-1)).mean()}
        rows, others = choose_references(truth.flatten(1).amax(1) == 0, batch.products)
        if len(rows):
            places = F.normalize(seen.patches[-1], dim=-1)
            far = (1 - (places[rows] * nearest_of_pair(places[rows], places[others])).sum(-1)) / 2
            words = self.judge(seen, said).grids[0][rows]
            terms["joined"] = focal_probability(upsample(self._join(words, far), truth.shape[-2:]), truth[rows])
        return terms

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """Patches of each picture."""
        return ((F.normalize(self.frozen(batch.images).patches[-1], dim=-1).flatten(0, 2),),)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        seen = self.frozen(images)
        found = self.judge(seen, self.say(seen, self.texts))
        if self.bank.fitted:  # before any good part is remembered words are all there is
            found = found._replace(grids=(self._join(found.grids[0], self.bank.distance(seen.patches[-1]) / 2),))
        return self.predict(found, images.shape[-2:])

    def _join(self, words: Tensor, far: Tensor) -> Tensor:
        """Maps (N, h, w) in [0, 1] -> (N, h, w)."""
        share = torch.full_like(words[:, :1, :1], 0.5)
        if self.modulate:
            share = self.gate(torch.stack([maximum(words), maximum(far)], 1)).sigmoid()[..., None]
        return share * words + (1 - share) * far
