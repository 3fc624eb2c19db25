"""A detector beside a classifier: both look at pictures once."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from blemish.blocks.exemplars import CachedEncoder
from blemish.classification.namer import Namer
from blemish.types import Classifier, Detector, Follower, Prediction


class WithNames(nn.Module):
    """The detector's prediction, and with it what a classifier sees of each place.

    Both see by `encoder`, which looks once. Regions are found, and named by `namer`, when their picture is decided.
    """

    def __init__(
        self, detector: Detector, encoder: CachedEncoder, classifier: Classifier, namer: Namer | None = None
    ) -> None:
        super().__init__()
        self.detector, self.encoder, self.classifier, self.namer = detector, encoder, classifier, namer
        self.geometry, self.types = detector.geometry, namer.classifier.types if namer else ()

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in the detector's own units."""
        self.encoder.clear()
        return self.detector(images)._replace(places=self.classifier.places(images), type_scores=None, type_map=None)

    @property
    def online(self) -> bool:
        """Whether the detector is to follow a stream."""
        return isinstance(self.detector, Follower) and self.detector.online

    def follow(self, images: Tensor) -> Prediction:
        """As when called, and the detector remembers them, see `types.Follower`."""
        self.encoder.clear()
        found = cast(Follower, self.detector).follow(images)
        return found._replace(places=self.classifier.places(images), type_scores=None, type_map=None)
