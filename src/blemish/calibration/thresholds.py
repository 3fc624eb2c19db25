"""Raw scores -> accept, review or reject, with error bounds that can be stated; `guarantees` states them.

A threshold is an order statistic. Rejecting above the k-th largest of n held-out good scores rejects later good parts
at a rate of k / (n + 1) on average, and with a given confidence at no more than a quantile of Beta(k, n + 1 - k) (Vovk,
"Conditional validity of inductive conformal predictors", 2012); accepting below the j + 1 smallest of m defects' scores
lets defects escape likewise. It holds for any detector and any distribution, as long as later parts are exchangeable
with those shown; ties only make it safer.

Scores of `cross` come from detectors refitted without the fold that they score. The tournament of Barber et al.,
"Predictive inference with the jackknife+" (2021, Theorems 1 and 4), counted for one side, bounds the average rate by
(2 (k - 1) + fold) / (n + fold), for the detector that learned all of the parts as long as learning more of them raises
no score. Nothing follows for one calibration in particular, so there is no confidence to state.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np

from blemish.errors import BadInput, BadRecipe
from blemish.fields import Fields, is_count, is_number, is_plain, is_share, list_of, one_of, or_none, table_of
from blemish.metrics.binomial import check_level, check_rate, most_failures

Verdict = Literal["accept", "review", "reject"]
Scheme = Literal["split", "cross"]
INFINITE = {"inf": math.inf, "-inf": -math.inf}
"""How JSON writes a threshold that no score reaches, or that every score does."""


class Goal(NamedTuple):
    """What thresholds are to achieve; a target left out is the strictest that the scores support."""

    false_reject: float | None = None  # at most this share of good parts is rejected
    escape: float | None = None  # at most this share of defective parts is accepted
    confidence: float = 0.95
    cost_ratio: float | None = None  # instead of both: least `cost_ratio` x escape rate + false-reject rate
    pixel: float | None = None  # at most this share of good parts has any pixel in a defect region


STRICTEST = Goal()
LIMITS = 'a finite number, "inf" or "-inf"'
AREAS = table_of(list_of(or_none(lambda area: is_number(area) and area >= 0)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Held-out raw scores, kept for ever, and the thresholds derived from them; `with_goal` derives others."""

    good: tuple[float, ...]  # one a part: the highest of its pictures
    scheme: Scheme  # split: by the detector itself, that never saw them; cross: by ones refitted without their fold
    defects: Mapping[str, tuple[float, ...]]  # by type; empty when none were shown
    sizes: Mapping[str, tuple[float, ...]]  # areas in pixels, aligned with `defects`; NaN where there is no mask
    accept: float  # score < accept -> accept
    reject: float  # score >= reject -> reject; between them: review
    pixel: float | None  # a pixel of the map >= pixel belongs to a defect region
    goal: Mapping[str, Any]  # what was asked for: the fields of `Goal`, plain JSON values
    peaks: tuple[float, ...] = ()  # highest value of each good part's map, aligned with `good`; empty if not kept
    fold: int = 1  # cross: parts left out together

    def verdict(self, score: float) -> Verdict:
        """What to do with a part; a score that is not a number is for review."""
        if score < self.accept:
            return "accept"
        return "reject" if score >= self.reject else "review"

    def as_json(self) -> dict[str, Any]:
        """Plain values that JSON keeps exactly: an unknown size is null, an infinite threshold "inf" or "-inf"."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return fields | {
            "good": list(self.good),
            "peaks": list(self.peaks),
            "defects": {name: list(scores) for name, scores in self.defects.items()},
            "sizes": {name: [None if math.isnan(a) else a for a in areas] for name, areas in self.sizes.items()},
            "accept": _write(self.accept),
            "reject": _write(self.reject),
            "pixel": None if self.pixel is None else _write(self.pixel),
            "goal": dict(self.goal),
        }

    @classmethod
    def from_json(cls, values: Any, *, file: str | Path = "this recipe") -> Self:
        """The calibration that `as_json` described; raises BadRecipe on anything else."""
        names = [each.name for each in dataclasses.fields(cls)]
        read = Fields(file, "", {}, BadRecipe, "calibrate it again").inner("calibration", values)
        read.only(*names, needed=names)
        score, defects = "finite numbers", table_of(list_of(is_number))
        found = cls(
            good=_floats(read.one("good", [], list_of(is_number), score)),
            scheme=read.one("scheme", "", one_of(get_args(Scheme)), "split or cross"),
            defects={name: _floats(each) for name, each in read.one("defects", {}, defects, score).items()},
            sizes={name: _floats(each) for name, each in read.one("sizes", {}, AREAS, "areas or null").items()},
            accept=_threshold(read.one("accept", 0, _is_threshold, LIMITS)),
            reject=_threshold(read.one("reject", 0, _is_threshold, LIMITS)),
            pixel=None
            if read.one("pixel", None, or_none(_is_threshold), LIMITS) is None
            else _threshold(values["pixel"]),
            goal=read.one("goal", {}, _is_goal, "what `Goal` holds"),
            peaks=_floats(read.one("peaks", [], list_of(is_number), score)),
            fold=read.one("fold", 1, lambda fold: is_count(fold) and fold >= 1, "how many parts were left out"),
        )
        _refuse_contradictions(found, read)
        return found


def calibrate_thresholds(
    good: Sequence[float],
    *,
    scheme: Scheme,
    defects: Mapping[str, Sequence[float]] | None = None,
    sizes: Mapping[str, Sequence[float]] | None = None,
    peaks: Sequence[float] = (),
    fold: int = 1,
    goal: Goal = STRICTEST,
) -> Calibration:
    """Thresholds from held-out scores, see the fields of `Calibration`; raises BadInput for what cannot be used.

    Where the goal's targets cross, one threshold could serve both: it is put midway, and nothing is for review. A
    target that so few parts cannot support moves its threshold to infinity, so that what cannot be promised is not
    decided: no part is rejected, or none accepted. Without defects parts are accepted up to where they are rejected, or
    where none is, up to the highest held-out good score.
    """
    shown = {name: tuple(map(float, scores)) for name, scores in (defects or {}).items()}
    known = {name: tuple(map(float, (sizes or {}).get(name, [math.nan] * len(shown[name])))) for name in shown}
    _refuse_unusable([good, peaks, *shown.values()], goal, shown)
    if (
        not len(good)
        or (len(peaks) and len(peaks) != len(good))
        or any(len(known[name]) != len(shown[name]) for name in shown)
    ):
        raise BadInput("calibration needs good parts: one score, and if any one peak a part; one size a defect")
    found = Calibration(
        tuple(map(float, good)), scheme, shown, known, 0.0, 0.0, None, {}, tuple(map(float, peaks)), fold
    )
    return with_goal(found, goal)


def with_goal(calibration: Calibration, goal: Goal) -> Calibration:
    """The same scores with thresholds for another goal; no model is needed."""
    good, defects = calibration.good, [score for scores in calibration.defects.values() for score in scores]
    _refuse_unusable([], goal, calibration.defects)
    if goal.cost_ratio is not None:
        accept = reject = _cheapest(good, defects, goal.cost_ratio)
    else:
        reject = upper_threshold(good, allowed_rejects(calibration, goal.false_reject, goal.confidence))
        accept = (
            lower_threshold(defects, allowed_escapes(len(defects), goal))
            if defects
            else min(reject, upper_threshold(good, 1))
        )
    if accept > reject:
        accept = reject = (accept + reject) / 2
    pixel = upper_threshold(calibration.peaks, allowed_rejects(calibration, goal.pixel, goal.confidence))
    return dataclasses.replace(
        calibration,
        accept=accept,
        reject=reject,
        pixel=pixel if calibration.peaks else None,
        goal=goal._asdict(),
    )


def calibrate_on_average(good: Sequence[float], rate: float) -> Calibration:
    """One threshold, from which later good parts are rejected at a rate of at most that, on average over such draws.

    Just above the k-th largest of n held-out good scores, where k is rate (n + 1) rounded down. Fewer than 1 / rate - 1
    parts cannot show that much; k is then 1.
    """
    limit = upper_threshold(good, max(1, math.floor(check_rate(rate) * (len(good) + 1))))
    return with_thresholds(calibrate_thresholds(good, scheme="split"), accept=limit, reject=limit)


def with_thresholds(calibration: Calibration, *, accept: float, reject: float) -> Calibration:
    """The same scores with thresholds set by hand, for which less can be promised."""
    if not accept <= reject:
        raise BadInput(f"accept {accept} must not be above reject {reject}: parts between them are for review")
    return dataclasses.replace(calibration, accept=accept, reject=reject)


def goal_of(calibration: Calibration) -> Goal:
    """What the calibration was asked for."""
    return Goal(**{name: calibration.goal[name] for name in Goal._fields if name in calibration.goal})


def allowed_rejects(calibration: Calibration, target: float | None, confidence: float) -> int:
    """k: reject above the k-th largest held-out good score; 0 when even the largest does not show the target."""
    total = len(calibration.good)
    if target is None:
        return 1
    if calibration.scheme == "split":
        return most_failures(total, target, confidence) + 1
    ranks = range(total, 0, -1)
    return next((k for k in ranks if cross_bound(k, total, calibration.fold) <= check_rate(target)), 0)


def cross_bound(k: int, total: int, fold: int) -> float:
    """The average false-reject rate of `cross` is at most that, see above; folds of equal size."""
    return (2 * (k - 1) + fold) / (total + fold)


def allowed_escapes(total: int, goal: Goal) -> int:
    """How many of the defects shown may score below the threshold; -1 when even none does not show the target."""
    return 0 if goal.escape is None else most_failures(total, goal.escape, goal.confidence)


def upper_threshold(scores: Iterable[float], k: int) -> float:
    """The lowest threshold that the k-th largest score does not reach; infinite for k = 0 and without scores."""
    ordered = sorted(scores, reverse=True)
    return math.nextafter(ordered[k - 1], math.inf) if 0 < k <= len(ordered) else math.inf


def lower_threshold(scores: Iterable[float], escapes: int) -> float:
    """The highest threshold below which that many scores lie; minus infinity for -1 and without scores."""
    ordered = sorted(scores)
    return ordered[escapes] if 0 <= escapes < len(ordered) else -math.inf


def _cheapest(good: Sequence[float], defects: Sequence[float], ratio: float) -> float:
    """The threshold of least cost, midway between two scores; of equal ones the lowest, which lets least escape."""
    values = np.unique([*good, *defects])
    candidates = np.r_[values[0], (values[1:] + values[:-1]) / 2, math.nextafter(float(values[-1]), math.inf)]
    escapes = np.searchsorted(np.sort(defects), candidates) / len(defects)
    rejects = 1 - np.searchsorted(np.sort(good), candidates) / len(good)
    return float(candidates[np.argmin(ratio * escapes + rejects)])


def _refuse_unusable(scores: Iterable[Sequence[float]], goal: Goal, defects: Mapping[str, Sequence[float]]) -> None:
    if not all(math.isfinite(score) for each in scores for score in each):
        raise BadInput("a score is not finite: inspect that picture first, or leave it out of the calibration")
    require_goal(goal, defects=any(defects.values()))


def require_goal(goal: Goal, *, defects: bool) -> None:
    """Raise BadInput for what cannot be aimed at, with or without defective parts."""
    check_level(goal.confidence)
    for target in (goal.false_reject, goal.escape, goal.pixel):
        check_rate(0.5 if target is None else target)
    if goal.escape is not None and not defects:
        raise BadInput("a target for escapes needs defective parts: show some, or leave the target out")
    if goal.cost_ratio is None:
        return
    if not goal.cost_ratio > 0 or not defects:
        raise BadInput("a cost ratio is a positive number and needs defective parts to weigh: show some")
    if (goal.false_reject, goal.escape) != (None, None):
        raise BadInput("a cost ratio decides the threshold alone: leave out the targets, or the ratio")


def _refuse_contradictions(found: Calibration, read: Fields) -> None:
    lengths = {name: len(scores) for name, scores in found.defects.items()}
    agreeing = {
        "defects": all(found.defects),
        "sizes": lengths == {name: len(areas) for name, areas in found.sizes.items()},
        "peaks": not found.peaks or len(found.peaks) == len(found.good),
        "accept": found.accept <= found.reject,
    }
    for key, agrees in agreeing.items():
        if not agrees:
            raise read.refused(key, "this contradicts the rest")


def _is_goal(values: Any) -> bool:
    if not table_of(is_plain)(values):
        return False
    goal = Goal(**{name: values[name] for name in Goal._fields if name in values})
    rates = all(target is None or is_share(target) for target in (goal.false_reject, goal.escape, goal.pixel))
    ratio = goal.cost_ratio is None or (is_number(goal.cost_ratio) and goal.cost_ratio > 0)
    return rates and ratio and is_share(goal.confidence)


def _write(threshold: float) -> float | str:
    return threshold if math.isfinite(threshold) else str(threshold)


def _is_threshold(value: Any) -> bool:
    return is_number(value) or one_of(INFINITE)(value)


def _threshold(value: float | str) -> float:
    return INFINITE[value] if isinstance(value, str) else float(value)


def _floats(values: Sequence[float | None]) -> tuple[float, ...]:
    """An unknown size is NaN."""
    return tuple(math.nan if value is None else float(value) for value in values)
