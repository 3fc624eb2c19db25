"""DCS: a detector, CLIP and SAM for zero-shot anomaly segmentation. Reconstructed from the abstract."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.refinement import refine_regions, segment_by_colour
from blemish.training.sentences import TEMPERATURE, TOKENS, FrozenSentenceDetector, Judged
from blemish.types import Encoder, Features, Prediction

FINE = ("good object.", "cut object.", "spot object.", "bent object.", "torn object.", "worn object.")
LEVEL, MOST = 0.5, 4  # of regions that are looked at again, and how many


class DCS(FrozenSentenceDetector):
    """Places against fine sentences of learned words, and boxes round the regions found, segmented by themselves.

    segment: what draws the defect inside a box, with the map as its hint: Gaussians of colours ("colours", without
        weights), or "none". Of the authors it is SAM, given boxes of GroundingDINO and points of CLIP.
    The abstract says: a FinePrompt library with learned embeddings; dual-path interaction; boxes and points prompt
    SAM. The second is left out; the first is six sentences here, of which the best fitting defect counts.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        segment: Literal["colours", "none"] = "colours",
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, suffixes=FINE, tokens=tokens)
        self.segment = segment
        self.requires_grad_(False).eval()

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """By all sentences of defects together against the good one."""
        picture, places = (F.normalize(each, dim=-1) @ texts.T / TEMPERATURE for each in (seen.image, seen.patches[-1]))
        logits, grid = (each[..., 1:].logsumexp(-1) - each[..., 0] for each in (picture, places))
        return Judged(logits, (grid.sigmoid(),))

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        found = super().forward(images)
        if self.segment == "none":
            return found
        fine = refine_regions(images, found.anomaly_map, segment_by_colour, level=LEVEL, most=MOST)
        return found._replace(anomaly_map=fine)
