"""A picture's prediction -> what is decided about it: the verdict, the regions of a defect, and their types.

Nothing is read and nothing is remembered here; whatever takes part in a run, its record, its page or its metrics, is a
`Sink` of what was decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from blemish.blocks.defect_regions import DefectRegion, regions
from blemish.calibration.thresholds import Calibration, Verdict
from blemish.inspection import Inspected, Unreadable
from blemish.types import Detector, Sample

NO_WORDS: Mapping[str, str] = MappingProxyType({})


class TypedRegion(NamedTuple):
    """Pixels of one defect, and its type where the detector names one."""

    region: DefectRegion
    type: str | None
    sentence: str = ""  # the same in words, of a detector that has them

    def as_json(self) -> dict[str, Any]:
        """Plain values, as a line of `results.jsonl` lists them."""
        return self.region.as_json(self.type) | ({"sentence": self.sentence} if self.sentence else {})


class Suggested(NamedTuple):
    """A verdict that nobody has calibrated."""

    verdict: Verdict
    threshold: float
    pixel: float | None = None  # a pixel of the map from this on belongs to one of the regions
    regions: tuple[DefectRegion, ...] = ()  # worst first


@dataclass(frozen=True, slots=True)
class Decided:
    """A picture's prediction and what follows from it; what nobody decides is empty."""

    result: Inspected
    verdict: str = ""  # by a calibration
    regions: tuple[TypedRegion, ...] = ()  # worst first
    types: tuple[str, ...] = ()  # of the defects, each once, the worst region's first; undecided, of any there may be
    suggested: Suggested | None = None  # by good parts alone

    def as_json(self) -> dict[str, Any]:
        """What a line of results says beside the score."""
        named: dict[str, Any] = {"types": list(self.types)} if self.types else {}
        if self.suggested:
            found = [each.as_json() for each in self.suggested.regions]
            return named | {"suggested": self.suggested._asdict() | {"regions": found}}
        if not self.verdict:
            return named
        return {"verdict": self.verdict} | named | {"regions": [each.as_json() for each in self.regions]}


Decide = Callable[[Inspected], Decided]


class Sink(Protocol):
    """Takes what a run finds, picture by picture."""

    def add(self, found: Decided | Unreadable, sample: Sample | None = None) -> object:
        """One picture, and what is known about it where that is labelled."""


def decide(
    result: Inspected,
    calibration: Calibration | None,
    *,
    suggested: Calibration | None = None,
    types: Sequence[str] = (),
    prompts: Mapping[str, str] = NO_WORDS,
    scale: float | None = None,
) -> Decided:
    """By a calibration, or where there is none, only as one suggests that good parts alone gave.

    `types` are the detector's, `prompts` the words for each of them and for an unknown one (""), and `scale` is
    millimetres a pixel, for areas.
    """
    if calibration is None:
        hint = _suggest(result, suggested) if suggested else None
        return Decided(result, types=_likeliest(result, types), suggested=hint)
    found = _regions(result, calibration, scale)
    kinds = [_type(result.type_map, result.anomaly_map, each, types) for each in found]
    pairs, size = zip(found, kinds, strict=True), result.anomaly_map.shape
    typed = tuple(
        TypedRegion(each, kind, describe(each, prompts[kind or ""], size) if prompts else "") for each, kind in pairs
    )
    named = tuple(dict.fromkeys(each.type for each in typed if each.type))
    verdict = calibration.verdict(result.score)
    return Decided(result, verdict, typed, named or (_likeliest(result, types) if verdict != "accept" else ()))


def decision(
    calibration: Calibration | None,
    detector: Detector,
    *,
    suggested: Calibration | None = None,
    scale: float | None = None,
) -> Decide:
    """`decide` by these, with the names of the detector's types."""
    types, prompts = tuple(getattr(detector, "types", ())), getattr(detector, "type_prompts", NO_WORDS)
    return partial(decide, calibration=calibration, suggested=suggested, types=types, prompts=prompts, scale=scale)


def describe(region: DefectRegion, words: str, size: Sequence[int]) -> str:
    """What a region of a map (H, W) is, how large, and where: "tile with crack: 12 x 40 px, at the upper left"."""
    (x, y), (height, width) = region.centroid, size
    place = f"{('upper', 'middle', 'lower')[int(3 * y / height)]} {('left', 'centre', 'right')[int(3 * x / width)]}"
    spread = "" if region.area_mm2 is None else f", {region.area_mm2:.3g} mm²"
    at = "in the middle" if place == "middle centre" else f"at the {place}"
    return f"{words}: {region.box.width} x {region.box.height} px{spread}, {at}"


def _suggest(result: Inspected, by: Calibration) -> Suggested:
    return Suggested(by.verdict(result.score), by.reject, by.pixel, tuple(_regions(result, by)))


def _regions(result: Inspected, by: Calibration, scale: float | None = None) -> list[DefectRegion]:
    return [] if by.pixel is None else regions(result.anomaly_map, by.pixel, scale=scale)


def _likeliest(result: Inspected, types: Sequence[str]) -> tuple[str, ...]:
    return () if result.type_scores is None else (types[int(result.type_scores.argmax())],)


def _type(type_map: Tensor | None, anomaly_map: Tensor, region: DefectRegion, types: Sequence[str]) -> str | None:
    """That of a pixel where the region has its score."""
    if type_map is None:
        return None
    x, y, width, height = region.box
    inside = slice(y, y + height), slice(x, x + width)
    at = int((anomaly_map[inside] == region.score).numpy().argmax())  # of the first one
    number = int(type_map[inside].flatten()[at])
    return types[number] if number >= 0 else None
