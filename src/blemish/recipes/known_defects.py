"""A detector that has been shown defects: what resembles one of them scores higher, and its type has a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.exemplars import CachedEncoder, Exemplars, patch_descriptors
from blemish.blocks.maps import maximum, upsample
from blemish.types import Detector, Follower, Prediction

ROWS, OF, SPREAD, PICTURES, MARGIN = (
    "shown.rows",  # (K, D), patches of defects
    "shown.of",  # (K,), the picture of each, as `number`
    "shown.spread",  # (P,), of each picture, how far its good patches' scores reach above their median
    "shown.pictures",  # (P,)
    "shown.margin",  # (), see `blocks.exemplars.Exemplars`
)
GOOD_ROWS, GOOD_OF = "contrast.rows", "contrast.of"
"""(M, D), patches of good parts, and of shown pictures beside the defect; (M,), the picture of each."""

GAIN = 2.0
"""How far the likeness to a shown defect lifts a score at most, in units of the spread of good patches' scores."""


def number(identifier: str) -> int:
    """A picture's id, 12 hex digits, as tensors keep it."""
    return int(identifier, 16)


class WithKnownDefects(nn.Module):
    """The detector, and on top of its map `gain` times the resemblance to a shown defect; no score is ever lowered.

    image_score: the detector's, and what the highest value of its map has risen by.
    type_map: the type of the defect that a patch resembles more than any good part; elsewhere the detector's own.
    """

    type_of: Tensor  # (K,), the number of the type of each of the exemplars' defect patches

    def __init__(
        self, detector: Detector, encoder: CachedEncoder, exemplars: Exemplars, gain: float, types: Sequence[str]
    ) -> None:
        super().__init__()
        self.detector, self.encoder, self.exemplars = detector, encoder, exemplars
        own = tuple(getattr(detector, "types", ()))
        self.gain, self.types = gain, tuple(dict.fromkeys([*own, *types]))  # given for each of the exemplars' patches
        self.namer = getattr(detector, "namer", None)
        self.register_buffer("type_of", torch.tensor([self.types.index(each) for each in types]), persistent=False)
        self.geometry = detector.geometry

    def forward(self, images: Tensor) -> Prediction:
        """(N, 3, H, W) in [0, 1] -> Prediction in the detector's own units."""
        return self._raise(self.detector, images)

    @property
    def online(self) -> bool:
        """Whether the detector is to follow a stream."""
        return isinstance(self.detector, Follower) and self.detector.online

    def follow(self, images: Tensor) -> Prediction:
        """As when called, and the detector remembers them, see `types.Follower`."""
        return self._raise(cast(Follower, self.detector).follow, images)

    def _raise(self, look: Callable[[Tensor], Prediction], images: Tensor) -> Prediction:
        self.encoder.clear()
        found = self.raised(look(images), patch_descriptors(self.encoder, images))
        self.encoder.clear()
        return found

    def raised(self, found: Prediction, patches: Tensor) -> Prediction:
        """What the detector found, raised where the patches (N, h, w, D) are like a shown defect."""
        score, anomaly_map = found.image_score, found.anomaly_map
        amount, row = self.exemplars(patches)  # (N, h, w)
        raised = anomaly_map + self.gain * upsample(amount, anomaly_map.shape[-2:])
        kinds = torch.where(amount > 0, self.type_of[row], -1)  # (N, h, w)
        type_map = F.interpolate(kinds[:, None].float(), anomaly_map.shape[-2:], mode="nearest-exact")[:, 0].long()
        if found.type_map is not None:
            type_map = torch.where(type_map < 0, found.type_map, type_map)
        return found._replace(
            image_score=score + (maximum(raised) - maximum(anomaly_map)),
            anomaly_map=raised,
            type_scores=None,
            type_map=type_map,
        )


def with_known_defects(
    detector: Detector, encoder: CachedEncoder, tensors: Mapping[str, Tensor], kinds: Mapping[int, str]
) -> WithKnownDefects:
    """The detector, which sees by that encoder, with the defects of a recipe's tensors; `kinds` names their types.

    Raises ValueError or KeyError for tensors that do not agree.
    """
    for names, axes in ((ROWS, GOOD_ROWS), 2), ((OF, GOOD_OF, SPREAD, PICTURES), 1), ((MARGIN,), 0):
        if any(tensors[name].ndim != axes for name in names):
            raise ValueError(f"shapes of {' and '.join(names)}")
    if len(tensors[OF]) != len(tensors[ROWS]):
        raise ValueError(f"lengths of {OF} and {ROWS}")
    exemplars = Exemplars(tensors[ROWS], tensors[GOOD_ROWS], float(tensors[MARGIN]))
    types = [kinds[picture] for picture in tensors[OF].tolist()]
    return WithKnownDefects(detector, encoder, exemplars, GAIN * float(tensors[SPREAD].mean()), types)
