"""ADP: personalisation by textual inversion, IEEE Access 12, 2024 (Kwak et al.). Reconstructed from the abstract."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.losses import margin_loss
from blemish.training.sentences import FrozenSentenceDetector
from blemish.types import Batch, Encoder

MARGIN_OF_WORDS = 0.1
BEGINNINGS = ("a photo of a perfect", "a photo of a damaged")


class ADP(FrozenSentenceDetector):
    """A word for the product, inverted from a few good parts, in a sentence that calls it perfect and one damaged.

    tokens: of the word. regularise: weight of how unlike the sentences are those with the product's plain name, which
        keeps what CLIP knows of it. self_tune: weight of a margin by which good places, and mixtures of those of two
        good parts, which stand for generated pictures, are nearer the perfect one. 0: none.
    The abstract says: textual inversion on few good parts; a regulariser by CLIP; self-tuning on generated images. The
    authors invert into a diffusion model; here the word is inverted into the text tower, by pictures and places.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        regularise: float = 0.5,
        self_tune: float = 1.0,
        tokens: int = 2,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens, shared=True)
        self.product, self.regularise, self.self_tune = product, regularise, self_tune
        self.requires_grad_(False).eval()

    def read(self) -> Tensor:
        """Unit embeddings of the sentences with the word: (2, D)."""
        said = [(beginning, self.sentences.context[0], ".") for beginning in BEGINNINGS]
        found: Tensor = F.normalize(self.sentences.encode(self.encoder, said), dim=-1)
        return found

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of good parts: how unlike the perfect sentence they are, and the two terms besides."""
        good = slice(None) if batch.labels is None else ~batch.labels
        seen, texts = batch.features or self.frozen(batch.images), self.read()
        whole, places = (F.normalize(each[good], dim=-1) for each in (seen.image, seen.patches[-1]))
        plain = F.normalize(self.encoder.encode_text([f"{each} {self.product}." for each in BEGINNINGS]), dim=-1)
        mixed = F.normalize(places + places.roll(1, 0), dim=-1)
        both = torch.cat([places, mixed]) @ texts.T
        self.updates.add()
        return {
            "inversion": (1 - whole @ texts[0]).mean() + (1 - places @ texts[0]).mean(),
            "regularise": self.regularise * (1 - (texts * plain).sum(-1)).mean(),
            "self_tune": self.self_tune * margin_loss(both[..., 1] + MARGIN_OF_WORDS, both[..., 0]),
        }
