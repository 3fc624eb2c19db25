"""A detector beside a classifier: both look at pictures once."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.exemplars import CachedEncoder
from blemish.classification.namer import Namer
from blemish.types import Classifier, Detector, Follower, Prediction


class WithNames(nn.Module):
    """The detector's prediction, and with it what a classifier sees of each place; the last channel is its own map.

    That map is not raised by what is known of defects, so what is taught and what is named are cut out alike. Both see
    by `encoder`, which looks once. Regions are found, and named by `namer`, when their picture is decided.
    """

    def __init__(
        self, detector: Detector, encoder: CachedEncoder, classifier: Classifier, namer: Namer | None = None
    ) -> None:
        super().__init__()
        self.detector, self.encoder, self.namer = detector, encoder, namer
        self._held = (classifier,)  # no part of this module: it stays on the processor
        self.geometry, self.types = detector.geometry, namer.classifier.types if namer else ()

    @property
    def classifier(self) -> Classifier:
        """What sees the places."""
        return self._held[0]

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in the detector's own units."""
        self.encoder.clear()
        return self._with_places(self.detector(images), images)

    @property
    def online(self) -> bool:
        """Whether the detector is to follow a stream."""
        return isinstance(self.detector, Follower) and self.detector.online

    def follow(self, images: Tensor) -> Prediction:
        """As when called, and the detector remembers them, see `types.Follower`."""
        self.encoder.clear()
        return self._with_places(cast(Follower, self.detector).follow(images), images)

    def _with_places(self, found: Prediction, images: Tensor) -> Prediction:
        places = self.classifier.places(images)
        own = F.adaptive_avg_pool2d(found.anomaly_map[:, None].to(places.dtype), (places.shape[1], places.shape[2]))
        joined = torch.cat([places, own.permute(0, 2, 3, 1)], -1)
        return found._replace(places=joined, type_scores=None, type_map=None)
