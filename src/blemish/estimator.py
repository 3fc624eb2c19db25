"""A detector of anomalies as an estimator of scikit-learn, which learns good parts and tells others from them.

scikit-learn's direction holds here alone: `score_samples` and `decision_function` are higher for what is more normal,
and `predict` is 1 for a good part and -1 for one that is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from blemish import catalog, encoders
from blemish.encoders.inputs import as_tensor
from blemish.errors import BadInput, MissingExtra
from blemish.fitting import make_detector, remember
from blemish.images import Inspected, Source, keep_readable, keyed_batches
from blemish.inspection import inspect, stream
from blemish.notices import notice
from blemish.types import Batch, Detector, Encoder, Learner

try:
    from sklearn.base import BaseEstimator, OutlierMixin
    from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data
except ImportError as error:
    raise MissingExtra("InspectionEstimator needs scikit-learn: pip install 'blemish[sklearn]'") from error

OVERSHOT = 2.0
"""What is resampled reaches a little above white; numbers above this are of another range."""
_FOLDS = 5
"""How often some of the good parts are held out, to see how unknown ones score."""


class InspectionEstimator(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Anomaly detection of pictures by a method that learns good parts.

    X is pictures (n, height, width) or (n, height, width, 3), of one size; or rows (n, pixels), each of which is a grey
    picture of `shape` (height, width), of one line if that is left out; or a list of files. White is 255 in uint8,
    65535 in uint16, and 1 in other numbers, of which what is a little brighter is white too; nothing is darker than 0.
    """

    def __init__(
        self,
        method: str = "anomaly-dino",
        encoder: str = "embedded",
        *,
        product: str = "object",
        arguments: Mapping[str, Any] | None = None,
        shape: tuple[int, int] | None = None,
        rejected: float = 0.1,
        batch_size: int = 8,
    ) -> None:
        self.method = method
        self.encoder = encoder
        self.product = product
        self.arguments = arguments
        self.shape = shape
        self.rejected = rejected
        self.batch_size = batch_size

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        return tags

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn good parts, at least 2; all of X is taken for good, and y is not looked at.

        The offset is such that of good parts which were not learned the share `rejected` is predicted -1: each fold of
        them is scored by a detector that learned the others.
        """
        if not 0 < self.rejected < 1:
            raise BadInput(f"rejected={self.rejected}: give a share between 0 and 1")
        parts = self._sources(X, reset=True)
        if len(parts) < 2:
            raise BadInput(f"n_samples = {len(parts)}: give 2 good parts or more, so that some can be held out")
        encoder = encoders.load(self.encoder)
        held_out = np.empty(len(parts))
        for fold in range(min(_FOLDS, len(parts))):
            others = [part for number, part in enumerate(parts) if number % _FOLDS != fold]
            held_out[fold::_FOLDS] = self._scores(self._learn(others, encoder), parts[fold::_FOLDS])
        self.detector_ = self._learn(parts, encoder)
        self.offset_ = -float(np.quantile(held_out, 1 - self.rejected, method="higher"))
        return self

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """How normal each picture is, (n,): the negative of the detector's score."""
        check_is_fitted(self)
        return -self._scores(self.detector_, self._sources(X, reset=False))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """`score_samples` less the offset, (n,): negative for what is predicted -1."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> NDArray[np.int64]:
        """1 for a good part, -1 for one that is not, (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def anomaly_maps(self, X: Any) -> list[NDArray[np.float32]]:
        """Of each picture a map (height, width); higher is more anomalous, as everywhere else in blemish."""
        check_is_fitted(self)
        return [each.anomaly_map for each in self._inspect(self.detector_, self._sources(X, reset=False))]

    def _learn(self, parts: Sequence[Source], encoder: Encoder) -> Detector:
        words = {"product": self.product} if "product" in catalog.card(self.method).words else {}
        detector = make_detector(self.method, encoder, good=True, arguments=words | dict(self.arguments or {}))
        pictures = keep_readable(stream(parts, detector.geometry), None)
        inputs = ((source.id, image) for source, found in pictures for image in found.inputs)
        batches = keyed_batches(inputs, self.batch_size)
        remember(cast(Learner, detector), (Batch(as_tensor(images), names=tuple(names)) for names, images in batches))
        return detector

    def _inspect(self, detector: Detector, parts: Sequence[Source]) -> Iterator[Inspected]:
        found = inspect(detector, parts, batch_size=self.batch_size)
        return (result for _, result in keep_readable(zip(parts, found, strict=True), None))

    def _scores(self, detector: Detector, parts: Sequence[Source]) -> NDArray[np.float64]:
        return np.array([each.score for each in self._inspect(detector, parts)], np.float64)

    def _sources(self, X: Any, *, reset: bool) -> list[Source]:
        """The pictures, by their files or as arrays of uint8, uint16 or floats up to 1."""
        if isinstance(X, list | tuple) and X and all(isinstance(each, str | Path) for each in X):
            return [Source(Path(each), str(each)) for each in X]
        if len(getattr(X, "shape", ())) > 2:
            _require_pictures(X.shape)
        found = validate_data(self, X, reset=reset, allow_nd=True)
        check_non_negative(found, "InspectionEstimator (it sees pictures)")
        if found.ndim == 2:
            height, width = self.shape or (1, found.shape[1])
            if height * width != found.shape[1]:
                raise BadInput(f"shape={self.shape}: rows of {found.shape[1]} pixels are no such pictures")
            found = found.reshape(len(found), height, width)
        else:
            _require_pictures(found.shape)
        if found.dtype not in (np.uint8, np.uint16):
            _require_white(found, is_line=found.shape[1] == 1)
            found = np.minimum(found, 1).astype(np.float32)
        return [Source(each, f"X[{number}]") for number, each in enumerate(found)]


def _require_pictures(shape: tuple[int, ...]) -> None:
    """Raise BadInput for what is no (n, height, width) or (n, height, width, 3 or 1)."""
    if len(shape) == 3 and shape[2] in (3, 4):
        raise BadInput(f"X is {shape}, as one picture in colour is: give X[None], pictures (n, height, width, 3)")
    if len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3)):
        return
    first = len(shape) == 4 and shape[1] in (1, 3, 4)
    ways = [
        *(["move the channels to the end, np.moveaxis(X, 1, -1)"] if first else []),
        *(["leave out the fourth channel, [..., :3]"] if len(shape) == 4 and shape[1 if first else 3] == 4 else []),
    ]
    said = " and ".join(ways) or "reshape it"
    raise BadInput(f"X is {shape}, and pictures are (n, height, width) or (n, height, width, 3): {said}")


def _require_white(pictures: NDArray[Any], *, is_line: bool) -> None:
    """Raise BadInput where white is not 1; rows of numbers, which need be no pictures, are told of instead."""
    most = pictures.max()
    if not most > OVERSHOT:
        return
    said = f"X has numbers up to {most:g} in {pictures.dtype}, where white is 1"
    if is_line:
        notice("%s, and more is white too: divide by what is white", said)
        return
    raise BadInput(f"{said}: give uint8 or uint16, or divide by what is white, X / 255")
