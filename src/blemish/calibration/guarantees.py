"""What a calibration promises, in numbers and in plain sentences, and how many parts a target still needs.

A bound on escapes holds with the goal's confidence for later defects like those shown. For one type or size the
threshold was not chosen by it alone, so its bound is that of every count the choice could have led to at once
(Bonferroni); likewise where a cost ratio chose the threshold by looking at all scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from blemish.calibration.thresholds import (
    Calibration,
    Goal,
    allowed_escapes,
    allowed_rejects,
    cross_bound,
    goal_of,
    lower_threshold,
    upper_threshold,
    with_goal,
)
from blemish.metrics.binomial import Rate, fewest_parts, highest_rate, rate
from blemish.metrics.verdicts import UNKNOWN, size_classes


class Bound(NamedTuple):
    """An error among the parts shown, and how often it may happen to later ones."""

    cases: int
    total: int
    highest: float | None  # at most that, with the goal's confidence; None: nothing can be said
    average: float | None = None  # at most that on average over thresholds set like this one


class Sentence(NamedTuple):
    """What is said: a key of `SENTENCES`, and what stands for the words in braces."""

    key: str
    values: Mapping[str, str]


SENTENCES: Mapping[str, str] = {
    "rejects none": "No part is rejected: to show that at most {target} of good parts are takes {needed} good parts, "
    "and {total} were shown.",
    "rejects": "At most {bound} of good parts are rejected, with {confidence} confidence, if they are like the {total} "
    "shown.",
    "rejects on average": "On average over thresholds set like this one, at most {bound} of good parts are rejected, "
    "if they are like the {total} shown and learning more good parts raises no score.",
    "rejects unknown": "{cases} of the {total} good parts shown are rejected; of later ones nothing can be promised.",
    "escapes unknown": "Nothing is promised about escapes: no defective part was shown.",
    "accepts none": "No part is accepted: to show that at most {target} of defective parts are takes {needed} "
    "defective parts, and {total} were shown.",
    "escapes": "At most {bound} of defective parts are accepted, with {confidence} confidence, if they are like the "
    "{total} shown.",
    "reviews none": "Nothing is for review: one threshold decides.",
    "reviews none, midway": "Nothing is for review: one threshold decides, midway between those that either target "
    "allows.",
    "reviews good": "For review are {good cases} of the {good total} good parts shown ({good share}).",
    "reviews": "For review are {good cases} of the {good total} good parts shown ({good share}) and {defective cases} "
    "of the {defective total} defective parts shown ({defective share}).",
    "regions none": "Defect regions are not marked: no maps were kept.",
    "regions unknown": "How many good parts show a defect region is not promised: the {total} shown are too few.",
    "regions on average": "On average, at most {bound} of good parts show a defect region, on the same conditions.",
    "regions": "At most {bound} of good parts show a defect region, with {confidence} confidence.",
}


def false_rejects(calibration: Calibration) -> Bound:
    """Good parts that are rejected."""
    goal, good = goal_of(calibration), calibration.good
    count, total = sum(score >= calibration.reject for score in good), len(good)
    if calibration.reject == math.inf:
        return Bound(count, total, 0.0, 0.0)
    k = 0 if goal.cost_ratio is not None else allowed_rejects(calibration, goal.false_reject, goal.confidence)
    if k == 0 or calibration.reject < upper_threshold(good, k):
        chosen = _highest_of_chosen(count, total, total - 1, goal)
        return Bound(count, total, chosen if calibration.scheme == "split" else None)
    if calibration.scheme == "cross":
        return Bound(count, total, None, cross_bound(k, total, calibration.fold))
    return Bound(count, total, highest_rate(k - 1, total, goal.confidence), k / (total + 1))


def escapes(calibration: Calibration) -> Bound | None:
    """Defective parts that are accepted; None when none were shown."""
    scores, goal = _all_defects(calibration), goal_of(calibration)
    if not scores:
        return None
    count, total, limit = sum(score < calibration.accept for score in scores), len(scores), _escape_limit(calibration)
    if calibration.accept == -math.inf:
        return Bound(count, total, 0.0, 0.0)
    if limit is None:
        return Bound(count, total, _highest_of_chosen(count, total, total - 1, goal))
    return Bound(count, total, highest_rate(limit, total, goal.confidence), (limit + 1) / (total + 1))


def escapes_by_type(calibration: Calibration) -> dict[str, Bound]:
    """Defective parts of each type that are accepted."""
    return {name: _escape_bound(scores, calibration) for name, scores in calibration.defects.items()}


def escapes_by_size(calibration: Calibration, edges: Sequence[float] | None = None) -> dict[str, Bound]:
    """Defects of each class of area that are accepted; empty when no area is known.

    `edges`: areas in pixels, ascending, that part the classes; if left out, a third of the known areas lie in each.
    """
    areas = [area for each in calibration.sizes.values() for area in each]
    rows = sorted(zip(areas, size_classes(areas, edges), _all_defects(calibration), strict=True))
    inside: dict[str, list[float]] = {name: [] for _, name, _ in rows if name != UNKNOWN}
    for _, name, score in rows:
        inside.get(name, []).append(score)
    return {name: _escape_bound(scores, calibration) for name, scores in inside.items()}


def review_share(calibration: Calibration) -> dict[str, Rate]:
    """Good and defective parts that are neither accepted nor rejected."""
    level = goal_of(calibration).confidence
    groups = {"good": calibration.good, "defective": _all_defects(calibration)}
    counts = {name: sum(calibration.verdict(s) == "review" for s in scores) for name, scores in groups.items()}
    return {name: rate(counts[name], len(scores), level) for name, scores in groups.items() if len(scores)}


def missing_parts(calibration: Calibration) -> dict[str, int]:
    """How many more "good" and "defective" parts the targets need, if none of them fails; without what is enough."""
    goal, found = goal_of(calibration), {}
    if goal.false_reject is not None:
        found["good"] = _least_parts(calibration, goal.false_reject) - len(calibration.good)
    if goal.escape is not None:
        found["defective"] = fewest_parts(goal.escape, goal.confidence) - len(_all_defects(calibration))
    return {name: more for name, more in found.items() if more > 0}


def missing_parts_by_type(calibration: Calibration) -> dict[str, int]:
    """How many more parts of each type would show the target for this type alone."""
    goal = goal_of(calibration)
    if goal.escape is None:
        return {}
    enough = fewest_parts(goal.escape, goal.confidence)
    return {name: enough - len(scores) for name, scores in calibration.defects.items() if enough > len(scores)}


def statement(calibration: Calibration) -> list[str]:
    """Plain sentences: what is promised, of whom, how surely, and what is missing."""
    return [SENTENCES[each.key].format(**each.values) for each in sentences(calibration)]


def sentences(calibration: Calibration) -> list[Sentence]:
    """The same, for other languages: which of `SENTENCES`, and what is to be put into it."""
    return [about(calibration) for about in (_about_good, _about_defects, _about_review, _about_pixels)]


def as_json(calibration: Calibration) -> dict[str, Any]:
    """All of the above as plain values."""
    pooled = escapes(calibration)
    return {
        "statement": statement(calibration),
        "false_rejects": false_rejects(calibration)._asdict(),
        "escapes": pooled and pooled._asdict(),
        "escapes_by_type": {name: each._asdict() for name, each in escapes_by_type(calibration).items()},
        "escapes_by_size": {name: each._asdict() for name, each in escapes_by_size(calibration).items()},
        "reviewed": {name: each._asdict() for name, each in review_share(calibration).items()},
        "missing": missing_parts(calibration),
        "missing_by_type": missing_parts_by_type(calibration),
    }


def _about_good(calibration: Calibration) -> Sentence:
    promise, goal, total = false_rejects(calibration), goal_of(calibration), len(calibration.good)
    shown = {"total": str(total)}
    if calibration.reject == math.inf and goal.false_reject is not None:
        needed = str(_least_parts(calibration, goal.false_reject))
        return Sentence("rejects none", {"target": percent(goal.false_reject), "needed": needed, **shown})
    if promise.highest is not None:
        return Sentence("rejects", {"bound": at_most(promise.highest), "confidence": percent(goal.confidence), **shown})
    if promise.average is not None:
        return Sentence("rejects on average", {"bound": at_most(promise.average), **shown})
    return Sentence("rejects unknown", {"cases": str(promise.cases), **shown})


def _about_defects(calibration: Calibration) -> Sentence:
    promise, goal = escapes(calibration), goal_of(calibration)
    if promise is None or promise.highest is None:
        return Sentence("escapes unknown", {})
    shown = {"total": str(promise.total)}
    if calibration.accept == -math.inf and goal.escape is not None:
        needed = str(fewest_parts(goal.escape, goal.confidence))
        return Sentence("accepts none", {"target": percent(goal.escape), "needed": needed, **shown})
    return Sentence("escapes", {"bound": at_most(promise.highest), "confidence": percent(goal.confidence), **shown})


def _about_review(calibration: Calibration) -> Sentence:
    if calibration.accept == calibration.reject:
        goal = goal_of(calibration)
        by_targets = goal.cost_ratio is None and calibration.accept == with_goal(calibration, goal).accept
        return Sentence("reviews none, midway" if by_targets and calibration.defects else "reviews none", {})
    said = dict[str, str]()
    for name, each in review_share(calibration).items():
        said |= {f"{name} cases": str(each.cases), f"{name} total": str(each.total)}
        said[f"{name} share"] = percent(each.value)
    return Sentence("reviews" if calibration.defects else "reviews good", said)


def _about_pixels(calibration: Calibration) -> Sentence:
    goal, total = goal_of(calibration), len(calibration.peaks)
    if calibration.pixel is None:
        return Sentence("regions none", {})
    k = allowed_rejects(calibration, goal.pixel, goal.confidence)
    if k == 0 or not total or calibration.pixel < upper_threshold(calibration.peaks, k):
        return Sentence("regions unknown", {"total": str(total)})
    if calibration.scheme == "cross":
        return Sentence("regions on average", {"bound": at_most(cross_bound(k, total, calibration.fold))})
    bound = at_most(highest_rate(k - 1, total, goal.confidence))
    return Sentence("regions", {"bound": bound, "confidence": percent(goal.confidence)})


def _all_defects(calibration: Calibration) -> list[float]:
    return [score for scores in calibration.defects.values() for score in scores]


def _escape_limit(calibration: Calibration) -> int | None:
    """How many escapes among the parts shown the goal allows; None when the threshold was chosen in another way."""
    goal, scores = goal_of(calibration), _all_defects(calibration)
    limit = allowed_escapes(len(scores), goal)
    by_goal = goal.cost_ratio is None and calibration.accept <= lower_threshold(scores, limit)
    return limit if by_goal else None


def _escape_bound(scores: Sequence[float], calibration: Calibration) -> Bound:
    count, total, limit = sum(score < calibration.accept for score in scores), len(scores), _escape_limit(calibration)
    if calibration.accept == -math.inf:
        return Bound(count, total, 0.0)
    limit = total - 1 if limit is None else limit
    return Bound(count, total, _highest_of_chosen(count, total, limit, goal_of(calibration)))


def _highest_of_chosen(count: int, total: int, limit: int, goal: Goal) -> float:
    """The upper bound after a choice that could have led to any count from 0 to `limit`."""
    choices = max(1, min(limit, total - 1) + 1)
    return highest_rate(count, total, 1 - (1 - goal.confidence) / choices)


def _least_parts(calibration: Calibration, target: float) -> int:
    """Good parts that show the target if only the highest of them marks the threshold."""
    if calibration.scheme == "split":
        return fewest_parts(target, goal_of(calibration).confidence)
    near = math.floor(calibration.fold / target) - calibration.fold
    return next(n for n in range(max(1, near), near + 3) if cross_bound(1, n, calibration.fold) <= target)


def at_most(share: float) -> str:
    """A bound to two digits, rounded up so that it stays one: 0.0213 -> 2.2 %."""
    digits = 1 - math.floor(math.log10(share)) if share else 0
    return percent(math.ceil(share * 10**digits) / 10**digits)


def percent(share: float) -> str:
    """0.0213 -> 2.13 %."""
    return f"{100 * share:.4g} %"
