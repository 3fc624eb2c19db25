"""IA-CLIP: global and local class-agnostic prompts for industrial anomalies. Reconstructed from the abstract."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.losses import focal_contrast, masks_of
from blemish.blocks.maps import covered_cells
from blemish.training.sentences import SUFFIXES, TEMPERATURE, TOKENS, FrozenSentenceDetector, Judged, picture_logits
from blemish.types import Batch, Encoder, Features

MARGIN = 0.2


class IACLIP(FrozenSentenceDetector):
    """One pair of learned sentences for whole pictures, and one for places, that are to complement each other.

    triplet: weight of a hinge by which the local sentences' difference is nearer to places of defects than to good
        ones; its margin grows as the two anomalous sentences part. 0: none.
    focal: weight of a contrast of each place of a defect with all good ones, in which hard ones count most. 0: none.
    The abstract says: class-agnostic global and local prompts; a similarity-aware triplet loss that makes them
    complementary; adaptive focal contrast on hard regions; one source and many targets.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        triplet: float = 1.0,
        focal: float = 0.1,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        suffixes = (*SUFFIXES, "surface.", "damaged surface.")
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens, suffixes=suffixes)
        self.triplet, self.focal = triplet, focal
        self.requires_grad_(False).eval()

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """Pictures by the first pair, places by the second."""
        return super().judge(seen, texts[2:])._replace(picture=picture_logits(seen.image, texts[None, :2]))

    def more(self, seen: Features, texts: Tensor, batch: Batch) -> dict[str, Tensor]:
        """What binds the sentences, where there are places of both kinds."""
        places = F.normalize(seen.patches[-1], dim=-1)
        inside, scores = covered_cells(masks_of(batch), places.shape[1:3]), places @ (texts[3] - texts[2])  # (N, h, w)
        bad, good = scores[inside], scores[~inside]
        if not (len(bad) and len(good)):
            return {}
        margin = MARGIN * (1 - (texts[1] * texts[3]).sum().detach())  # or it shrinks as the sentences become alike
        return {
            "triplet": self.triplet * F.relu(margin + good - bad.mean()).mean(),
            "contrast": self.focal * focal_contrast(bad, good, TEMPERATURE),
        }
