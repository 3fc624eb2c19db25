"""What a recipe knows of types of defects: its classifier, the words, how sure it is, and what follows from a type."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from blemish.calibration.prediction_sets import Sureness
from blemish.calibration.thresholds import Verdict
from blemish.data.several_types import spelling_of, split_label
from blemish.errors import BadInput
from blemish.fields import Fields, is_number, is_string, list_of, one_of, or_none

UNKNOWN = "unknown"
"""What a defect of no known type is called."""
CERTAIN = Sureness()
"""Nothing is known of how sure the classifier is."""
VERDICTS: tuple[Verdict, ...] = ("accept", "review", "reject")
"""From the mildest."""
LONGEST = 100
"""Characters of a name; encoders of text read few words, and tables have to show it."""


class Severity(NamedTuple):
    """What a defect of a type means for the part."""

    verdict: Verdict
    below: float | None = None  # of one smaller than this the part is accepted
    unit: Literal["mm2", "px"] = "px"

    @property
    def needs_scale(self) -> bool:
        """Whether its limit is in mm²."""
        return self.below is not None and self.unit == "mm2"

    def of(self, area: int, area_mm2: float | None) -> Verdict:
        """For a defect of so many pixels; without a scale no limit in mm² is applied."""
        size = area if self.unit == "px" else area_mm2
        return "accept" if self.below is not None and size is not None and size < self.below else self.verdict

    def __str__(self) -> str:
        unit = "mm²" if self.unit == "mm2" else "px"
        return self.verdict + (f", below {self.below:g} {unit} accept" if self.below is not None else "")


@dataclass(frozen=True, slots=True)
class DefectType:
    """A type in words, as a list of defects says it."""

    name: str
    definition: str = ""
    attributes: tuple[str, ...] = ()
    severity: Severity | None = None  # None: the calibration decides

    @property
    def words(self) -> list[str]:
        """All that is said of it beside its name."""
        return [each for each in (self.definition, *self.attributes) if each]


@dataclass(frozen=True, slots=True)
class Names:
    """The part of a recipe that names defects; its tensors stand beside it."""

    classifier: str
    arguments: Mapping[str, Any]  # plain JSON values
    types: tuple[DefectType, ...]
    sureness: Sureness = CERTAIN
    of: Literal["pictures", "defects"] = "defects"

    @property
    def known(self) -> list[str]:
        """The types' names, in the classifier's order."""
        return [each.name for each in self.types]

    def severities(self) -> dict[str, Severity]:
        """Of the types that have one, by name."""
        return {each.name: each.severity for each in self.types if each.severity}

    def as_json(self) -> dict[str, Any]:
        """Plain values, which `from_json` reads."""
        return {
            "classifier": self.classifier,
            "arguments": dict(self.arguments),
            "of": self.of,
            "sureness": self.sureness.as_json(),
            "types": [
                {
                    "name": each.name,
                    "definition": each.definition,
                    "attributes": list(each.attributes),
                    "severity": each.severity and list(each.severity),
                }
                for each in self.types
            ],
        }


def from_json(read: Fields) -> Names:
    """The inverse of `Names.as_json`; raises the reader's error for what does not fit."""
    keys = ("classifier", "arguments", "of", "sureness", "types")
    read.only(*keys, needed=keys)
    types = tuple(_type_from(each) for each in read.tables("types"))
    return Names(
        classifier=read.one("classifier", "", is_string, "a classifier's name"),
        arguments=read.one("arguments", {}, lambda each: isinstance(each, dict), "a table"),
        types=types,
        sureness=_sureness_from(read.inner("sureness", read.values["sureness"]), len(types)),
        of=read.one("of", "", one_of(("pictures", "defects")), "pictures or defects"),
    )


def _sureness_from(read: Fields, types: int) -> Sureness:
    limits: dict[str, Any] = {"least": -math.inf, "rest": 1.0, "temperature": 1.0, "coverage": 0.0, "middle": None}
    read.only(*limits, "most", needed=limits)
    found = {name: read.one(name, None, or_none(is_number), "a number") for name in limits}
    found = {name: usual if found[name] is None else found[name] for name, usual in limits.items()}
    most = read.one("most", [], lambda each: is_number(each) or list_of(is_number)(each), "a number of each type")
    most = [most] * types if is_number(most) else most  # one of all, as recipes had it at first
    if len(most) not in (0, types):
        raise read.misfit("most", most, f"{types} numbers, one of each type")
    return Sureness(**found, most=tuple(most))


