"""AF-CLIP. Fang, Lv & Su, "AF-CLIP: Zero-Shot Anomaly Detection via Anomaly-Focused CLIP Adaptation", ACM Multimedia
2025, arXiv:2507.19949.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.joint_space import comparable_layers
from blemish.blocks.learned import Updates, renew_buffer
from blemish.blocks.learned_prompts import SharedPrompt
from blemish.blocks.losses import absolute_error, agreement_focal, focal, masks_of, patch_alignment, round_masks
from blemish.blocks.maps import maximum, smooth, upsample
from blemish.blocks.memory import MemoryBank
from blemish.blocks.tokens import SelfAttention, blur_neighbours, read_tokens
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Features, Prediction, PromptEncoder

STATES = ("without defect.", "with defect.")  # of every product


class AFCLIP(nn.Module):
    """Neighbourhoods of patches of several layers, through one trained self-attention, against two learned sentences;
    after `fit`, against the same neighbourhoods of good parts as well.

    image_score: probability of the anomalous sentence for the whole picture; fitted, `alpha` times that plus the
        highest distance to a good neighbourhood, halved.
    anomaly_map: the same of the places, blurred.
    layers: by default those at a quarter, a half, three quarters and the whole of the depth. Of a residual network only
        the last has a place in the space of words, and the mean of its patches stands for the class token.
    tokens: learned words in front of both sentences. sizes, spread: of neighbourhoods, whose mean is Gaussian; places
        outside the picture count as 0. map_weight, alignment_weight: of the losses (lambda 1 and 2).
    They resize position tables by `resize="bilinear"`, see `encoders.load`. Deviation: by a slip their alignment loss
    changes the mask that the focal loss still needs for its gradient; here not. Their bank holds the last batch only.
    """

    texts: Tensor
    banks: Sequence[MemoryBank]

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        layers: Sequence[int] | None = None,
        tokens: int = 12,
        sizes: Sequence[int] = (1, 3, 5),
        spread: float = 4.0,
        temperature: float = 0.07,
        map_weight: float = 1.0,
        alignment_weight: float = 1.0,
        alpha: float = 0.1,
        sigma: float = 4.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs={"text", "prompts"}))
        self.layers, self.tokens, self.sizes, self.spread = layers, tokens, sizes, spread
        self.temperature, self.map_weight, self.alignment_weight = temperature, map_weight, alignment_weight
        self.alpha, self.sigma, self.image_size, self.seed = alpha, sigma, image_size, seed
        self.geometry, self.taps = geometry(self.encoder, image_size), comparable_layers(self.encoder, layers)
        self.prompt = SharedPrompt(STATES, self.encoder.prompt_width, tokens=tokens, seed=seed)
        self.adapter = SelfAttention(self.encoder.widths[-1], seed=seed)
        banks = [MemoryBank() for _ in self.taps for _ in sizes]
        self.updates, self.banks = Updates(), cast("Sequence[MemoryBank]", nn.ModuleList(banks))
        self.register_buffer("texts", torch.zeros(len(STATES), self.encoder.width))  # (2, D), what the sentences say
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """When training ends, what the sentences say is kept."""
        return renew_buffer(super().train(mode), "texts", lambda: self.prompt(self.encoder))

    @property
    def schedule(self) -> Schedule:
        """The authors', for the 1,725 test pictures of MVTec AD twice over: Adam at a constant rate."""
        return Schedule(steps=432, rate=1e-4, batch_size=8, betas=(0.5, 0.999), floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The learned words, and the self-attention."""
        return [ParameterGroup([*self.prompt.parameters(), *self.adapter.parameters()])]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """Class tokens of the layers side by side (N, L C), and their patches."""
        return read_tokens(self.encoder, images, self.taps)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal of the picture; focal and L1 of the map, and alignment of patches, on the grid."""
        seen, masks = batch.features or self.frozen(batch.images), masks_of(batch)
        whole, grid, places = self._read(seen, self.prompt(self.encoder))  # (N,), (N, h, w), S x (N, h, w, D)
        truth = round_masks(upsample(masks, grid.shape[1:]))
        aligned = torch.stack([patch_alignment(each, truth) for each in places]).mean()
        self.updates.add()
        return {
            "image": focal(whole, masks.flatten(1).amax(1), gamma=4.0),
            "focal": self.map_weight * agreement_focal(grid, truth, gamma=4.0),
            "l1": self.map_weight * absolute_error(grid, truth),
            "alignment": self.alignment_weight * aligned,
        }

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """Neighbourhoods of each layer and size."""
        sets = self._sets(self.frozen(batch.images))
        return tuple((F.normalize(each, dim=-1).flatten(0, 2),) for each in sets)

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        seen = self.frozen(images)
        whole, grid = (logits.sigmoid() for logits in self._read(seen, self.texts)[:2])  # (N,), (N, h, w)
        if self.banks[0].fitted:
            far = [bank.distance(each) / 2 for bank, each in zip(self.banks, self._sets(seen), strict=True)]
            near = torch.stack(far).mean(0)  # (N, h, w)
            whole, grid = maximum(near) + self.alpha * whole, near + self.alpha * grid
        return Prediction(whole, smooth(upsample(grid, images.shape[-2:]), self.sigma))

    def _sets(self, seen: Features) -> list[Tensor]:
        return [blur_neighbours(each, size, self.spread) for each in seen.patches for size in self.sizes]

    def _read(self, seen: Features, texts: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Logits of the picture (N,) and of its places (N, h, w), and the unit places of each set (N, h, w, D)."""
        classes, found = seen.image.unflatten(1, (len(self.taps), 1, -1)), list[Tensor]()
        for number, grid in enumerate(self._sets(seen)):
            tokens = torch.cat([classes[:, number // len(self.sizes)], grid.flatten(1, 2)], 1)  # (N, 1 + h w, C)
            found.append(F.normalize(self.encoder.project(self.adapter(tokens)), dim=-1))  # (N, 1 + h w, D)
        # In this order: OpenVINO fails at a product with a vector that is then divided.
        logits = torch.stack(found).sum(0) @ ((texts[1] - texts[0]) / self.temperature)  # (N, 1 + h w)
        size = seen.patches[0].shape[1:3]
        return logits[:, 0], logits[:, 1:].unflatten(1, size), [each[:, 1:].unflatten(1, size) for each in found]
