"""LECLIP. "LECLIP: Boosting Zero-Shot Anomaly Detection with Local Enhanced CLIP", 2025, code lyy70/LECLIP."""

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
from blemish.blocks.maps import fuse_mean, maximum, smooth, upsample
from blemish.blocks.windows import enlarge_window, mean_of_windows, overlapping_windows
from blemish.encoders.capabilities import geometry
from blemish.errors import BadInput
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Capability, Encoder, Features, Prediction, PromptEncoder


class LECLIP(nn.Module):
    """AnomalyCLIP's two sentences of learned words, compared with the picture, and with overlapping windows of it that
    are each looked at in full size (Local Alignment). Patches are mixed with those that are like them in queries, keys
    and values (Echo-Attention).

    image_score: the mean of the picture's probability of the anomalous sentence and of the highest one in the windows'
        map, in [0, 1]. anomaly_map: the mean of the patches' probability in the whole picture and in the windows,
        blurred, in [0, 1].
    tokens, deep_tokens, deep_depth: as AnomalyCLIP's. last: blocks of the second stream, by default 19 of 24, of other
        depths the same share, and none in a residual network.
    window, stride: shares of the picture's sides, 27 and 10 of 37 patches. None for no windows: that takes a fifth of
        the time, and is all that the authors' released test reports. Training looks at no windows.
    share: of the map's losses; the picture's cross entropy has the rest.
    As in the authors' code the image embedding leaves out the last norm. They resize position tables by
    `resize="bilinear"`, see `encoders.load`. Deviation: where strides do not end at the border a last window does;
    theirs leave what no window covers undefined. They round deep tokens to half precision.
    """

    texts: Tensor

    def __init__(
        self,
        encoder: str | Encoder = encoders.DEFAULT,
        *,
        tokens: int = 12,
        deep_tokens: int = 4,
        deep_depth: int = 9,
        last: int | None = None,
        window: float | None = 27 / 37,
        stride: float = 10 / 37,
        temperature: float = 0.07,
        share: float = 0.8,
        sigma: float = 8.0,
        image_size: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if window is not None and not 0 < stride <= window <= 1:
            raise BadInput(f"{window=}, {stride=}: give shares of the picture's sides, 0 < stride <= window <= 1")
        needs: set[Capability] = {"text", "prompts", "seams"} if last else {"text", "prompts"}
        self.encoder = cast(PromptEncoder, encoders.load(encoder, needs=needs))
        self.tokens, self.deep_tokens, self.deep_depth, self.last = tokens, deep_tokens, deep_depth, last
        self.window, self.stride, self.temperature, self.share = window, stride, temperature, share
        self.sigma, self.image_size, self.seed = sigma, image_size, seed
        self.geometry, self.updates = geometry(self.encoder, image_size), Updates()
        self.prompts = object_prompts(
            self.encoder, tokens=tokens, deep_tokens=deep_tokens, deep_depth=deep_depth, seed=seed
        )
        self.register_buffer("texts", torch.zeros(2, self.encoder.width))  # (2, D), what the prompts say
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """When training ends, what the prompts say is kept."""
        return renew_buffer(super().train(mode), "texts", lambda: self.prompts(self.encoder))

    @property
    def schedule(self) -> Schedule:
        """The authors', for the 2,162 test pictures of VisA 15 times over: Adam at a constant rate."""
        return Schedule(steps=4050, rate=1e-3, batch_size=8, betas=(0.5, 0.999), floor=1.0)

    def trained_parameters(self) -> list[ParameterGroup]:
        """The prompts'."""
        return [ParameterGroup(list(self.prompts.parameters()))]

    def frozen(self, images: Tensor) -> Features:
        """Image embedding (N, D), and patches in its space (N, h, w, D)."""
        return read_in_words(self.encoder, images, [self.encoder.depth], attention="echo", last=self.last)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of the picture; focal loss, and dice loss of either class, of the map of the whole picture."""
        seen, truth = batch.features or self.frozen(batch.images), masks_of(batch)
        logits = defect_logits(seen, self.prompts(self.encoder), self.temperature)
        self.updates.add()
        return whole_and_map(*logits, truth, weights=(1 - self.share, self.share))

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction, both parts in [0, 1]."""
        self.updates.require()
        size = images.shape[-2:]
        whole, grid = self._ask(images)  # (N,), (N, h, w)
        alone = smooth(upsample(grid, size, corners=True), self.sigma)  # (N, H, W)
        if self.window is None:
            return Prediction(whole, alone)
        near = self._align(images, grid.shape[1:], self.window)  # (N, h, w)
        windows = smooth(upsample(near, size, corners=True), self.sigma)  # (N, H, W)
        return Prediction(fuse_mean(whole, maximum(windows)), fuse_mean(alone, windows))

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of the authors' file: its `prompt_learner`."""
        return gather_words(theirs, self.prompts)

    def _ask(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities of the anomalous sentence, of pictures (N,) and of their places (N, h, w)."""
        picture, grid = defect_logits(self.frozen(images), self.texts, self.temperature)
        return picture.sigmoid(), grid.sigmoid()

    def _align(self, images: Tensor, size: torch.Size, window: float) -> Tensor:
        """The same of places in windows that are seen in the size of the picture: (N, h, w)."""
        windows = overlapping_windows(size[0], size[1], window, self.stride)
        closer = (enlarge_window(images, each, size) for each in windows)
        if torch.compiler.is_exporting():  # a graph has the tower once, for all windows together
            together = self._ask(torch.cat(list(closer)))[1]
            parts = together.view(len(windows), images.shape[0], *together.shape[1:]).unbind()
            return mean_of_windows(parts, windows, size)
        return mean_of_windows([self._ask(each)[1] for each in closer], windows, size)  # (N, h, w) each
