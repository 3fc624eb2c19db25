"""SCF-AD: "Self-Supervised CLIP-Guided for Few-Shot Industrial Anomaly Detection". Its authors publish their model
(yikuizhai/SCF-AD), not how they train it: that is a reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import ScaledAdapter
from blemish.blocks.comparison import choose_references
from blemish.blocks.heads import quarters
from blemish.blocks.learned import Updates, renew_buffer
from blemish.blocks.learned_prompts import LearnedPrompts
from blemish.blocks.losses import masks_of, segmentation
from blemish.blocks.maps import fuse_mean, maximum, upsample
from blemish.blocks.places import PlaceMemory
from blemish.blocks.prompts import APRIL_GAN
from blemish.encoders.capabilities import geometry
from blemish.errors import BadInput
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction, PromptEncoder


class SCFAD(nn.Module):
    """Patches of several layers, adapted, against learned sentences, and adapted otherwise against the same place of a
    few good parts; a linear map weighs both. It is trained on good parts and made defects alone.

    anomaly_map: the probability of a defect. image_score: its highest. Parts must stand at the same place in every
        picture; of several good parts the nearest counts, and all are remembered whole: it is meant for few. Without
        any, both are of the sentences alone.
    tokens: learned words in front of each sentence. defects: what can go wrong, in words, beside general states.
    compete: whether the distances of a place are softmaxed over the layers, as in the authors' code. Deviation: not by
        default, since a place that differs alike in all layers is then as good as one that does not differ.
    Deviation: the sentences are read with CLIP's causal mask, which the authors' code leaves out. The comparison begins
        as the plain distance and as heavy as the sentences; theirs begins at random.
    """

    texts: Tensor
    banks: Sequence[PlaceMemory]

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        defects: Sequence[str] = (),
        layers: Sequence[int] | None = None,
        tokens: int = 8,
        reduction: int = 4,
        compete: bool = False,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs={"text", "prompts"}))
        self.product, self.defects, self.layers, self.tokens = product, defects, layers, tokens
        self.reduction, self.compete, self.image_size, self.seed = reduction, compete, image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        self.taps = tuple(layers or quarters(self.encoder.depth))
        faulty = (*APRIL_GAN.anomalous, *(f"{{}} with {defect}" for defect in defects))
        said = [[f"{state.format(product)}." for state in states] for states in (APRIL_GAN.normal, faulty)]
        self.prompts = nn.ModuleList(
            LearnedPrompts(sentences, self.encoder.prompt_width, tokens=tokens, seed=seed + number)
            for number, sentences in enumerate(said)
        )
        widths, generator = [self.encoder.widths[tap - 1] for tap in self.taps], torch.Generator().manual_seed(seed)
        self.toward_words, self.toward_parts = (
            nn.ModuleList(ScaledAdapter(*sizes, reduction=reduction, generator=generator) for sizes in pairs)
            for pairs in ([(width, self.encoder.width) for width in widths], [(width, width) for width in widths])
        )
        self.weights, self.bias = nn.Parameter(torch.full((1 + len(widths),), 10.0)), nn.Parameter(torch.tensor(-8.0))
        self.updates = Updates()
        self.banks = cast("Sequence[PlaceMemory]", nn.ModuleList(PlaceMemory() for _ in self.taps))
        self.register_buffer("texts", torch.zeros(2, self.encoder.width))  # normal, and not
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """As any module's; when training ends the sentences are read once, for all pictures to come."""
        return renew_buffer(super().train(mode), "texts", self._read)

    @property
    def schedule(self) -> Schedule:
        """Of our own: nothing is published."""
        return Schedule(steps=500, rate=1e-3, batch_size=8)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The prompts', the adapters', and at ten times the rate what weighs them."""
        contexts = [cast(LearnedPrompts, each).context for each in self.prompts]
        first = ParameterGroup([*contexts, *self.toward_words.parameters(), *self.toward_parts.parameters()])
        return [first, ParameterGroup([self.weights, self.bias], rate=10.0)]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """The layers."""
        return self.encoder(images, layers=self.taps)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal and dice loss of the map of each picture beside another good one of the batch; raises BadInput."""
        layers, truth = (batch.features or self.frozen(batch.images)).patches, masks_of(batch)
        rows, others = choose_references(truth.flatten(1).amax(1) == 0, batch.products)
        if not len(rows):
            raise BadInput("a part is compared with another good one of its batch: use --batch-size 4 or more")
        good = [F.normalize(each[others], dim=-1) for each in layers]
        adapted = self._adapt([each[rows] for each in layers])
        far = [1 - (each * other).sum(-1) for each, other in zip(adapted, good, strict=True)]
        logits = self._fuse([each[rows] for each in layers], far, self._read(), truth.shape[-2:])
        self.updates.add()
        return segmentation([logits.sigmoid()], truth[rows])

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """The grid of each layer, (N, h, w, C)."""
        return tuple((F.normalize(each, dim=-1),) for each in self.frozen(batch.images).patches)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]; raises BadInput for another size than learned."""
        self.updates.require()
        layers = self.frozen(images).patches
        far = [bank.distance(x) for bank, x in zip(self.banks, self._adapt(layers), strict=True) if bank.fitted]
        found = self._fuse(layers, far, self.texts, images.shape[-2:]).sigmoid()  # (N, H, W)
        return Prediction(maximum(found), found)

    def _fuse(self, layers: Sequence[Tensor], far: Sequence[Tensor], texts: Tensor, size: Sequence[int]) -> Tensor:
        """Logits (N, H, W) of patches (N, h, w, C) of each layer, and of their distances (N, h, w), if any."""
        more = texts[1] - texts[0]  # (D,)
        toward = [adapter(each) @ more for adapter, each in zip(self.toward_words, layers, strict=True)]
        words = fuse_mean(*(upsample(each, size, corners=True) for each in toward)).sigmoid()  # (N, H, W)
        maps = [words, *(upsample(each, size) for each in far)]
        if self.compete and far:
            maps[1:] = torch.stack(maps[1:]).softmax(0).unbind()
        return torch.stack([weight * each for weight, each in zip(self.weights, maps, strict=False)]).sum(0) + self.bias

    def _adapt(self, layers: Sequence[Tensor]) -> list[Tensor]:
        return [adapter(each) for adapter, each in zip(self.toward_parts, layers, strict=True)]

    def _read(self) -> Tensor:
        """What is normal and what is not, each the mean of its sentences, of unit length: (2, D)."""
        said = [cast(LearnedPrompts, each).embeddings(self.encoder).mean(0) for each in self.prompts]
        return F.normalize(torch.stack(said), dim=-1)
