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
    rest: float = 1.0  # a type is in the set of a defect if its chance is at least 1 - rest
    coverage: float = 0.0  # share of defects of known types whose set holds theirs; 0: nothing was calibrated
    middle: float | None = None  # a defect may have several types: the logit of even odds that it has one, or not
    most: tuple[float, ...] = ()  # of each type, its probability at most, see `most_by`; (): any

    def as_json(self) -> dict[str, float | list[float] | None]:
        """Plain values; null for a limit that there is not."""
        values = {name: getattr(self, name) for name in ("temperature", "least", "rest", "coverage", "middle")}
        finite = {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}
        return {**finite, "most": list(self.most)}

    def chances(self, logits: ArrayLike) -> NDArray[np.float64]:
        """As `probabilities`, but as high as the logits say, however few examples there were."""
        values = np.asarray(logits, np.float64)
        if self.middle is not None:
            return _sigmoid((values - self.middle) / self.temperature)
        return softmax(values / self.temperature)

    def probabilities(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Of each type (N, K): they add up to 1 unless a defect may have several, where each stands for itself.

        That of the likeliest type is not above its `most`, what is left being spread over all; of several types none is
        above its `most`, nor below what is left of that.
        """
        return self.limit(self.chances(logits))

    def limit(self, chances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of `chances` (N, K) the probabilities."""
        if not self.most:
            return chances
        most = np.asarray(self.most)
        if self.middle is not None:
            return np.clip(chances, 1 - most, most)
        likeliest, even = chances.argmax(-1), 1 / len(most)
        highest = chances.max(-1)
        too_sure = np.clip((highest - most[likeliest]) / np.maximum(highest - even, 1e-12), 0, 1)[:, None]
        return np.asarray(chances + too_sure * (even - chances))

    def sets(self, chances: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which types are in the set of each defect, (N, K), by their `chances`."""
        return np.asarray(chances >= 1 - self.rest)


def calibrate_sureness(
    logits: ArrayLike, truth: ArrayLike, coverage: float = 0.9, *, shown: ArrayLike | None = None
) -> Sureness:
    """From logits (M, K) of examples that were not learned when they were scored, and the numbers of their types (M,).

    shown: how many examples of each type there are in all (K,), for `most_by`; none: as many as were scored.

    Split conformal prediction (Vovk et al., 2005): the set of a new defect of a known type holds it with a probability
    of at least `coverage`, and its highest logit is below `least` with at most 1 - coverage, as far as new defects
    are drawn as the examples were. Too few examples for that give sets of all types, and nothing is unknown.
    """
    values, true = np.asarray(logits, np.float64), np.asarray(truth, np.int64)
    _check_coverage(coverage)
    most = most_by(np.bincount(true, minlength=values.shape[1]) if shown is None else shown)
    if not len(true):
        return Sureness(coverage=coverage, most=most)
    table = true[:, None] == np.arange(values.shape[1])
    return _sets(Sureness(temperature_of(values, true), coverage=coverage, most=most), values, table)


def calibrate_several(
    logits: ArrayLike, truth: ArrayLike, coverage: float = 0.9, *, shown: ArrayLike | None = None
) -> Sureness:
    """As `calibrate_sureness`, of defects that may have several types, (M, K) booleans, or none of them.

    The set of a new one holds all types that it has with a probability of at least `coverage`.
    """
    values, table = np.asarray(logits, np.float64), np.asarray(truth, bool)
    _check_coverage(coverage)
    most = most_by(table.sum(0) if shown is None else shown)
    if not len(values):
        return Sureness(coverage=coverage, middle=0.0, most=most)
    temperature, middle = scale_of(values, table)
    return _sets(Sureness(temperature, coverage=coverage, middle=middle, most=most), values, table)


def most_by(shown: ArrayLike) -> tuple[float, ...]:
    """How sure one can be of each type by so many examples of it, (K,): (n + 1) / (n + 2).

    Laplace's probability of what was right n times of n; of a type without an example that of one.
    """
    counts = np.maximum(np.asarray(shown, np.int64), 1)
    found: list[float] = ((counts + 1) / (counts + 2)).tolist()
    return tuple(found)


def _check_coverage(coverage: float) -> None:
    if not 0 < coverage < 1:
        raise BadInput(f"coverage={coverage}: the share of defects whose set of types holds theirs, between 0 and 1")


def _sets(sure: Sureness, logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> Sureness:
    """With the limits of sets and of what is unknown; an example's set must reach down to the least of its types."""
    typed = truth.any(1)
    missed = np.where(truth, 1 - sure.chances(logits), 0).max(1)[typed]
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
