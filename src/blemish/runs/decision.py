"""A picture's prediction -> what is decided about it: the verdict, the regions of a defect, and their types.

Nothing is read and nothing is remembered here; whatever takes part in a run, its record, its page or its metrics, is a
`Sink` of what was decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from blemish.blocks.defect_regions import DefectRegion, regions
from blemish.calibration.thresholds import Calibration, Verdict
from blemish.classification.calls import Named, RegionNamer
from blemish.classification.names import UNKNOWN, VERDICTS
from blemish.classification.regions import inside_region, inside_worst
from blemish.classification.rules import ask
from blemish.images import Inspected, Unreadable
from blemish.notices import list_names, notice
from blemish.types import ArrayDetector, Detector, Sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NAMED = 50
"""Regions of a picture that are named, the worst."""
NO_WORDS: Mapping[str, str] = MappingProxyType({})


class TypedRegion(NamedTuple):
    """Pixels of one defect, and its type where the detector names one."""

    region: DefectRegion
    type: str | None
    sentence: str = ""  # the same in words, of a detector that has them
    named: Named | None = None  # how sure the type is, by a classifier
    severity: str = ""  # the verdict that its type asks for
    reason: str = ""  # why its type's rule, which would accept it, does not decide

    def as_json(self) -> dict[str, Any]:
        """Plain values, as a line of `results.jsonl` lists them."""
        named = self.named.as_json() if self.named else {}
        more = {"severity": self.severity, "reason": self.reason, "sentence": self.sentence}
        return self.region.as_json(self.type) | named | {name: said for name, said in more.items() if said}


class Suggested(NamedTuple):
    """A verdict that nobody has calibrated."""

    verdict: Verdict
    threshold: float
    pixel: float | None = None  # a pixel of the map from this on belongs to one of the regions
    regions: tuple[TypedRegion, ...] = ()  # worst first


@dataclass(frozen=True, slots=True)
class Decided:
    """A picture's prediction and what follows from it; what nobody decides is empty."""

    result: Inspected
    verdict: str = ""  # by a calibration
    regions: tuple[TypedRegion, ...] = ()  # worst first
    types: tuple[str, ...] = ()  # of the defects, each once, the worst region's first; undecided, of any there may be
    suggested: Suggested | None = None  # by good parts alone
    scored: str = ""  # the verdict by the score alone, where types of defects changed it
    known: Sequence[str] = ()  # all types that the detector names

    def _repr_html_(self) -> str:
        """The picture, its heat map, the verdict and the regions, for notebooks."""
        from blemish.images.notebook import table_html

        said = self.suggested
        verdict = self.verdict or (f"{said.verdict}, as suggested" if said else "")
        rows = [
            (each.type or "", f"{each.region.score:.4g}", f"{each.region.area}", " ".join(map(str, each.region.box)))
            for each in self.regions or (said.regions if said else ())
        ]
        table = table_html(("type", "score", "area in pixels", "x y width height"), rows, verdict) if verdict else ""
        return self.result._repr_html_() + table

    def plot(self) -> Figure:
        """The picture beside its map, with the outlines of the regions; a figure of matplotlib."""
        figure = self.result.plot()
        for each in self.regions or (self.suggested.regions if self.suggested else ()):
            x, y = np.vstack([each.region.contour, each.region.contour[:1]]).T
            figure.axes[0].plot(x - 0.5, y - 0.5, color="#d03c28", linewidth=1)
        return figure

    def as_json(self) -> dict[str, Any]:
        """What a line of results says beside the score."""
        named: dict[str, Any] = {"types": list(self.types)} if self.types else {}
        if self.suggested:
            found = [each.as_json() for each in self.suggested.regions]
            return named | {"suggested": self.suggested._asdict() | {"regions": found}}
        if not self.verdict:
            return named
        changed = {"verdict_by_score": self.scored} if self.scored else {}
        return {"verdict": self.verdict} | changed | named | {"regions": [each.as_json() for each in self.regions]}


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
    namer: RegionNamer | None = None,
) -> Decided:
    """By a calibration, or where there is none, only as one suggests that good parts alone gave.

    `types` are the detector's, `prompts` the words for each of them and for an unknown one (""), and `scale` is
    millimetres a pixel, for areas. `namer` names the regions instead, and changes a verdict where a type asks for it.
    """
    typed = partial(_typed, result, types=types, prompts=prompts, scale=scale, namer=namer)
    if calibration is None:
        by, found = suggested, typed(suggested) if suggested else ()
        hint = Suggested(verdict_of(by.verdict(result.score), found), by.reject, by.pixel, found) if by else None
        said = tuple(dict.fromkeys(each.type for each in hint.regions if each.type)) if hint and namer else ()
        passed = namer is not None and hint is not None and hint.verdict == "accept"
        said = said or (() if passed else _undecided(result, types, namer))
        return Decided(result, types=said, suggested=hint, known=types)
    found, scored = typed(calibration), calibration.verdict(result.score)
    named = tuple(dict.fromkeys(each.type for each in found if each.type))
    verdict = verdict_of(scored, found)
    said = named or (_undecided(result, types, namer) if verdict != "accept" else ())
    return Decided(result, verdict, found, said, scored=scored if scored != verdict else "", known=types)


