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
    middle: float | None = None  # a defect may have several types: the logit of even odds that it has one, or not
    most: float = 1.0  # no probability exceeds it: so sure can one be by as many examples as there were

    def as_json(self) -> dict[str, float | None]:
        """Plain values; null for a limit that there is not."""
        values = self._asdict().items()
        return {name: value if value is not None and math.isfinite(value) else None for name, value in values}

    def probabilities(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Of each type (N, K): they add up to 1 unless a defect may have several, where each stands for itself."""
        values = np.asarray(logits, np.float64)
        if self.middle is not None:
            return np.clip(_sigmoid((values - self.middle) / self.temperature), 1 - self.most, self.most)
        sharp, even = softmax(values / self.temperature), 1 / max(1, values.shape[-1])
        highest = sharp.max(-1, keepdims=True, initial=0)
        too_sure = np.clip((highest - self.most) / np.maximum(highest - even, 1e-12), 0, 1)
        return np.asarray(sharp + too_sure * (even - sharp))


def calibrate_sureness(logits: ArrayLike, truth: ArrayLike, coverage: float = 0.9) -> Sureness:
    """From logits (M, K) of examples that were not learned when they were scored, and the numbers of their types (M,).

    Split conformal prediction (Vovk et al., 2005): the set of a new defect of a known type holds it with a probability
    of at least `coverage`, and its highest logit is below `least` with at most 1 - coverage, as far as new defects
    are drawn as the examples were. Too few examples for that give sets of all types, and nothing is unknown.
    No probability exceeds (M + 1) / (M + 2), Laplace's of what was right M times of M.
    """
    values, true = np.asarray(logits, np.float64), np.asarray(truth, np.int64)
    _check_coverage(coverage)
    if not len(true):
        return Sureness(coverage=coverage, most=_most(0))
    table = true[:, None] == np.arange(values.shape[1])
    return _sets(Sureness(temperature_of(values, true), coverage=coverage, most=_most(len(true))), values, table)


def calibrate_several(logits: ArrayLike, truth: ArrayLike, coverage: float = 0.9) -> Sureness:
    """As `calibrate_sureness`, of defects that may have several types, (M, K) booleans, or none of them.

    The set of a new one holds all types that it has with a probability of at least `coverage`.
    """
    values, table = np.asarray(logits, np.float64), np.asarray(truth, bool)
    _check_coverage(coverage)
    if not len(values):
        return Sureness(coverage=coverage, middle=0.0, most=_most(0))
    temperature, middle = scale_of(values, table)
    return _sets(Sureness(temperature, coverage=coverage, middle=middle, most=_most(len(values))), values, table)


def _most(count: int) -> float:
    """Laplace's probability of what was right so many times of as many; with none, that of one."""
    return (max(count, 1) + 1) / (max(count, 1) + 2)


def _check_coverage(coverage: float) -> None:
    if not 0 < coverage < 1:
        raise BadInput(f"coverage={coverage}: the share of defects whose set of types holds theirs, between 0 and 1")


def _sets(sure: Sureness, logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> Sureness:
    """With the limits of sets and of what is unknown; an example's set must reach down to the least of its types."""
    typed = truth.any(1)
    missed = np.where(truth, 1 - sure.probabilities(logits), 0).max(1)[typed]
    least = -_quantile(-logits[typed].max(1), sure.coverage, none=math.inf)
    return sure._replace(rest=_quantile(missed, sure.coverage), least=least)


def scale_of(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Temperature and middle by which the truth (M, K) of sigmoids is likeliest (Platt, 1999).

    As Platt's, the truth is never quite sure, (n + 1) / (n + 2) of n: so the fit is finite where types are apart.
    """
    has, lacks = truth.sum(), (~truth).sum()
    wanted = np.where(truth, (has + 1) / (has + 2), 1 / (lacks + 2))
    spread = logits.std() or 1.0
    scaled = (logits - logits.mean()) / spread

    def loss(slope: NDArray[np.float64]) -> float:
        odds = np.exp(slope[0]) * scaled + slope[1]
        return float((np.logaddexp(0, odds) - wanted * odds).mean())

    from scipy.optimize import minimize  # here, since it is slow to import and most inspections need none

    steep, level = minimize(loss, np.zeros(2)).x
    temperature = spread / np.exp(steep)
    return float(temperature), float(logits.mean() - level * temperature)


def temperature_of(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """The one of `TEMPERATURES` by which the likelihood of the truth is highest (Guo et al., 2017).

    The truth is never quite sure, see `scale_of`: the other types share what is left. By halves, since the loss has one
    valley: it is convex in 1 / temperature.
    """
    above = logits - logits.max(1, keepdims=True)
    own, others = above[np.arange(len(truth)), truth], max(1, logits.shape[1] - 1)
    left = 1 / (len(truth) + 2)
    wanted = (1 - left) * own + left * (above.sum(1) - own) / others

    def loss(number: int) -> float:
        temperature = TEMPERATURES[number]
        return float((np.log(np.exp(above / temperature).sum(1)) - wanted / temperature).mean())

    low, high = 0, len(TEMPERATURES) - 1
    while low < high:
        half = (low + high) // 2
        low, high = (low, half) if loss(half) <= loss(half + 1) else (half + 1, high)
    return float(TEMPERATURES[low])


def softmax(logits: NDArray[np.float64]) -> NDArray[Any]:
    """Over the last axis."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))


def _quantile(scores: NDArray[np.float64], coverage: float, *, none: float = 1.0) -> float:
    """The score that at least that share of new ones does not exceed; `none` where there are too few to say."""
    rank = math.ceil((len(scores) + 1) * coverage)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else none


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))
