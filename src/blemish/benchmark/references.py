"""Published numbers, to stand beside what is measured; `references.toml` says where each comes from."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from blemish.evaluation.evaluate import METRICS


@dataclass(frozen=True, slots=True)
class Reference:
    """What someone published of one method: means over the categories of a data set, each between 0 and 1."""

    method: str
    data: str
    shots: int | str  # of good parts in each category, or "all"
    encoder: str
    source: str
    picked_on_test: Literal["no", "partly", "yes", "not stated"]  # whether test pictures had a say in what was run
    remark: str
    metrics: Mapping[str, float]


@cache
def references() -> tuple[Reference, ...]:
    """All there are, in the order of the file."""
    text = (files("blemish.benchmark") / "references.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)["reference"]
    return tuple(
        Reference(
            row["method"],
            row["data"],
            row["shots"],
            row["encoder"],
            row["source"],
            row["picked_on_test"],
            row.get("remark", ""),
            {name: row[name] for name in METRICS if name in row},
        )
        for row in rows
    )


def known_data() -> list[str]:
    """The data sets that there are references for."""
    return sorted({reference.data for reference in references()})
