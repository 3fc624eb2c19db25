"""AA-CLIP. Ma, Zhang, Yao, Tang, Wu, Li, Yan, Jiang & Zhou, "AA-CLIP: Enhancing Zero-shot Anomaly Detection via
Anomaly-Aware CLIP", CVPR 2025, arXiv:2503.06661.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.adapters import AdaptedLayers
from blemish.blocks.heads import quarters
from blemish.blocks.learned import Updates
from blemish.blocks.losses import masks_of, orthogonality, segmentation
from blemish.blocks.maps import fuse_mean, keep_scale, maximum, smooth, upsample
from blemish.blocks.prompts import ensemble, prototypes
from blemish.blocks.similarity import text_margin
from blemish.blocks.text_adapters import TextAdapters, text_targets
from blemish.encoders.capabilities import geometry
from blemish.training.schedule import Schedule, Stage
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Encoder, Prediction, PromptEncoder, Scale


class AACLIP(nn.Module):
    """Texts are taught first what an anomaly is, by adapters in the text tower, and then patches to lie near them.

    image_score: mean of the map's highest value, divided by a layer's largest logit and the layers, and the anomalous
        text's cosine with the mean patch, brought to [0, 1]. Deviation: the authors rescale both over a test set.
    anomaly_map: (s_a + 1 - s_n) / 2 of the logits of both texts, blurred on the grid, summed over the layers.
    text_blocks, image_blocks: that have a residual adapter, the first 3 and the first quarter (6 of 24); a residual
        network has one on each layer it gives instead. text_weight, image_weight: of what an adapter adds.
    disentangle: weight of the squared cosine of the two texts. sigma: of the blur, in patches; 1.5 for medical images.
    anchor_layers: what teaches the texts. As in the authors' code, whose loop keeps the last layer's loss only, the
        last; the paper sums over `layers`.
    The authors run OpenAI's weights with `activation="gelu"` and `resize="bicubic-antialias"`, see `encoders.load`,
    and name products by descriptions ("top view of three cables"). Deviation: the texts' targets are AnomalyCLIP's
    second stream of values that attend to values; the authors' copy of it mixes, by a slip, pictures of a batch
    instead of patches. They jitter colours and move pictures in training.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        product: str = "object",
        layers: Sequence[int] | None = None,
        anchor_layers: Sequence[int] | None = None,
        text_blocks: int = 3,
        image_blocks: int | None = None,
        text_weight: float = 0.1,
        image_weight: float = 0.1,
        disentangle: float = 0.1,
        temperature: float = 0.01,
        words: str = "aa-clip",
        sigma: float = 1.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs={"text", "prompts"}))
        self.product, self.layers, self.anchor_layers, self.words = product, layers, anchor_layers, words
        self.text_blocks, self.image_blocks, self.disentangle = text_blocks, image_blocks, disentangle
        self.text_weight, self.image_weight, self.temperature = text_weight, image_weight, temperature
        self.sigma, self.image_size, self.seed = sigma, image_size, seed
        self.geometry = geometry(self.encoder, image_size)
        self.taps, self.stage = tuple(layers or quarters(self.encoder.depth)), 0
        quarter, depth = max(1, self.encoder.depth // 4), min(text_blocks, self.encoder.prompt_depth)
        width, output, blocks = self.encoder.prompt_width, self.encoder.width, image_blocks or quarter
        self.looking = AdaptedLayers(self.encoder, self.taps, output, blocks=blocks, weight=image_weight, seed=seed)
        self.reading = TextAdapters(width, output, blocks=depth, weight=text_weight, seed=seed)
        self.updates = Updates()
        # Not saved: a detector that was trained on some products is asked about others, by their words.
        self.register_buffer("texts", torch.zeros(2, output), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.read())  # type: ignore[no-untyped-call]
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """When training ends, what the text tower has learned makes of the words is kept."""
        super().train(mode)
        if not mode:
            self.read()
        return self

    @torch.no_grad()
    def read(self) -> None:
        """Read the words anew, as the text tower reads them now."""
        self.texts = self._texts([self.product])[0]

    @property
    def schedule(self) -> Schedule:
        """The authors', for VisA's 2,162 test pictures: 5 epochs of 16 for the texts, then 20 of 2 for the patches."""
        stages = Stage(676 / 22296, accumulate=8), Stage(21620 / 22296)
        drops = ((16676 / 22296, 0.5),)
        return Schedule(steps=22296, rate=5e-4, batch_size=2, betas=(0.5, 0.999), drops=drops, stages=stages)

    def trained_parameters(self) -> list[ParameterGroup]:
        """Those of the text tower at 1e-5, and those of the image tower."""
        reading, looking = (list(each.parameters()) for each in (self.reading, self.looking))
        return [ParameterGroup(reading, rate=0.02), ParameterGroup(looking)]

    def begin(self, stage: int) -> None:
        """0: the texts. 1: the patches, towards the texts as they are now."""
        self.stage = stage

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Of each layer's map focal and dice; first also how alike the texts are, then the picture's cross entropy."""
        truth, products = masks_of(batch), batch.products or [self.product] * len(batch)
        self.updates.add()
        texts = self._texts(products)  # (N, 2, D)
        if self.stage == 0:
            patches = text_targets(self.encoder, batch.images, self.anchor_layers)
            more = {"disentangle": self.disentangle * orthogonality(texts[:, 0], texts[:, 1])}
        else:
            texts, (patches, whole) = texts.detach(), self.looking(self.encoder, batch.images)
            logits = torch.einsum("nd,ncd->nc", whole, texts)
            more = {"image": F.cross_entropy(logits, truth.flatten(1).amax(1).long())}
        grids = [text_margin(each, texts, self.temperature) for each in patches]  # (N, h, w)
        return more | segmentation([upsample(each, truth.shape[1:], corners=True).sigmoid() for each in grids], truth)

    def forward(self, images: Tensor, *, scale: Scale = keep_scale) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        self.updates.require()
        patches, whole = self.looking(self.encoder, images)  # (N, h, w, D) each, (N, D)
        margins = [text_margin(each, self.texts[None], self.temperature) for each in patches]  # (N, h, w)
        blurred = [smooth((each + 1) / 2, self.sigma, radius=int(3 * self.sigma), border="mirror") for each in margins]
        found = torch.stack([upsample(each, images.shape[-2:], corners=True) for each in blurred]).sum(0)  # (N, H, W)
        highest = maximum(scale("map", found * self.temperature / len(self.taps)))
        return Prediction(fuse_mean(highest, scale("picture", (whole @ self.texts[1] + 1) / 2)), found)

    def _texts(self, products: Sequence[str]) -> Tensor:
        """Prototypes of the normal and the anomalous product, a pair a name: (N, 2, D)."""
        reader, words = self.reading(self.encoder), ensemble(self.words)
        found = {each: prototypes(reader, each, words, normalize_sentences=True) for each in set(products)}
        return torch.stack([found[each] for each in products])
