"""Attribute-aware CLIP with a textual domain bridge and component clustering. Reconstructed from the abstract."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import TextBridge
from blemish.blocks.clusters import subtract_group_means
from blemish.blocks.similarity import text_margin
from blemish.training.sentences import TEMPERATURE, TOKENS, FrozenSentenceDetector, Judged, picture_logits
from blemish.types import Encoder, Features


class AttributeCLIP(FrozenSentenceDetector):
    """Places against sentences behind a bridge of their own, and against the other places of their component.

    bridge: what is learned words' plain meaning is moved by a residual bottleneck, from general to attribute-aware.
    components: groups of a picture's patches by k-means; half of the mean logit of its group is taken from each
        place's, so that a material which looks odd everywhere is not. 1: places are not compared with each other.
    The abstract says: a bridge from simple prompt features to attribute-aware ones; the image is clustered into
    components. That these are compared inside, and how, is a reading.
    """

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        bridge: bool = True,
        components: int = 5,
        tokens: int = TOKENS,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, image_size=image_size, seed=seed, tokens=tokens)
        self.bridge, self.components = bridge, components
        self.bridging = TextBridge(self.encoder.width, seed=seed) if bridge else None
        self.requires_grad_(False).eval()

    def read(self) -> Tensor:
        """Unit embeddings of both sentences, bridged: (2, D)."""
        texts = super().read()
        return texts if self.bridging is None else self.bridging(texts)

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """By what a place's logit exceeds its component's."""
        places = F.normalize(seen.patches[-1], dim=-1)
        logits = text_margin(places, texts[None], TEMPERATURE)  # (N, h, w)
        if self.components > 1:
            logits = subtract_group_means(logits, places.detach(), self.components, share=0.5)
        return Judged(picture_logits(seen.image, texts[None]), (logits.sigmoid(),))
