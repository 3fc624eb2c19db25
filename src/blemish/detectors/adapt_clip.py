"""AdaptCLIP. Gao, Zhou, Yan, Cai, Zhang, Wang, Liu, Liu, Wang & Wang, "AdaptCLIP: Adapting CLIP for Universal Visual
Anomaly Detection", AAAI 2026, arXiv:2505.09926.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import BottleneckAdapter
from blemish.blocks.comparison import ComparisonHead, gather_adapters
from blemish.blocks.joint_space import comparable_layers, defect_logits, read_in_words
from blemish.blocks.learned import Updates, renew_buffer
from blemish.blocks.learned_prompts import LearnedPrompts
from blemish.blocks.losses import masks_of, whole_and_map
from blemish.blocks.maps import fuse_mean, maximum, smooth, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.prompts import prototypes
from blemish.blocks.windows import fuse_harmonic
from blemish.encoders.capabilities import geometry
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Attention, Batch, Encoder, Features, Prediction, PromptEncoder

PRODUCT, SUFFIXES = "object", (".", ".")  # of the written sentences, and of the learned ones: they name no product


class AdaptCLIP(nn.Module):
    """Three adapters that never meet in training: adapted pictures against written sentences, pictures as they are
    against learned sentences, and after `fit` pictures against good parts, by heads that are trained to compare.

    anomaly_map: the mean of the adapters' probabilities, blurred; fitted, first its harmonic mean with the cosine
        distances to the nearest good patch of each layer. image_score: the mean of the adapters' probabilities for the
        picture and of the highest value of the map; fitted, the harmonic mean of both.
    layers: of the comparison; sentences are compared with the last. Of a residual network there is only the last.
    tokens: words of each learned sentence. attention, last: as AnomalyCLIP's, whose second stream of patches this is.
    As in the authors' code the image embedding leaves out the last norm. They resize position tables by
    `resize="bilinear"`, see `encoders.load`. Deviation: batches are of one product, and a picture is compared with
    another good one of its batch, or left out of that loss; they mix products, and draw a good picture for each. The
    batch norm of their first adapter's places also sees class tokens, and one of their 21 templates comes twice.
    """

    texts: Tensor
    sentences: Tensor
    banks: Sequence[MemoryBank]

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        tokens: int = 12,
        attention: Attention = "vv",
        last: int | None = None,
        temperature: float = 0.07,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs={"text", "prompts"}))
        self.layers, self.tokens, self.attention, self.last = layers, tokens, attention, last
        self.temperature, self.sigma, self.image_size, self.seed = temperature, sigma, image_size, seed
        self.geometry, width = geometry(self.encoder, image_size), self.encoder.width
        self.taps = comparable_layers(self.encoder, layers)
        self.prompts = LearnedPrompts(SUFFIXES, self.encoder.prompt_width, tokens=tokens, seed=seed)
        with randomness(torch.device("cpu"), seed):
            self.whole, self.places = (BottleneckAdapter(width) for _ in range(2))
            self.comparison = ComparisonHead(width, len(self.taps))
        self.updates = Updates()
        self.banks = cast("Sequence[MemoryBank]", nn.ModuleList(MemoryBank() for _ in self.taps))
        self.register_buffer("texts", prototypes(self.encoder, PRODUCT), persistent=False)  # (2, D)
        self.register_buffer("sentences", torch.zeros(len(SUFFIXES), width))  # (2, D), what the prompts say
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """As any module's; when training ends the sentences are read once, for all pictures to come."""
        return renew_buffer(super().train(mode), "sentences", lambda: self.prompts(self.encoder))

    @property
    def schedule(self) -> Schedule:
        """The authors', for the 2,162 test pictures of VisA 15 times over: Adam at a constant rate."""
        return Schedule(steps=4050, rate=1e-3, batch_size=8, betas=(0.5, 0.999), floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """All three adapters', under one optimizer."""
        parts = (self.whole, self.places, self.comparison)
        return [ParameterGroup([self.prompts.context, *(each for part in parts for each in part.parameters())])]

    def frozen(self, images: Tensor) -> Features:
        """Image embedding (N, D), and the layers' patches in its space."""
        return read_in_words(self.encoder, images, self.taps, attention=self.attention, last=self.last)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of each adapter: cross entropy of the picture, focal loss of the map and dice loss of either class."""
        seen, truth = batch.features or self.frozen(batch.images), masks_of(batch)
        visual, textual = self._read(seen, self.prompts(self.encoder))
        terms = {"visual": _sum(*visual, truth), "textual": _sum(*textual, truth)}
        rows, found = self.comparison.within(seen.patches, truth.flatten(1).amax(1) == 0, batch.products)
        if found:
            terms["comparison"] = torch.stack([_sum(one, grid, truth[rows]) for one, grid in found]).sum()
        self.updates.add()
        return terms

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """Patches of each layer."""
        return tuple((F.normalize(each, dim=-1).flatten(0, 2),) for each in self.frozen(batch.images).patches)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        seen, size = self.frozen(images), images.shape[-2:]
        pairs = self._read(seen, self.sentences)
        scores = [picture.sigmoid() for picture, _ in pairs]  # (N,) each
        maps = [upsample(grid.sigmoid(), size) for _, grid in pairs]  # (N, H, W) each
        if not self.banks[0].fitted:
            whole = smooth(fuse_mean(*maps), self.sigma)
            return Prediction(fuse_mean(*scores, maximum(whole)), whole)
        score, compared, far = self.comparison.against(self.banks, seen.patches, size)
        whole = smooth(fuse_harmonic(fuse_mean(*maps, compared), far), self.sigma)
        return Prediction(fuse_harmonic(fuse_mean(*scores, score), maximum(whole)), whole)

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' file: `textual_learner`, `visual_learner` and `pq_learner`."""
        return gather_adapters(theirs)

    def _read(self, seen: Features, sentences: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Logits of a defect by written texts, and by learned ones: of the picture (N,) and of its places (N, h, w)."""
        adapted = Features(self.whole(seen.image), (self.places(seen.patches[-1]),))
        visual = defect_logits(adapted, self.texts, self.temperature)
        return visual, defect_logits(seen, sentences, self.temperature)


def _sum(picture: Tensor, grid: Tensor, truth: Tensor) -> Tensor:
    return torch.stack(list(whole_and_map(picture, grid, truth).values())).sum()
