"""Pro-CLIP: residual learning with object-agnostic prompts, few-shot. Reconstructed from a fragment of the abstract.

The margins of its residuals are those of Res2CLIP, arXiv:2605.16171, and so are the maps without the adapter.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import Bottleneck
from blemish.blocks.comparison import choose_references, nearest_of_pair
from blemish.blocks.losses import masks_of
from blemish.blocks.maps import covered_cells, fuse_mean, smooth, top_mean, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.prompts import prototypes
from blemish.blocks.residuals import matched_reference, place_numbers, residual_maps
from blemish.training.sentences import SIGMA, TOKENS, TOP, FrozenSentenceDetector
from blemish.types import Batch, Encoder, Features, Prediction

PRODUCT = "object"


class ProCLIP(FrozenSentenceDetector):
    """Places against learned sentences that name no product, and after `fit` what an adapter makes of how they differ
    from a few good parts.

    prompts: the sentences are learned; else they are written. What differs along them counts after `fit`, and how long
    the adapted difference is. In training a picture is compared with another good one of its batch.
    The fragment says: residual learning with object-agnostic prompts, which few normals refine.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        prompts: bool = True,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.prompts, width = prompts, self.encoder.width
        self.adapter = Bottleneck(width, width, max(1, width // 4), torch.Generator().manual_seed(seed))
        self.bank = MemoryBank(beside=("down", "across"))
        self.requires_grad_(False).eval()

    def read(self) -> Tensor:
        """Unit embeddings of both sentences, learned or written: (2, D)."""
        return super().read() if self.prompts else prototypes(self.encoder, PRODUCT)

    def more(self, seen: Features, texts: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Hinges by which residuals of defects are long and along the words, and those of good places neither."""
        truth, places = masks_of(batch), F.normalize(seen.patches[-1], dim=-1)
        rows, others = choose_references(truth.flatten(1).amax(1) == 0, batch.products)
        if not len(rows):
            return {}
        _, far, along = self._compare(places[rows], nearest_of_pair(places[rows], places[others]), texts)
        inside = covered_cells(truth[rows], far.shape[1:])
        short, long = far[~inside], far[inside]
        low = (F.relu(along)[~inside].sum() + short.sum()) / max(1, len(short))
        return {"good": low, "residual": F.relu(1 - long).sum() / max(1, len(long))}

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """Patches of each picture, and where they lie."""
        places = F.normalize(self.frozen(batch.images).patches[-1], dim=-1)
        where = place_numbers(places.shape[0], places.shape[1], places.shape[2], places)
        return ((places.flatten(0, 2), *where),)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        found = super().forward(images)
        if not self.bank.fitted:
            return found
        places = F.normalize(self.frozen(images).patches[-1], dim=-1)
        _, far, along = self._compare(places, matched_reference(self.bank, places), self.texts)
        grown = upsample((far + along) / 2, images.shape[-2:])
        return Prediction(*map(fuse_mean, found[:2], (top_mean(grown, TOP), smooth(grown, SIGMA))))

    def _compare(self, places: Tensor, good: Tensor, texts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`residual_maps` of adapted residuals."""
        adapted = places + self.adapter(places - good)
        return residual_maps(adapted, good, F.normalize(texts[1] - texts[0], dim=-1))
