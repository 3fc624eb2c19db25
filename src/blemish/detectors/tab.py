"""TAB, the text-align anomaly backbone. Lee & Lai, "TAB: Text-Align Anomaly Backbone Model for Industrial Inspection
Tasks", CVPRW 2024, arXiv:2312.09480.

The paper ends with a backbone for other methods: here `--encoder embedded` under any of them. Ours is to ask the space
of words itself, patch by patch, and to join it with the memory of good parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from blemish import encoders
from blemish.blocks.maps import fuse_mean, maximum, smooth, upsample
from blemish.blocks.prompts import named, prototypes, wording
from blemish.blocks.similarity import anomaly_probability
from blemish.types import Geometry, Prediction, TextEncoder


class TAB(nn.Module):
    """Each patch, and the whole picture, against words for a good part and for what can go wrong with it.

    image_score: mean of the whole picture's probability of the anomalous words and the highest patch's, in [0, 1].
    anomaly_map: the patches' probability, in [0, 1].
    defects: names of what can go wrong ("scratch", "missing screw"); none: any damage.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        product: str = "object",
        defects: Sequence[str] = (),
        temperature: float = 0.07,
        words: str = "winclip",
        sigma: float = 4.0,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoders.load_with_text(encoder)
        self.product, self.defects, self.temperature, self.words = product, defects, temperature, words
        self.sigma, self.image_size = sigma, image_size
        self.geometry = Geometry(image_size or self.encoder.image_size, multiple=self.encoder.patch_size)
        texts = prototypes(self.encoder, product, wording(words))
        if defects:
            texts = torch.cat([texts[:1], named(self.encoder, product, defects, wording(words))])
        self.register_buffer("texts", texts)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        embedding, (patches,) = self.encoder(images, layers=[self.encoder.depth], projected=True)
        whole = anomaly_probability(embedding, self.texts, self.temperature)  # (N,)
        grid = anomaly_probability(patches, self.texts, self.temperature)  # (N, h, w)
        return Prediction(fuse_mean(whole, maximum(grid)), smooth(upsample(grid, images.shape[-2:]), self.sigma))
