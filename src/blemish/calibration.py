"""Raw scores -> accept, review or reject, with error bounds that can be stated."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from blemish.errors import BadRecipe

Verdict = Literal["accept", "review", "reject"]
Scheme = Literal["split", "cross"]
INFINITE = {"inf": math.inf, "-inf": -math.inf}
"""How JSON writes a threshold that no score reaches, or that every score does."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Held-out raw scores, kept for ever, and the thresholds derived from them; `changed` derives others."""

    good: tuple[float, ...]  # one a part: the highest of its pictures
    scheme: Scheme  # split: by the detector itself, that never saw them; cross: by ones refitted without their fold
    defects: Mapping[str, tuple[float, ...]]  # by type; empty when none were shown
    sizes: Mapping[str, tuple[float, ...]]  # areas in pixels, aligned with `defects`; NaN where there is no mask
    accept: float  # score < accept -> accept
    reject: float  # score >= reject -> reject; between them: review
    pixel: float | None  # a pixel of the map >= pixel belongs to a defect region
    goal: Mapping[str, Any]  # what was asked for, plain JSON values
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
            "accept": self.accept if math.isfinite(self.accept) else str(self.accept),
            "reject": self.reject if math.isfinite(self.reject) else str(self.reject),
            "goal": dict(self.goal),
        }

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """The calibration that `as_json` described; raises BadRecipe on anything else."""
        names = {each.name for each in dataclasses.fields(cls)}
        _require(isinstance(values, dict) and set(values) == names, "its entries")
        assert isinstance(values, dict)
        found = cls(
            good=_numbers(values["good"], "good"),
            scheme=values["scheme"],
            defects=_by_type(values["defects"], "defects"),
            sizes=_by_type(values["sizes"], "sizes", unknown=True),
            accept=_threshold(values["accept"], "accept"),
            reject=_threshold(values["reject"], "reject"),
            pixel=None if values["pixel"] is None else _threshold(values["pixel"], "pixel"),
            goal=values["goal"],
            peaks=_numbers(values["peaks"], "peaks"),
            fold=values["fold"],
        )
        _refuse_contradictions(found)
        return found


def _refuse_contradictions(found: Calibration) -> None:
    lengths = {name: len(scores) for name, scores in found.defects.items()}
    _require(found.scheme in ("split", "cross"), "scheme")
    _require(lengths == {name: len(areas) for name, areas in found.sizes.items()}, "sizes")
    _require(all(not area < 0 for areas in found.sizes.values() for area in areas), "sizes")
    _require(not found.peaks or len(found.peaks) == len(found.good), "peaks")
    _require(found.accept <= found.reject, "accept and reject")
    _require(type(found.fold) is int and found.fold >= 1, "fold")
    _require(isinstance(found.goal, dict) and all(map(_is_plain, found.goal.values())), "goal")
    _require(all(isinstance(name, str) for name in found.goal), "goal")


def _require(fulfilled: bool, what: str) -> None:
    if not fulfilled:
        raise BadRecipe(f"the calibration of this recipe is damaged ({what}): calibrate it again")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | bool) or _is_number(value)


def _numbers(values: Any, what: str, *, unknown: bool = False) -> tuple[float, ...]:
    _require(isinstance(values, list), what)
    _require(all(_is_number(value) or (unknown and value is None) for value in values), what)
    return tuple(math.nan if value is None else float(value) for value in values)


def _by_type(values: Any, what: str, *, unknown: bool = False) -> dict[str, tuple[float, ...]]:
    _require(isinstance(values, dict) and all(isinstance(name, str) and name for name in values), what)
    return {name: _numbers(scores, what, unknown=unknown) for name, scores in values.items()}


def _threshold(value: Any, what: str) -> float:
    if isinstance(value, str) and value in INFINITE:
        return INFINITE[value]
    _require(_is_number(value), what)
    return float(value)
