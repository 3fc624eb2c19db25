"""The nouns of the package: everything else turns one of these into another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

GOOD = "good"
"""The label of a part without a defect; every other non-empty label is a defect type, and "" is unknown."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture on disk and what is known about it."""

    image: Path
    label: str = ""
    mask: Path | None = None
    category: str = ""

    @property
    def is_anomalous(self) -> bool:
        """True for a labelled defect; False for good parts and for unknowns."""
        return self.label not in ("", GOOD)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a picture is resized for a detector: stretched to a square, or its shorter side set and its aspect kept."""

    side: int = 224
    keep_aspect: bool = False
    multiple: int = 1

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Input size (height, width) of a picture of that size: whole multiples of `multiple`, at least one."""
        scale = self.side / min(height, width) if self.keep_aspect else 0.0
        sides = (height * scale, width * scale) if self.keep_aspect else (self.side, self.side)
        high, wide = (max(1, round(side / self.multiple)) * self.multiple for side in sides)
        return high, wide


class Features(NamedTuple):
    """What an encoder sees; the patch grid is in the shape, never in a side variable."""

    image: Tensor  # (N, D)
    patches: tuple[Tensor, ...]  # one (N, h, w, C) per requested layer


class Prediction(NamedTuple):
    """Raw scores: higher is more anomalous, never rescaled."""

    image_score: Tensor  # (N,)
    anomaly_map: Tensor  # (N, H, W), the size of the input


@runtime_checkable
class Encoder(Protocol):
    """Images (N, 3, H, W) in [0, 1] -> Features; positions are resized and pixels normalised inside."""

    name: str
    sha256: str  # of the file it was loaded from; "" when there is none
    image_size: int  # the side it was trained at, pixels
    patch_size: int  # both sides of an input must be multiples of it
    depth: int  # layers are numbered 1..depth

    def __call__(self, images: Tensor, *, layers: Sequence[int] = ()) -> Features:
        """Patch features are raw outputs of the named layers."""


@runtime_checkable
class TextEncoder(Encoder, Protocol):
    """An encoder whose image embedding can be compared with embeddings of sentences."""

    def project(self, patches: Tensor) -> Tensor:
        """Raw patches of the last layer in the space of sentences: (..., C) -> (..., D)."""

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """(len(texts), D), not normalised."""


@runtime_checkable
class WindowEncoder(TextEncoder, Protocol):
    """A text encoder that can also look at sub-sequences of an image's patches."""

    def encode_windows(self, images: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Class-token embedding of each window: (W_s, k) patch numbers per scale -> one (N, W_s, D) per scale."""


class Detector(Protocol):
    """Images (N, 3, H, W) in [0, 1] -> Prediction."""

    geometry: Geometry

    def __call__(self, images: Tensor) -> Prediction:
        """The prediction of each image does not depend on the others in the batch."""


class Learner(Detector, Protocol):
    """A detector that learns from normal images first; fitting again forgets the first fit."""

    def fit(self, batches: Iterable[Tensor]) -> Self:
        """Learn from batches of (N, 3, H, W) images of good parts, read once."""
