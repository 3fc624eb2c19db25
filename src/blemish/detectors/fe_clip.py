"""FE-CLIP, ICCV 2025: frequency-aware CLIP for zero-shot anomaly detection. Reconstructed from the abstract."""

from __future__ import annotations

from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor

from blemish import encoders
from blemish.blocks.adapters import adapt_patches
from blemish.blocks.frequency import FrequencyAdapter
from blemish.blocks.heads import quarters
from blemish.training.sentences import TOKENS, SentenceDetector
from blemish.types import Encoder, Features, SeamEncoder


class FECLIP(SentenceDetector):
    """AnomalyCLIP's sentences, and a tower whose patches pass adapters in the frequencies of their grid.

    frequency: adapters of the cosine coefficients of blocks of `size` x `size` patches ("features"), of how much each
        band has in a block ("statistics"), "both", or None. rank: of their bottlenecks.
    The adapters stand behind a quarter, a half and three quarters of the blocks, since what is behind the last one
    changes nothing; in a residual network one stands behind the last layer.
    The abstract says: DCT; two complementary adapters in the visual encoder, of features and of local statistics.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        frequency: Literal["both", "features", "statistics"] | None = "both",
        size: int = 4,
        rank: int = 8,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.frequency, self.size, self.rank = frequency, size, rank
        depth, generator = self.encoder.depth, torch.Generator().manual_seed(seed)
        blocks = quarters(depth)[:-1] if "seams" in self.encoder.can else (depth,)
        parts = {"features": frequency in ("both", "features"), "statistics": frequency in ("both", "statistics")}
        self.adapters = torch.nn.ModuleDict(
            {
                str(block): FrequencyAdapter(
                    self.encoder.widths[block - 1], size=size, rank=rank, generator=generator, **parts
                )
                for block in blocks
                if frequency
            }
        )
        self.requires_grad_(False).eval()

    def look(self, images: Tensor) -> Features:
        """Patches in the space of sentences, from a second stream as AnomalyCLIP's."""
        depth, adapters = self.encoder.depth, {int(name): each for name, each in self.adapters.items()}
        if "seams" not in self.encoder.can:
            image, (patches,) = self.encoder(images, layers=[depth])
            adapted = adapters[depth](patches) if adapters else patches
            return Features(image, (self.encoder.project(adapted),))
        size = [length // self.encoder.patch_size for length in images.shape[-2:]]
        tower, between = cast(SeamEncoder, self.encoder), partial(adapt_patches, adapters, size)
        last = round(depth * 19 / 24)
        return tower(images, layers=[depth], projected=True, attention="vv", last=last, between=between, normed=False)
