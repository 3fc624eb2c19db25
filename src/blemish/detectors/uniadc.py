"""UniADC. Zhang, Xu, Zhang, Hu & Zhou, "UniADC: A Unified Framework for Anomaly Detection and Classification",
2025, arXiv:2511.06644: its discriminator, which detects and names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.fusion import LayerFusion, type_entropy
from blemish.blocks.heads import quarters
from blemish.blocks.learned import Updates
from blemish.blocks.losses import dice, focal
from blemish.blocks.prompts import UNIADC, type_prompts, type_prototypes
from blemish.blocks.targets import targets_of
from blemish.encoders.capabilities import geometry
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Features, Prediction, SeamEncoder, TextEncoder

EPOCHS = 50
"""Of five steps each; the rate falls after every one."""


class UniADC(nn.Module):
    """Fused layers against sentences for each type of defect, with none for a good part: what is like no type is good.

    anomaly_map: sigmoid of the mean over types of cos / epsilon, in [0, 1].
    image_score: the mean of its `pixels` highest. type_scores: the softmax over types there.
    type_map: the likeliest type where the map is 0.5 or more, else -1.
    defects: names of types, or with words, {"uneven": "uneven grinding"}; those of no label are told by words alone.
    Deviation: the authors make defects by inpainting, here `--augment` does; they clip the gradient of the fusion, here
    that of all is; they scale maps by the test set before they name, and keep the epoch that is best on it, here
    nothing is scaled and the last is kept. Of an encoder without a last norm for patches layers are normalised plainly.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | TextEncoder = encoders.DEFAULT,
        *,
        product: str = "object",
        defects: Sequence[str] | Mapping[str, str] = (),
        layers: Sequence[int] | None = None,
        pixels: int = 100,
        image_size: int = 512,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(TextEncoder, encoders.load(encoder, needs={"text"}))
        self.product, self.defects, self.layers, self.pixels = product, defects, layers, pixels
        self.image_size, self.seed, self.geometry = image_size, seed, geometry(self.encoder, image_size)
        self.type_prompts = type_prompts(product, defects)
        self.types = tuple(filter(None, self.type_prompts))
        self.taps = tuple(layers or quarters(self.encoder.depth))
        self.register_buffer("texts", type_prototypes(self.encoder, product, defects, UNIADC)[1:])  # (K, D)
        with randomness(torch.device("cpu"), seed):
            self.fusion = LayerFusion([self.encoder.widths[tap - 1] for tap in self.taps], self.encoder.width)
        self.epsilon, self.updates = nn.Parameter(torch.tensor(1.0)), Updates()
        self.requires_grad_(False).eval()

    @property
    def schedule(self) -> Schedule:
        """The authors': the rate is 0.001 (1 - epoch / 50)^0.9."""
        left = [(1 - epoch / EPOCHS) ** 0.9 for epoch in range(EPOCHS)]
        drops = tuple((epoch / EPOCHS, left[epoch] / left[epoch - 1]) for epoch in range(1, EPOCHS))
        return Schedule(steps=5 * EPOCHS, rate=1e-3, batch_size=16, drops=drops, clip=0.1)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The fusion's, and epsilon."""
        return [ParameterGroup([*self.fusion.parameters(), self.epsilon], decay=1e-4)]

    @torch.no_grad()
    def frozen(self, images: Tensor) -> Features:
        """What the encoder sees in (N, 3, H, W)."""
        return self.encoder(images, layers=self.taps)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Focal and dice loss of the map, and half the cross entropy of types where there are defects of known ones."""
        size = batch.images.shape[-2:]
        given = targets_of(batch, size, self.types)
        classes = self._classes((batch.features or self.frozen(batch.images)).patches, size)[given.known]
        logits, truth = classes.mean(1), given.truth[given.known]
        self.updates.add()
        return {
            "focal": focal(logits, truth),
            "dice": dice(logits.sigmoid(), truth),
            "type": 0.5 * type_entropy(classes, truth, given.numbers[given.known]),
        }

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        classes = self._classes(self.frozen(images).patches, images.shape[-2:])  # (N, K, H, W)
        whole = classes.mean(1).sigmoid()  # (N, H, W)
        highest, places = whole.flatten(1).topk(min(self.pixels, whole[0].numel()))
        probability = classes.softmax(1)
        named = probability.flatten(2).gather(2, places[:, None].expand(-1, classes.shape[1], -1)).mean(2)  # (N, K)
        return Prediction(highest.mean(1), whole, named, torch.where(whole >= 0.5, probability.argmax(1), -1))

    def _classes(self, layers: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Cosines with each type by epsilon: (N, h, w, C_l) -> (N, K, H, W)."""
        fused = F.normalize(self.fusion([self._normalised(each) for each in layers]), dim=-1)  # (N, h, w, D)
        grid = fused @ self.texts.T / self.epsilon
        return F.interpolate(grid.movedim(-1, 1), list(size), mode="bilinear", align_corners=False)

    def _normalised(self, layer: Tensor) -> Tensor:
        if "seams" in self.encoder.can:
            return cast(SeamEncoder, self.encoder).norm(layer).float()
        return F.layer_norm(layer, layer.shape[-1:])
