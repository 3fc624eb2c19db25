"""What follows from the type of a region, and what is said where its rule does not decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from blemish.blocks.defect_regions import DefectRegion
from blemish.calibration.prediction_sets import Sureness
from blemish.calibration.thresholds import Calibration
from blemish.classification.calls import Named, RegionNamer
from blemish.classification.names import UNKNOWN, Severity
from blemish.classification.rules import ask
from blemish.images import Inspected, Places, Region, source_of
from blemish.runs.decision import TypedRegion, decide, sentence_of, verdict_of

REGION = DefectRegion(
    Region(0, 0, 4, 4), 16, None, 5.0, None, 1.0, 0.5, 0.8, (2.0, 2.0), np.zeros((4, 2), np.int64)
)  # fmt: skip
RULES = {"stain": Severity("review", 20), "dust": Severity("accept"), "crack": Severity("reject")}


class Rules:
    """A namer of which only the rules are asked."""

    def __init__(self, severities: Mapping[str, Severity], coverage: float) -> None:
        self.severities, self.sureness = severities, Sureness(coverage=coverage)

    def name_regions(self, _picture: Any, _places: Any, regions: Sequence[Any]) -> list[Named]:
        return [Named("stain", 0.8, ("stain", "crack"))] * len(regions)


def asked(type_: str, may_be: tuple[str, ...], *, taught: bool = True) -> tuple[str, str]:
    namer = cast(RegionNamer, Rules(RULES, 0.9 if taught else 0.0))
    return ask(namer, Named(type_, 0.8, may_be), REGION)


@pytest.mark.parametrize(
    ("type_", "may_be", "expected"),
    [
        ("stain", ("stain",), ("accept", "")),
        ("stain", ("stain", "dust"), ("accept", "")),
        ("crack", ("crack", "stain"), ("reject", "")),
        ("dent", ("dent",), ("", "")),
        ("unknown", ("stain",), ("", "")),
    ],
)
def test_the_rule_of_a_type_decides(type_: str, may_be: tuple[str, ...], expected: tuple[str, str]) -> None:
    assert asked(type_, may_be) == expected


def test_why_the_rule_does_not_decide_is_said() -> None:
    begins, ends = "the rule for stain would accept it, but ", ": the score decides"
    both = asked("stain", ("stain", "crack"))
    assert both == ("", f"{begins}it may be stain or crack, and crack asks for reject{ends}")
    assert asked("stain", ("stain", "dent")) == ("", f"{begins}it may be stain or dent, and dent has no rule{ends}")
    assert asked("stain", ()) == ("", f"{begins}no type fits it well{ends}")
    may_be = "by words alone it may be stain or dust or crack, and crack asks for reject"
    words = asked("stain", ("stain",), taught=False)
    assert words == ("", f"{begins}{may_be}{ends} until examples tell types apart")


def test_the_reason_stands_beside_the_verdict_of_the_score() -> None:
    found = ask(cast(RegionNamer, Rules(RULES, 0.9)), Named("stain", 0.8, ("stain", "crack")), REGION)
    typed = TypedRegion(REGION, "stain", "a stain", severity=found.verdict, reason=found.reason)
    assert verdict_of("reject", [typed]) == "reject"
    assert typed.as_json()["reason"] == found.reason
    assert "severity" not in typed.as_json()
    assert "reason" not in typed._replace(reason="").as_json()


def test_rules_decide_what_good_parts_suggest_as_they_decide_a_calibration() -> None:
    heat = np.zeros((32, 32), np.float32)
    heat[4:20, 4:20] = 2
    seen = Places(Region(0, 0, 32, 32), np.zeros((4, 4, 2), np.float32))
    result = Inspected(source_of(Path("a.png")), np.zeros((3, 32, 32), np.uint8), 2.0, heat, 0, 0, places=(seen,))
    by = Calibration((0.5,), "split", {}, {}, accept=1.0, reject=1.0, pixel=1.0, goal={})
    namer = cast(RegionNamer, Rules(RULES, 0.9))
    hint = decide(result, None, suggested=by, namer=namer).suggested
    assert by.verdict(2.0) == "reject"
    assert hint is not None
    assert hint.verdict == decide(result, by, namer=namer).verdict == "review"


def test_names_of_files_are_words_in_a_sentence() -> None:
    said = sentence_of(REGION, Named("large_crack", 0.8, ("large_crack", "small_crack")), (32, 32))
    assert said == "large crack: 4 x 4 px, at the upper left; probability 0.80; it may be small crack"
    unknown = sentence_of(REGION, Named(UNKNOWN, 0.8, ("large_crack", "small_crack")), (32, 32))
    assert unknown == "an unknown defect: 4 x 4 px, at the upper left; most like large crack"
