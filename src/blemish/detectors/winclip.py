"""WinCLIP and WinCLIP+. Jeong et al., "WinCLIP: Zero-/Few-Shot Anomaly Classification and Segmentation",
CVPR 2023, arXiv:2303.14814.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.maps import fuse_mean, maximum, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.prompts import ensemble, prototypes
from blemish.blocks.rows import Rows
from blemish.blocks.similarity import anomaly_probability
from blemish.blocks.windows import fuse_harmonic, harmonic_aggregation, sliding_windows
from blemish.encoders.capabilities import geometry
from blemish.types import Batch, Prediction, WindowEncoder


class WinCLIP(nn.Module):
    """Windows and the whole image against a prompt ensemble; once it has learned, against parts as well (WinCLIP+).

    image_score: probability of the anomalous text, in [0, 1]; fitted, its mean with the highest reference score.
    anomaly_map: zero-shot in [0, 1]; fitted, the mean of text and reference maps (the paper's sum, halved as in
        anomalib: the ranking is the same).
    temperature: 0.07 in anomalib and zqhang's port, 0.01 in caoyunkang's.
    words: "winclip", the paper's 22 templates; the two ports that use 21 leave two out and repeat one.
    normalize_sentences: False agrees with anomalib and zqhang, True with caoyunkang.
    """

    texts: Tensor
    banks: Sequence[MemoryBank]

    def __init__(
        self,
        encoder: str | WindowEncoder = encoders.DEFAULT,
        *,
        product: str = "object",
        scales: Sequence[int] = (2, 3),
        temperature: float = 0.07,
        words: str = "winclip",
        normalize_sentences: bool = False,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = cast(WindowEncoder, encoders.load(encoder, needs={"text", "windows"}))
        self.product, self.scales, self.temperature = product, scales, temperature
        self.words, self.normalize_sentences, self.image_size = words, normalize_sentences, image_size
        self.geometry = geometry(self.encoder, image_size)
        texts = prototypes(self.encoder, product, ensemble(words), normalize_sentences=normalize_sentences)
        self.register_buffer("texts", texts)
        self.banks = cast("Sequence[MemoryBank]", nn.ModuleList(MemoryBank() for _ in (*scales, "patches")))

    def extract(self, batch: Batch) -> tuple[Rows, ...]:
        """The windows and patches of each picture, a bank each."""
        return tuple((F.normalize(grid, dim=-1).flatten(0, 2),) for grid in self._look(batch.images)[1])

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        embedding, grids = self._look(images)
        *windows, patches = grids
        whole = anomaly_probability(embedding, self.texts, self.temperature)  # (N,)
        worded = [anomaly_probability(grid, self.texts, self.temperature) for grid in windows]
        text = fuse_harmonic(*self._spread(worded), whole.view(-1, 1, 1).expand(patches.shape[:3]))
        if not self.banks[-1].fitted:
            return Prediction(whole, upsample(text, images.shape[-2:]))
        found = [bank.distance(grid) / 2 for bank, grid in zip(self.banks, grids, strict=True)]  # Eq. 5, in [0, 1]
        reference = fuse_mean(*self._spread(found[:-1]), found[-1])
        return Prediction(fuse_mean(whole, maximum(reference)), upsample(fuse_mean(text, reference), images.shape[-2:]))

    def _spread(self, grids: Sequence[Tensor]) -> list[Tensor]:
        return [harmonic_aggregation(grid, scale) for grid, scale in zip(grids, self.scales, strict=True)]

    def _look(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Image embedding, and a grid of embeddings per scale of windows, the last that of raw patch tokens."""
        embedding, (patches,) = self.encoder(images, layers=[self.encoder.depth])
        height, width = patches.shape[1:3]
        windows = [sliding_windows(height, width, scale) for scale in self.scales]
        found = self.encoder.encode_windows(images, windows)
        grids = [
            windowed.unflatten(1, (height - scale + 1, width - scale + 1))
            for windowed, scale in zip(found, self.scales, strict=True)
        ]
        return embedding, [*grids, patches]
