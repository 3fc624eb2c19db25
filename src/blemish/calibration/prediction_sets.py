"""How sure names of types are: probabilities, sets that hold the right one as often as stated, and what is unknown.

All is found on examples that the classifier had not learned when it scored them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from blemish.errors import BadInput

TEMPERATURES = np.geomspace(0.02, 50, 121)


class Sureness(NamedTuple):
    """What turns logits (N, K) into probabilities, sets of types and "unknown"."""

    temperature: float = 1.0  # logits are divided by it before the softmax, or the sigmoid
    least: float = -math.inf  # a defect whose highest logit is below it is of no known type
    rest: float = 1.0  # a type is in the set of a defect if its probability is at least 1 - rest
    coverage: float = 0.0  # share of defects of known types whose set holds theirs; 0: nothing was calibrated

    def as_json(self) -> dict[str, float | None]:
        """Plain values; null for a limit that there is not."""
        return {name: value if math.isfinite(value) else None for name, value in self._asdict().items()}


def calibrate_sureness(logits: ArrayLike, truth: ArrayLike, coverage: float = 0.9) -> Sureness:
    """From logits (M, K) of examples that were not learned when they were scored, and the numbers of their types (M,).

    Split conformal prediction (Vovk et al., 2005): the set of a new defect of a known type holds it with a probability
    of at least `coverage`, and its highest logit is below `least` with at most 1 - coverage, as far as new defects
    are drawn as the examples were. Too few examples for that give sets of all types, and nothing is unknown.
    """
    if not 0 < coverage < 1:
        raise BadInput(f"coverage={coverage}: the share of defects whose set of types holds theirs, between 0 and 1")
    values, true = np.asarray(logits, np.float64), np.asarray(truth, np.int64)
    if not len(values):
        return Sureness(coverage=coverage)
    temperature = temperature_of(values, true)
    missed = 1 - softmax(values / temperature)[np.arange(len(true)), true]
    rest = _quantile(missed, coverage)
    return Sureness(temperature, -_quantile(-values.max(1), coverage, none=math.inf), rest, coverage)


def temperature_of(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The one of `TEMPERATURES` by which the likelihood of the truth is highest (Guo et al., 2017)."""
    scaled = logits[None] / TEMPERATURES[:, None, None]
    own = np.take_along_axis(scaled, np.broadcast_to(truth[None, :, None], (len(TEMPERATURES), len(truth), 1)), 2)
    top = scaled.max(2, keepdims=True)
    losses = (np.log(np.exp(scaled - top).sum(2, keepdims=True)) + top - own).mean((1, 2))
    return float(TEMPERATURES[int(losses.argmin())])


def softmax(logits: NDArray[np.float64]) -> NDArray[Any]:
    """Over the last axis."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))


def _quantile(scores: NDArray[np.float64], coverage: float, *, none: float = 1.0) -> float:
    """The score that at least that share of new ones does not exceed; `none` where there are too few to say."""
    rank = math.ceil((len(scores) + 1) * coverage)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else none
