"""Scale-aware optimised CLIP, zero-shot and efficient. Reconstructed from a fragment of the abstract."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.maps import fuse_mean, upsample
from blemish.training.sentences import TOKENS, FrozenSentenceDetector, Judged
from blemish.types import Encoder, Features, Prediction


class ScaleCLIP(FrozenSentenceDetector):
    """Patches, and means of two by two of them, in one pass, against learned sentences.

    agreement: a place is as anomalous as the scale that finds it less so, so that what looks alike at one scale alone
        does not count; else as the mean of both.
    The fragment says: efficient, and fewer false positives from regions that look alike. That two scales must agree,
    and how the coarse one is made, is a reading.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        agreement: bool = True,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.agreement = agreement
        self.requires_grad_(False).eval()

    def adapt(self, seen: Features) -> Features:
        """The last layer, and its merged tokens."""
        fine = F.normalize(seen.patches[-1], dim=-1)
        return Features(seen.image, (fine, F.avg_pool2d(fine.movedim(-1, 1), 2, ceil_mode=True).movedim(1, -1)))

    def predict(self, found: Judged, size: Sequence[int]) -> Prediction:
        """By the lower of both scales, each of which was taught by itself."""
        fine, coarse = found.grids
        both = fine, upsample(coarse, fine.shape[1:])
        grids = (torch.minimum(*both) if self.agreement else fuse_mean(*both),)
        return super().predict(found._replace(grids=grids), size)
