"""FP-CLIP: foreground and panorama prompts. Reconstructed from the title, and a fragment that may be its abstract's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.foreground import foreground_probability
from blemish.blocks.maps import fuse_mean
from blemish.blocks.similarity import text_margin
from blemish.training.sentences import SUFFIXES, TEMPERATURE, TOKENS, FrozenSentenceDetector, Judged, picture_logits
from blemish.types import Encoder, Features


class FPCLIP(FrozenSentenceDetector):
    """Two pairs of learned sentences: one of the part, asked about places of the foreground alone, and one of all that
    is seen, asked about all places and the whole picture.

    foreground: the mean of both maps counts by how likely a place belongs to the part, by the principal component of
        the picture's own patches; else there is the panorama's map alone.
    The title says that there are foreground and panorama prompts, and the fragment that they localise better.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        foreground: bool = True,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        suffixes = (*SUFFIXES, "scene.", "damaged scene.") if foreground else SUFFIXES
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens, suffixes=suffixes)
        self.foreground = foreground
        self.requires_grad_(False).eval()

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """The panorama's pair is the last one."""
        pairs = texts.unflatten(0, (-1, 2))  # (1 or 2, 2, D)
        places = F.normalize(seen.patches[-1], dim=-1)
        maps = [text_margin(places, pair[None], TEMPERATURE).sigmoid() for pair in pairs]  # (N, h, w) each
        picture = picture_logits(seen.image, pairs[-1:])
        if not self.foreground:
            return Judged(picture, (maps[0],))
        with torch.no_grad():
            part = foreground_probability(places)
        return Judged(picture, (part * fuse_mean(*maps),))
