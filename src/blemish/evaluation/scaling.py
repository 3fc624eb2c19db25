"""Scores scaled by the very set that is measured, as the protocol "published" has it.

A detector whose authors do so takes `scale=`, a `types.Scale`, and hands it, by name, what they scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from blemish import catalog
from blemish.errors import BadInput
from blemish.evaluation.protocol import SCALED, check_protocol
from blemish.images import Inspected, View
from blemish.inspection import inspect
from blemish.notices import notice
from blemish.progress import ShowProgress
from blemish.types import Detector, Prediction, Sample, Scale


def min_max(scores: Tensor, lowest: float, highest: float) -> Tensor:
    """(scores - lowest) / (highest - lowest); 0 where these are the same."""
    return (scores - lowest) / (highest - lowest or 1.0)


def scale_by_set(
    detector: Detector, samples: Sequence[Sample], *, view: View, batch_size: int, watch: ShowProgress
) -> Detector:
    """The detector, whose scores are scaled by these pictures of one product; raises BadInput where none is."""
    method, ranges = _method_of(detector), dict[str, tuple[float, float]]()
    check_protocol("published", method)
    if len(products := sorted({sample.category for sample in samples})) > 1:
        raise BadInput(
            f"scores are scaled by pictures of one product: choose one by --category ({', '.join(products)})"
        )

    def widen(name: str, scores: Tensor) -> Tensor:
        low, high = ranges.get(name, (float("inf"), float("-inf")))
        ranges[name] = min(low, float(scores.min())), max(high, float(scores.max()))
        return scores

    pictures, advance = [sample.image for sample in samples], watch("scaling", len(samples))
    for found in inspect(ScaledDetector(detector, widen), pictures, view=view, batch_size=batch_size):
        if isinstance(found, Inspected) and not ranges:
            when = catalog.card(method).scaled
            raise BadInput(f"the authors of {method} scale scores by the test set only {when}: leave the protocol out")
        advance()
    notice(SCALED)
    return ScaledDetector(detector, lambda name, scores: min_max(scores, *ranges[name]))


class ScaledDetector(nn.Module):
    """A detector all of whose predictions pass that `scale`."""

    def __init__(self, detector: Detector, scale: Scale) -> None:
        super().__init__()
        self.detector, self.scale, self.geometry = detector, scale, detector.geometry
        self.types = tuple(getattr(detector, "types", ()))

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction."""
        return cast(Prediction, cast(Any, self.detector)(images, scale=self.scale))


def _method_of(detector: Detector) -> str:
    """Its name in the catalogue; "" where it has none."""
    name, _ = catalog.identify(detector)
    return name if name in catalog.METHODS else ""
