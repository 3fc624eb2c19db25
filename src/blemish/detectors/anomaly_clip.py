"""AnomalyCLIP. Zhou, Pang, Tian, He & Chen, "AnomalyCLIP: Object-agnostic Prompt Learning for Zero-shot Anomaly
Detection", ICLR 2024, arXiv:2310.18961.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, cast

import torch
from torch import Tensor, nn

from blemish import encoders
from blemish.blocks.joint_space import defect_logits, read_in_words
from blemish.blocks.learned import Updates, renew_buffer
from blemish.blocks.learned_prompts import gather_words, object_prompts
from blemish.blocks.losses import masks_of, whole_and_map
from blemish.blocks.maps import smooth, upsample
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Attention, Batch, Capability, Encoder, Features, Prediction, PromptEncoder


class AnomalyCLIP(nn.Module):
    """Patches, and the whole picture, against two sentences of learned words that say nothing of the product.

    image_score: probability of the anomalous sentence for the whole picture, in [0, 1].
    anomaly_map: the patches' probability, blurred, in [0, 1].
    tokens: learned words of each sentence. deep_tokens, deep_depth: learned tokens that both share, in blocks 2 to
        `deep_depth` of the text tower, or as many as it has.
    attention, last: patches are read from a second stream through the last `last` blocks, where values attend to values
        (DPAM); by default 19 of 24 blocks, of other depths the same share, and none in a residual network, whose
        patches see only their surroundings anyway.
    weight: of the map's losses; the image's cross entropy has 1.
    As in the authors' code, and not in the paper, the image embedding leaves out the last norm and only the last layer
    makes the map: the published numbers come from it. They resize position tables by `resize="bilinear"`, see
    `encoders.load`. Deviation: they round deep tokens to half precision.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        tokens: int = 12,
        deep_tokens: int = 4,
        deep_depth: int = 9,
        attention: Attention = "vv",
        last: int | None = None,
        temperature: float = 0.07,
        weight: float = 4.0,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        needs: set[Capability] = {"text", "prompts", "seams"} if last else {"text", "prompts"}
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs=needs))
        self.tokens, self.deep_tokens, self.deep_depth = tokens, deep_tokens, deep_depth
        self.attention, self.last, self.temperature, self.weight = attention, last, temperature, weight
        self.sigma, self.image_size, self.seed = sigma, image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        self.prompts = object_prompts(
            self.encoder, tokens=tokens, deep_tokens=deep_tokens, deep_depth=deep_depth, seed=seed
        )
        self.updates = Updates()
        self.register_buffer("texts", torch.zeros(2, self.encoder.width))  # (2, D), what the prompts say
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """As any module's; when training ends the sentences are read once, for all pictures to come."""
        return renew_buffer(super().train(mode), "texts", lambda: self.prompts(self.encoder))

    @property
    def schedule(self) -> Schedule:
        """The authors', for the 2,162 test pictures of VisA 15 times over: Adam at a constant rate."""
        return Schedule(steps=4050, rate=1e-3, batch_size=8, betas=(0.5, 0.999), floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The prompts'."""
        return [ParameterGroup(list(self.prompts.parameters()))]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of the image; focal loss, and dice loss of either class, of the map (Eq. 2 and 3)."""
        seen, truth = batch.features or self.frozen(batch.images), masks_of(batch)
        texts = self.prompts(self.encoder)  # (2, D), with gradients
        self.updates.add()
        return whole_and_map(*defect_logits(seen, texts, self.temperature), truth, weights=(1.0, self.weight))

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        picture, grid = defect_logits(self.frozen(images), self.texts, self.temperature)  # (N,), (N, h, w)
        return Prediction(picture.sigmoid(), smooth(upsample(grid.sigmoid(), images.shape[-2:]), self.sigma))

    def frozen(self, images: Tensor) -> Features:
        """Image embedding (N, D), and patches in its space (N, h, w, D)."""
        layers = [self.encoder.depth]
        return read_in_words(self.encoder, images, layers, attention=self.attention, last=self.last)

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' file: its `prompt_learner`."""
        return gather_words(theirs, self.prompts)
