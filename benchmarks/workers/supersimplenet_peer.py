"""anomalib's SuperSimpleNet in the place of ours: the same encoder, batches and number of steps, its heads and losses.

Its noise is in units of its own backbone's features; here it is half the spread of the encoder's, as ours takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from anomalib.models.image.supersimplenet import torch_model
from anomalib.models.image.supersimplenet.loss import SSNLoss
from torch import Tensor, nn

from blemish.detectors.supersimplenet import SuperSimpleNet
from blemish.synth.published.feature_noise import spread
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch, Features, Prediction


class Layers(nn.Module):
    """The encoder's layers by name, (N, C, h, w) each, or those that were kept."""

    def __init__(self, encoder: Any, taps: Sequence[int]) -> None:
        super().__init__()
        self.encoder, self.taps, self.kept = [encoder], taps, cast(Features | None, None)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """As its TimmFeatureExtractor gives them."""
        seen = self.kept or self.encoder[0](images, layers=self.taps)
        return {str(number): each.permute(0, 3, 1, 2) for number, each in enumerate(seen.patches)}


class Peer(nn.Module):
    """A detector and a trainable, as ours is."""

    def __init__(self, own: SuperSimpleNet) -> None:
        super().__init__()
        self.geometry, self.schedule, self.own = own.geometry, own.schedule, [own]
        layers = Layers(own.encoder, own.taps)

        class Extractor(torch_model.UpscalingFeatureExtractor):  # type: ignore[misc]
            def __init__(self, **_: Any) -> None:
                nn.Module.__init__(self)
                self.feature_extractor, self.pooler = layers, nn.AvgPool2d(3, 1, 1)

        usual, torch_model.UpscalingFeatureExtractor = torch_model.UpscalingFeatureExtractor, Extractor
        torch.manual_seed(own.seed)
        self.model = torch_model.SupersimplenetModel(own.threshold, stop_grad=not own.supervised)
        torch_model.UpscalingFeatureExtractor = usual
        self.criterion, self.layers, self.ready = SSNLoss(), layers, False

    def trained_parameters(self) -> list[ParameterGroup]:
        """As its configure_optimizers, of torch's AdamW."""
        adapter, heads = ([*part.parameters()] for part in (self.model.adaptor, self.model.segdec))
        return [ParameterGroup(adapter, rate=0.5, decay=0.01), ParameterGroup(heads, decay=1e-5)]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Its training_step."""
        self.layers.kept = batch.features
        if not self.ready:
            with torch.no_grad():
                self.model.anomaly_generator.noise_std = spread(self.model.feature_extractor(batch.images)) / 2
            self.ready = True
        grid, score, masks, labels = self.model(images=batch.images, masks=batch.masks, labels=batch.labels)
        self.layers.kept = None
        return {"loss": self.criterion(pred_map=grid, pred_score=score, target_mask=masks, target_label=labels)}

    def forward(self, images: Tensor) -> Prediction:
        """Its probabilities."""
        found = self.model(images)
        return Prediction(found.pred_score.flatten(), found.anomaly_map.squeeze(1))
