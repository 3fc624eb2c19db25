"""What a page knows: about the run, and about each of its pictures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from blemish.data.several_types import JOINED
from blemish.types import GOOD


@dataclass(frozen=True, slots=True)
class About:
    """A run: what it was made with, what taught it, and how it decides."""

    title: str  # the part, or the data set
    method: str = ""
    encoder: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # whatever else made it, plain JSON values
    taught: Sequence[Mapping[str, str]] = ()  # {"name", "kind", and of a recipe "id"}
    recipe: Mapping[str, Any] | None = None  # {"hash", "parent", "created", ...}: identifies what decided
    calibration: Mapping[str, Any] | None = None  # `Calibration.as_json()` of the recipe
    suggested: Mapping[str, Any] | None = None  # likewise, of thresholds that good parts alone suggest
    note: str = ""  # what a reader must know before believing a number
    task: Literal["defects", "types"] = "defects"  # types: scores are how little was sure of what a defect is


Heat = tuple[float, float, float]
"""Scores of a map's black, of its middle and of its white."""


class TypeMap(NamedTuple):
    """The map of one type, as `Encoded` has that of all."""

    name: str
    overlay: bytes
    heat: Heat


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as the page keeps it; empty where there is none."""

    picture: bytes = b""  # WebP
    overlay: bytes = b""  # PNG, grey: the map; or, without `heat`, a WebP of the picture already tinted
    heat: Heat | None = None
    truth: bytes = b""  # PNG, black and white: where the defect is labelled
    maps: Sequence[TypeMap] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One inspected picture."""

    path: str
    score: float  # raw, higher is more anomalous
    size: tuple[int, int]  # width, height
    label: str = ""  # "good", the defect's type, or "" where nobody knows
    type: str = ""  # of the defect as the run named it; of several, joined
    verdict: str = ""  # as the run decided it
    mistake: str = ""  # what is wrong with its name, where names are measured
    area: float | None = None  # labelled defect, pixels
    seconds: float | None = None  # in the detector
    peak: tuple[int, int] | None = None  # x, y
    regions: Sequence[Mapping[str, Any]] = ()  # as a line of results.jsonl lists them
    nearest: int | None = None  # the number of the good part that looks most like it
    small: Encoded = Encoded()
    large: Encoded | None = None  # kept for some pictures only

    @property
    def is_defect(self) -> bool:
        """Labelled as a defect."""
        return self.label not in ("", GOOD)

    def as_json(self) -> dict[str, Any]:
        """What the page lists of every picture: everything but its pixels and outlines, without what is unknown."""
        left_out = {"small", "large", "regions"}
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name not in left_out}
        values |= {"heat": self.small.heat, "tinted": bool(self.small.overlay)}
        unknown = {name for name, value in values.items() if value is None or value is False or value == ""}
        known = {name: value for name, value in values.items() if name not in unknown}
        boxes = [{name: each for name, each in region.items() if name != "contour"} for region in self.regions]
        return known | ({"regions": boxes} if boxes else {})


def types_on_tile(types: Sequence[str], regions: Sequence[Mapping[str, Any]]) -> str:
    """Of a picture of these types, the worst region's first: that one, and what another region is likelier than not.

    regions: as a line of results.jsonl lists them; one that says no probability is sure.
    """
    sure = [each for each in regions if each.get("probability") is None or each["probability"] >= 0.5]
    likely = {each["type"] for each in sure}
    return JOINED.join([*types[:1], *(name for name in types[1:] if name in likely)])


def outlines(item: Item, most: int = 240) -> list[list[list[float]]]:
    """The contours of the regions, each thinned to at most that many points."""
    contours = [region.get("contour") or [] for region in item.regions]
    return [list(contour[:: math.ceil(len(contour) / most)]) for contour in contours if contour]