def verdict_of(scored: Verdict, regions: Sequence[TypedRegion]) -> Verdict:
    """The worst that the regions ask for; one whose type asks for nothing, or no region at all, leaves the score's."""
    asked = [cast(Verdict, each.severity) or scored for each in regions]
    return max(asked, key=VERDICTS.index, default=scored)


def decision(
    calibration: Calibration | None,
    detector: Detector | ArrayDetector,
    *,
    suggested: Calibration | None = None,
    scale: float | None = None,
) -> Decide:
    """`decide` by these, with the names of the detector's types."""
    types, prompts = tuple(getattr(detector, "types", ())), getattr(detector, "type_prompts", NO_WORDS)
    namer: RegionNamer | None = getattr(detector, "namer", None)
    if namer and scale is None and (lost := [name for name, rule in namer.severities.items() if rule.needs_scale]):
        notice(
            "no --scale says how large a pixel is, so none of %s is accepted for being small: its limit is in mm²",
            list_names(lost),
        )
    return partial(
        decide, calibration=calibration, suggested=suggested, types=types, prompts=prompts, scale=scale, namer=namer
    )


def describe(region: DefectRegion, words: str, size: Sequence[int]) -> str:
    """What a region of a map (H, W) is, how large, and where: "tile with crack: 14 mm long, 3 mm², at the upper left".

    Without a scale it says the sides of its box in pixels.
    """
    (x, y), (height, width) = region.centroid, size
    place = f"{('upper', 'middle', 'lower')[int(3 * y / height)]} {('left', 'centre', 'right')[int(3 * x / width)]}"
    at = "in the middle" if place == "middle centre" else f"at the {place}"
    if region.length_mm is None:
        return f"{words}: {region.box.width} x {region.box.height} px, {at}"
    return f"{words}: {region.length_mm:.3g} mm long, {region.area_mm2:.3g} mm², {at}"


def _typed(
    result: Inspected,
    by: Calibration,
    *,
    types: Sequence[str],
    prompts: Mapping[str, str],
    scale: float | None,
    namer: RegionNamer | None,
) -> tuple[TypedRegion, ...]:
    """The regions from the calibration's threshold of pixels on, worst first, with their types."""
    if by.pixel is None:
        return ()
    found, size = regions(result.anomaly_map, by.pixel, scale=scale), result.anomaly_map.shape
    if namer and result.places:
        return _named(result, found[:MOST_NAMED], namer) + tuple(TypedRegion(each, None) for each in found[MOST_NAMED:])
    kinds = [_type(result.type_map, result.anomaly_map, each, types) for each in found]
    return tuple(
        TypedRegion(each, kind, describe(each, prompts[kind or ""], size) if prompts else "")
        for each, kind in zip(found, kinds, strict=True)
    )


def _named(result: Inspected, found: Sequence[DefectRegion], namer: RegionNamer) -> tuple[TypedRegion, ...]:
    """Regions by a classifier, with what their types ask for."""
    if not found:
        return ()
    inside = [inside_region(result.anomaly_map, each) for each in found]
    typed = []
    names = namer.name_regions(result.picture, result.places, inside)
    for region, named in zip(found, names, strict=True):
        sentence, asked = sentence_of(region, named, result.anomaly_map.shape), ask(namer, named, region)
        typed.append(TypedRegion(region, named.type, sentence, named, asked.verdict, asked.reason))
    return tuple(typed)


def sentence_of(region: DefectRegion, named: Named, size: Sequence[int]) -> str:
    """What was measured of a region, for a person: "scratch: 12 x 40 px, at the upper left; probability 0.93; ..."."""
    unknown, may_be = named.type == UNKNOWN, [each.replace("_", " ") for each in named.others]
    article = "an unknown defect" if unknown else named.type.replace("_", " ")
    sure = f"most like {may_be[0]}" if unknown and may_be else ""
    sure = sure or ("" if unknown else f"probability {named.probability:.2f}")
    others = [each for each in may_be if each != article]
    parts = [describe(region, article, size), sure]
    parts += [f"it may be {' or '.join(others)}"] if others and not unknown else []
    parts += ["no type fits it well"] if not may_be else []
    parts += [f"looks most like {named.like}"] if named.like else []
    parts += [f'"{named.words}" fits it best'] if not unknown and named.words not in ("", article) else []
    return "; ".join(filter(None, parts))


def _undecided(result: Inspected, types: Sequence[str], namer: RegionNamer | None) -> tuple[str, ...]:
    """The likeliest type of a picture of which no region is decided."""
    if namer and result.places:
        worst = [inside_worst(result.anomaly_map)]
        return (namer.name_regions(result.picture, result.places, worst)[0].type,)
    return () if result.type_scores is None else (types[int(result.type_scores.argmax())],)


def _type(
    type_map: NDArray[Any] | None, anomaly_map: NDArray[np.float32], region: DefectRegion, types: Sequence[str]
) -> str | None:
    """That of a pixel where the region has its score."""
    if type_map is None or not types:
        return None
    x, y, width, height = region.box
    inside = slice(y, y + height), slice(x, x + width)
    at = int((anomaly_map[inside] == region.score).argmax())  # of the first one
    number = int(type_map[inside].reshape(-1)[at])
    return types[number] if number >= 0 else None