def _type_from(read: Fields) -> DefectType:
    keys = ("name", "definition", "attributes", "severity")
    read.only(*keys, needed=keys)
    said = read.one("severity", None, or_none(_is_severity), "verdict, limit and unit")
    return DefectType(
        read.one("name", "", lambda each: is_string(each) and bool(each.strip()), "a name"),
        read.one("definition", "", is_string, "words"),
        tuple(read.one("attributes", [], list_of(is_string), "words")),
        None if said is None else Severity(*said),
    )


def _is_severity(value: Any) -> bool:
    fits = isinstance(value, list) and len(value) == 3
    return fits and value[0] in VERDICTS and (value[1] is None or is_number(value[1])) and value[2] in ("mm2", "px")


def defect_types(said: str, *, product: str = "") -> tuple[DefectType, ...]:
    """Of "scratch, dent", or of a TOML file with a table a type; those of other products are left out.

    Such a table has `definition`, `attributes`, `severity` ("accept", "review" or "reject"), `accept_below_mm2` or
    `accept_below_px`, and `products`; all may be left out. Raises BadInput with file, table and key.
    """
    found = [*_from_toml(Path(said), product)] if said.lower().endswith(".toml") else _from_list(said)
    refuse_twins([each.name for each in found])
    if not found:
        raise BadInput(f"{said!r} names no defect{f' of {product}' if product else ''}: write what can go wrong")
    return tuple(found)


def _from_list(said: str) -> list[DefectType]:
    names = [name.strip() for name in said.split(",")]
    given = [DefectType(name) for name in names if name]
    if given and len(given) < len(names):
        raise BadInput(f"{said!r} has a comma too many: write '{', '.join(each.name for each in given)}'")
    return given


def _from_toml(path: Path, product: str) -> Iterable[DefectType]:
    if not path.exists():
        raise BadInput(f"{path} does not exist: name a TOML file, or write what can go wrong, as in 'scratch, dent'")
    import tomllib

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as TOML ({error}): write a table [NAME] for each defect") from error
    whole = Fields(path, "", values)
    for name in values:
        read = whole.inner(name, values[name])
        read.only("definition", "attributes", "severity", "accept_below_mm2", "accept_below_px", "products")
        products = read.one("products", [], list_of(is_string), "a list of products")
        severity = _severity(read)
        words = tuple(read.one("attributes", [], list_of(is_string), "a list of words"))
        if not products or not product or product in products:
            yield DefectType(name, read.one("definition", "", is_string, "words"), words, severity)


def _severity(read: Fields) -> Severity | None:
    verdict = read.one("severity", None, or_none(one_of(VERDICTS)), f"one of {', '.join(VERDICTS)}")
    limits = {
        unit: read.one(f"accept_below_{unit}", None, or_none(_is_positive), "a number above 0")
        for unit in ("mm2", "px")
    }
    given = [(limit, unit) for unit, limit in limits.items() if limit is not None]
    if len(given) > 1:
        raise read.refused("accept_below_mm2", "accept_below_px is there as well: leave one out")
    if given and verdict == "accept":
        raise read.refused("severity", f"accept goes without accept_below_{given[0][1]}: leave one of them out")
    if given and verdict is None:
        raise read.refused(f"accept_below_{given[0][1]}", "needs severity, the verdict of larger ones")
    return Severity(verdict, *cast(Any, given[0] if given else ())) if verdict else None


def _is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def refuse_twins(names: Sequence[str]) -> None:
    """Raise BadInput for a type in two spellings, one that means something else here, a name of none or several,
    and one that is too long.
    """
    plain = dict[str, str]()
    for name in names:
        if len(name) > LONGEST:
            way_out = "shorten it, and say the rest in its definition, in a TOML file of defects"
            raise BadInput(f"{name[:40] + '...'!r} has {len(name)} characters, a name at most {LONGEST}: {way_out}")
        key, parts = spelling_of(name), split_label(name)
        if len(parts) != 1:
            said = f"{name!r} names {'several types' if len(parts) > 1 else 'no type'} of defects"
            raise BadInput(f"{said}: give each a name of its own, without + and ;")
        if key in ("good", UNKNOWN):
            said = f"{name!r} is no type of defect here, but what a part without one, or of none known, is"
            raise BadInput(f"{said}: give the type another name")
        if key in plain:
            raise BadInput(f"{plain[key]!r} and {name!r} are one type in two spellings: give it one name")
        plain[key] = name
