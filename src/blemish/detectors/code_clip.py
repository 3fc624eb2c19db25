"""CoDe-CLIP: contrastive decoupling of normal and abnormal. Reconstructed from a fragment of the abstract."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import draw_linear
from blemish.blocks.losses import even_contrast, masks_of
from blemish.blocks.maps import covered_cells
from blemish.training.sentences import TEMPERATURE, TOKENS, FrozenSentenceDetector, Judged
from blemish.types import Batch, Encoder, Features

CONTRAST = 0.1  # of the terms besides


class CoDeCLIP(FrozenSentenceDetector):
    """Places without what all of a picture shares, against learned sentences.

    decouple: one linear map gives what a place shares with its picture, whose mean is taught to be its embedding;
        another gives a residual, of which the part along that mean is left out. Else the residual is all there is.
    The fragment says that normal and abnormal are decoupled by contrast; that they are so by two maps is chosen.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        decouple: bool = True,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.decouple, width = decouple, self.encoder.width
        generator = torch.Generator().manual_seed(seed)
        self.residual = draw_linear(width, width, generator)
        self.shared = draw_linear(width, width, generator) if decouple else None
        with torch.no_grad():
            self.residual.weight.mul_(0.1).add_(torch.eye(width))  # it begins as the place itself, nearly
        self.requires_grad_(False).eval()

    def adapt(self, seen: Features) -> Features:
        """Residuals, and where it decouples what is shared, (N, 1, 1, D)."""
        patches = seen.patches[-1]
        residual = self.residual(F.normalize(patches, dim=-1))
        if self.shared is None:
            return Features(seen.image, (residual,))
        shared = F.normalize(self.shared(F.normalize(patches, dim=-1)).mean((1, 2), keepdim=True), dim=-1)
        along = (residual * shared).sum(-1, keepdim=True)
        return Features(seen.image, (residual - along * shared, shared))

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """By the residuals alone."""
        return super().judge(seen._replace(patches=seen.patches[:1]), texts)

    def more(self, seen: Features, texts: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Contrast of the residuals with both sentences, and how unlike its picture's embedding the shared part is."""
        places = F.normalize(seen.patches[0], dim=-1)
        inside = covered_cells(masks_of(batch), places.shape[1:3])
        terms = {"contrast": CONTRAST * even_contrast(places @ texts.T / TEMPERATURE, inside)}
        if self.shared is not None:
            alike = (seen.patches[1][:, 0, 0] * F.normalize(seen.image, dim=-1)).sum(-1)
            terms["shared"] = CONTRAST * (1 - alike).mean()
        return terms
