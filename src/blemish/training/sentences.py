"""What detectors have in common that are trained to tell defects from good places by learned sentences."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.joint_space import comparable_layers, read_in_words
from blemish.blocks.learned import Updates, renew_buffer
from blemish.blocks.learned_prompts import LearnedPrompts
from blemish.blocks.losses import masks_of, segmentation
from blemish.blocks.maps import fuse_mean, smooth, top_mean, upsample
from blemish.blocks.similarity import text_margin
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Capability, Encoder, Features, Prediction, PromptEncoder

WORDS: frozenset[Capability] = frozenset({"text", "prompts"})
SUFFIXES = ("object.", "damaged object.")
TOKENS, DEEP_TOKENS, DEEP_DEPTH = 12, 4, 9
"""Of AnomalyCLIP's sentences, which these are."""
TEMPERATURE, SIGMA, TOP = 0.07, 4.0, 0.01


class Judged(NamedTuple):
    """What a detector makes of pictures."""

    picture: Tensor  # (N,), a logit of a defect
    grids: tuple[Tensor, ...]  # probabilities of one, (N, h, w) each


class SentenceTraining(nn.Module):
    """How a `SentenceDetector` is made and trained."""

    texts: Tensor
    written = False  # its sentences are, and stay as they are

    def __init__(
        self,
        encoder: str | Encoder,
        *,
        image_size: int | None,
        seed: int,
        suffixes: Sequence[str] = SUFFIXES,
        tokens: int = TOKENS,
        shared: bool = False,
        needs: Collection[Capability] = (),
    ) -> None:
        super().__init__()
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs=WORDS.union(needs)))
        self.tokens, self.image_size, self.seed = tokens, image_size, seed
        self.geometry, self.updates = geometry(self.encoder, image_size), Updates()
        blocks, width = range(2, min(DEEP_DEPTH, self.encoder.prompt_depth) + 1), self.encoder.prompt_width
        deep = min(DEEP_TOKENS, tokens)
        self.sentences = LearnedPrompts(
            suffixes, width, tokens=tokens, deep_tokens=deep, blocks=blocks, shared=shared, seed=seed
        )
        self.register_buffer("texts", torch.zeros(len(suffixes), self.encoder.width))  # what they say
        self.taps: tuple[int, ...] = (self.encoder.depth,)

    def train(self, mode: bool = True) -> Self:
        """As any module's; when training ends the sentences are read once, for all pictures to come."""
        return renew_buffer(super().train(mode), "texts", self.read)

    @property
    def schedule(self) -> Schedule:
        """Of our own: nothing is published."""
        return Schedule(steps=1000, rate=1e-3, batch_size=8)

    def trained_parameters(self) -> list[ParameterGroup]:
        """All but those of encoders, which stay frozen, and of sentences that are written."""
        children = dict(self.named_children())
        fixed = [name for name in children if hasattr(children[name], "can") or (self.written and name == "sentences")]
        theirs = tuple(f"{name}." for name in fixed)
        return [ParameterGroup([each for name, each in self.named_parameters() if not name.startswith(theirs)])]

    def see(self, batch: Batch) -> Features:
        """What `look` makes of a batch in training."""
        return self.look(batch.images)

    def look(self, images: Tensor) -> Features:
        """(N, 3, H, W) -> what `judge` compares, in the space of sentences."""
        raise NotImplementedError

    def read(self) -> Tensor:
        """Unit embeddings of the sentences, as they are now: (P, D)."""
        found: Tensor = self.sentences(self.encoder)
        return found

    def say(self, seen: Features, texts: Tensor, products: Sequence[str] | None = None) -> Tensor:
        """What pictures are compared with, where that hangs on them or on what they show; else what `read` gave."""
        raise NotImplementedError

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """What the texts make of what is seen."""
        raise NotImplementedError

    def more(self, seen: Features, texts: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Terms of the loss besides."""
        return {}

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of the picture, focal loss and dice loss of either class of each grid, and `more`."""
        truth = masks_of(batch)
        seen, texts = self.see(batch), self.read()
        found = self.judge(seen, self.say(seen, texts, batch.products))
        self.updates.add()
        entropy = F.binary_cross_entropy_with_logits(found.picture, truth.flatten(1).amax(1))
        maps = [upsample(each, truth.shape[-2:]) for each in found.grids]
        return {"image": entropy, **segmentation(maps, truth), **self.more(seen, texts, batch)}


class SentenceDetector(SentenceTraining):
    """Pictures and their places against a normal and an anomalous sentence of learned words.

    anomaly_map: the mean of the grids, blurred, in [0, 1]. image_score: the mean of the picture's probability and of
        the highest 1 % of the map. A method gives `look`, and `judge`, `say`, `read` or `more` where it differs.
    """

    def say(self, seen: Features, texts: Tensor, products: Sequence[str] | None = None) -> Tensor:
        """The same texts for all."""
        return texts

    def judge(self, seen: Features, texts: Tensor) -> Judged:
        """By the first sentence against the second, (2, D), or (N, 2, D) of each picture: every layer a grid."""
        both = texts if texts.dim() == 3 else texts[None]
        places = (text_margin(F.normalize(each, dim=-1), both, TEMPERATURE).sigmoid() for each in seen.patches)
        return Judged(picture_logits(seen.image, both), tuple(places))

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        seen = self.look(images)
        return self.predict(self.judge(seen, self.say(seen, self.texts)), images.shape[-2:])

    def predict(self, found: Judged, size: Sequence[int]) -> Prediction:
        """Of pictures of that size (H, W)."""
        whole = fuse_mean(*(upsample(each, size) for each in found.grids))
        return Prediction(fuse_mean(found.picture.sigmoid(), top_mean(whole, TOP)), smooth(whole, SIGMA))


class FrozenSentenceDetector(SentenceDetector):
    """One that changes nothing inside the encoder: what it sees may be kept, see `training.features`."""

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """Image embedding (N, D), and patches of the layers `taps` in its space (N, h, w, D)."""
        return read_in_words(self.encoder, images, self.taps)

    def adapt(self, seen: Features) -> Features:
        """What is learned of it."""
        return seen

    def look(self, images: Tensor) -> Features:
        """What the frozen tower sees, adapted."""
        return self.adapt(self.frozen(images))

    def see(self, batch: Batch) -> Features:
        """The same, by what was kept of the pictures where it was."""
        return self.adapt(batch.features or self.frozen(batch.images))

    def read_layers(self, layers: Sequence[int] | None = None) -> None:
        """Say which layers are compared: four of a transformer, by default, or the last one of a residual network."""
        self.taps = comparable_layers(self.encoder, layers)


def picture_logits(images: Tensor, texts: Tensor) -> Tensor:
    """How much more embeddings (N, D) are like the second of unit texts (N or 1, 2, D): (N,)."""
    return (F.normalize(images, dim=-1) * (texts[:, 1] - texts[:, 0])).sum(-1) / TEMPERATURE
