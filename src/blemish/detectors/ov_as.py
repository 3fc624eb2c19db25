"""OV-AS: open-vocabulary anomaly segmentation. Reconstructed from the abstract."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import draw_linear
from blemish.blocks.losses import masks_of
from blemish.blocks.maps import covered_cells
from blemish.errors import BadInput
from blemish.training.sentences import TOKENS
from blemish.training.typed_sentences import ANY, TypedSentenceDetector
from blemish.types import Batch, Encoder, Features

STEP = 0.1


class OVAS(TypedSentenceDetector):
    """Patches through a trained linear map against sentences of any types of defects, and what a few looked like.

    vocabulary: the types, by their names. shots: so many pictures of each are remembered in training, whose marked
        patches speak for their type beside its sentence; 0: words alone, and other words may be asked for afterwards.
    The abstract says: an open-vocabulary segmenter, pre-trained on anomalies in general, the image tower then
    fine-tuned; zero-shot and few labelled defects. The tower's fine-tuning is one linear map here.
    """

    marked: Tensor
    counts: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        vocabulary: Sequence[str] = (),
        shots: int = 0,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        if shots and not vocabulary:
            raise BadInput("shots are of types that are named: give their names as vocabulary too")
        options = {"tokens": tokens, "seed": seed}
        phrases = [(name.replace("_", " "),) for name in vocabulary or (ANY,)]
        super().__init__(encoder, vocabulary=vocabulary, phrases=phrases, image_size=image_size, **options)
        self.shots, width = shots, self.encoder.width
        self.tuned = draw_linear(width, width, torch.Generator().manual_seed(seed))
        with torch.no_grad():
            self.tuned.weight.mul_(STEP).add_(torch.eye(width))
        self.register_buffer("marked", torch.zeros(len(self.types) if shots else 0, width))  # sums of unit patches
        self.register_buffer("counts", torch.zeros(len(self.types) if shots else 0, dtype=torch.int64))
        self.requires_grad_(False).eval()

    def adapt(self, seen: Features) -> Features:
        """The last layer, mapped."""
        return Features(seen.image, (self.tuned(F.normalize(seen.patches[-1], dim=-1)),))

    def say(self, seen: Features, texts: Tensor, products: Sequence[str] | None = None) -> Tensor:
        """Of each type that was shown, the mean of its sentence and of what was marked."""
        if not self.shots:
            return texts
        shown = F.normalize(self.marked, dim=-1)  # (K, D), 0 where there is none
        return F.normalize(torch.cat([texts[:1], texts[1:] + shown]), dim=-1)

    def see(self, batch: Batch) -> Features:
        """As without, but that a few pictures are remembered first."""
        seen = super().see(batch)
        places = F.normalize(seen.patches[-1].detach(), dim=-1)
        inside = covered_cells(masks_of(batch), places.shape[1:3])
        for at, name in enumerate(batch.types or ()):
            number = self.types.index(name) if name in self.types else -1
            if self.shots and number >= 0 and self.counts[number] < self.shots and inside[at].any():
                self.marked[number] += places[at][inside[at]].mean(0)
                self.counts[number] += 1
        return seen

    def more(self, seen: Features, texts: Tensor, batch: Batch) -> dict[str, Tensor]:
        """By sentences and what was marked."""
        return super().more(seen, self.say(seen, texts), batch)
