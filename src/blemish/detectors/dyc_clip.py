"""DyC-CLIP: dynamic context prompts for zero-shot anomaly detection. Reconstructed from a fragment of the abstract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.heads import draw_affine
from blemish.blocks.joint_space import read_in_words
from blemish.blocks.tokens import CrossAttention
from blemish.training.sentences import SUFFIXES, TOKENS, Judged, SentenceDetector
from blemish.types import Encoder, Features, SeamEncoder

SPREAD = 0.1  # of the words of a picture, at first


class DyCCLIP(SentenceDetector):
    """Each picture says `context` words of its own, in front of the learned ones and beside its patches.

    dynamic: it does; else these are learned, and the same for all pictures. A residual network has no tokens that they
    could join, so there only the sentences change.
    The fragment says: image context enters text prompts dynamically; less reliance on words for a product; prompts are
    multi-modal. What makes the words, queries that attend to all patches, is chosen.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        dynamic: bool = True,
        context: int = 4,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.dynamic, self.context, self.inside = dynamic, context, "seams" in self.encoder.can
        generator, width = torch.Generator().manual_seed(seed), self.encoder.width
        self.queries = nn.Parameter(torch.randn(context, width, generator=generator))
        self.attention = CrossAttention(width, width, generator=generator) if dynamic else None
        self.reading = draw_affine(width, self.encoder.prompt_width, generator)
        self.looking = draw_affine(width, self.encoder.widths[0], generator) if self.inside else None
        self.requires_grad_(False).eval()

    def look(self, images: Tensor) -> Features:
        """Patches as the tower sees them beside the picture's own words, and these words, (N, 1, K, D)."""
        first = read_in_words(self.encoder, images, [self.encoder.depth])
        context = self._context(first.patches[-1])  # (N, K, D)
        if self.looking is None:
            return Features(first.image, (first.patches[-1], context[:, None]))
        tower, last = cast(SeamEncoder, self.encoder), round(self.encoder.depth * 19 / 24)
        extra, layers = {1: SPREAD * self.looking(context)}, [self.encoder.depth]
        seen = tower(
            images, layers=layers, projected=True, attention="vv", last=last, extra=extra, normed=False
        )  # fmt: skip
        return Features(seen.image, (*seen.patches, context[:, None]))

    def say(self, seen: Features, texts: Tensor, products: Sequence[str] | None = None) -> Tensor:
        """Of each picture its own sentences: (N, 2, D)."""
        words = SPREAD * self.reading(seen.patches[-1].squeeze(1))  # (N, K, width)
        states = list(zip(self.sentences.context, SUFFIXES, strict=True))
        # Behind the learned words: deep tokens take the place of the first words in most blocks.
        said = [(learned, own, suffix) for own in words for learned, suffix in states]
        both: Tensor = F.normalize(self.sentences.encode(self.encoder, said), dim=-1).unflatten(0, (-1, 2))
        return both

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """By the patches alone."""
        return super().judge(seen._replace(patches=seen.patches[:1]), texts)

    def _context(self, patches: Tensor) -> Tensor:
        """(N, h, w, D) -> (N, K, D)."""
        queries = self.queries.expand(patches.shape[0], -1, -1)
        if self.attention is not None:
            queries = self.attention(queries, patches.flatten(1, 2))
        return F.normalize(queries, dim=-1)
