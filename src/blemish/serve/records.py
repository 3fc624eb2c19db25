"""What is known of a part that was inspected, or should have been: one record a part."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

_PART = re.compile(r"[^\x00-\x1f\x7f/]{1,128}")
Outcome = Literal["inspected", "unreadable", "incomplete", "not inspected"]
SEVERITY = ("accept", "review", "reject")
"""Verdicts, the worst last."""


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One part at one station; times are seconds since 1970."""

    station: str
    part: str
    arrived: float  # its first view
    answered: float
    outcome: Outcome
    verdict: str  # what was answered: accept, review or reject
    judged: str = ""  # what was found, where that is known; of what was late, later
    late: bool = False
    score: float | None = None  # raw, higher is more anomalous; of several views the highest
    product: str = ""
    batch: str = ""
    regions: Sequence[Mapping[str, Any]] = ()  # of all views, worst first
    types: Sequence[str] = ()
    views: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by name: digest, score, size, error
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage
    recipe: str = ""  # the hash of the one that judged, or that was used when the part came
    software: str = ""
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        found = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        finite = self.score is not None and math.isfinite(self.score)
        lists = {"regions": [dict(each) for each in self.regions], "types": list(self.types)}
        views = {name: dict(each) for name, each in self.views.items()}
        more = {"views": views, "seconds": dict(self.seconds)}
        return found | {"score": self.score if finite else None} | lists | more


def is_part_id(text: str) -> bool:
    """1 to 128 characters of any writing, none of them a control character or a slash."""
    return _PART.fullmatch(text) is not None and text.encode(errors="replace").decode() == text


def count_ids() -> Iterator[str]:
    """Ids of parts that no other start gives."""
    start = datetime.now(tz=UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    return (f"{start}-{number:06}" for number in itertools.count(1))


def hash_bytes(digest: str) -> bytes:
    """Those of a recipe's hash, which a record has in hex."""
    try:
        return bytes.fromhex(digest)
    except ValueError:
        return digest.encode()


def worst_verdict(verdicts: Sequence[str]) -> str:
    """Of the views of a part; "" of none."""
    return max(verdicts, key=SEVERITY.index, default="")
