from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.training import TRAINED, begun

from blemish.calibration.thresholds import Calibration, calibrate_thresholds, with_thresholds
from blemish.images import Inspected, source_of
from blemish.runs.decision import Decided, decide, decision
from blemish.types import Geometry


def calibration(accept: float, reject: float) -> Calibration:
    made = calibrate_thresholds([0.1, 0.2, 0.3], scheme="split", peaks=[0.1, 0.2, 0.3])
    return with_thresholds(made, accept=accept, reject=reject)


def result(score: float, *, typed: bool = True) -> Inspected:
    anomaly_map, kinds = np.zeros((6, 8), np.float32), np.full((6, 8), -1, np.int16)
    anomaly_map[1:3, 1:3] = score
    anomaly_map[1, 2] = 1.25 * score
    anomaly_map[4, 5:7] = 0.75 * score
    kinds[1, 2], kinds[4, 5:7] = 1, 0
    picture = np.zeros((3, 6, 8), np.float32)
    return Inspected(source_of(Path("a.png")), picture, score, anomaly_map, 0, 0, None, kinds if typed else None)


def test_without_a_calibration_nothing_is_decided() -> None:
    found = decide(result(1.0), None, types=("dent", "scratch"))
    assert (found.verdict, found.regions, found.types, found.as_json()) == ("", (), (), {})


def test_a_suggestion_is_no_verdict() -> None:
    hint = replace(calibration(0.9, 0.9), pixel=1.1)
    high, low = (decide(result(score), None, suggested=hint) for score in (0.9, 0.8))
    (region,) = high.as_json()["suggested"]["regions"]
    assert region["area"] == 1
    assert region["score"] == pytest.approx(1.25 * 0.9)
    expected = {"verdict": "accept", "threshold": 0.9, "pixel": 1.1, "regions": []}
    assert low.as_json() == {"suggested": expected}
    assert high.verdict == low.verdict == ""
    assert high.regions == low.regions == ()
    assert (
        decide(result(1.0), None, suggested=replace(calibration(0.9, 0.9), pixel=None)).as_json()["suggested"][
            "regions"
        ]
        == []
    )
    assert decide(result(1.0, typed=False), calibration(0.4, 2.0), suggested=hint).as_json()["verdict"] == "review"


def test_a_region_has_the_type_where_it_is_worst() -> None:
    found = decide(result(1.0), calibration(0.4, 0.9), types=("dent", "scratch"), scale=0.5)
    assert found.verdict == "reject"
    assert [each.type for each in found.regions] == ["scratch", "dent"]
    assert found.types == ("scratch", "dent")
    first, second = found.as_json()["regions"]
    assert (first["type"], first["area"], first["area_mm2"]) == ("scratch", 4, 1.0)
    assert second["box"] == {"x": 5, "y": 4, "width": 2, "height": 1}


def test_a_detector_that_names_no_type_has_regions_without_one() -> None:
    found = decide(result(1.0, typed=False), calibration(0.4, 0.9))
    assert [each.type for each in found.regions] == [None, None]
    assert found.types == ()


def test_the_likeliest_type_of_a_picture_stands_in_for_regions_but_not_for_accepted_parts() -> None:
    scores = np.array([0.1, 0.7], np.float32)
    for score, types in ((0.2, ()), (0.5, ("scratch",)), (1.0, ("scratch",))):
        flat = result(score, typed=False)._replace(type_scores=scores, anomaly_map=np.zeros((6, 8), np.float32))
        assert decide(flat, calibration(0.4, 0.9), types=("dent", "scratch")).types == types
    assert decide(flat, None, types=("dent", "scratch")).types == ("scratch",)


def test_types_are_written_with_a_verdict_with_a_suggestion_and_without_either() -> None:
    scores = np.array([0.1, 0.7], np.float32)
    found, names, made = result(1.0)._replace(type_scores=scores), ("dent", "scratch"), calibration(0.4, 0.9)
    assert decide(found, None, types=names).as_json() == {"types": ["scratch"]}
    assert list(decide(found, None, types=names, suggested=made).as_json()) == ["types", "suggested"]
    assert decide(found, made, types=names).as_json()["types"] == ["scratch", "dent"]
    assert list(decide(found, calibration(1.5, 2.0), types=names).as_json()) == ["verdict", "types", "regions"]
    assert list(decide(result(1.0, typed=False), made).as_json()) == ["verdict", "regions"]


def test_a_decision_knows_the_names_of_its_detector() -> None:
    class Named:
        geometry = Geometry()
        types = ("dent", "scratch")

    found = decision(calibration(0.4, 0.9), Named())(result(1.0))  # type: ignore[arg-type]
    assert isinstance(found, Decided)
    assert found.types == ("scratch", "dent")


@pytest.mark.parametrize("method", TRAINED)
def test_whatever_a_detector_has_learned_its_regions_are_decided_about(method: str) -> None:
    """Learned prompts, for one, are no words for types."""
    found = decision(calibration(0.4, 0.9), begun(method))(result(1.0, typed=False))
    assert [bool(each.sentence) for each in found.regions] == [method in ("clip-mdc", "uniadc")] * 2


def test_a_region_is_said_in_words_of_its_type_size_and_place() -> None:
    prompts = {"dent": "cap with dent", "scratch": "cap with scratch", "": "cap with an unknown defect"}
    found = decide(result(1.0), calibration(0.4, 0.9), types=("dent", "scratch"), prompts=prompts, scale=0.5)
    assert [each.sentence for each in found.regions] == [
        "cap with scratch: 1.41 mm long, 1 mm², at the upper left",
        "cap with dent: 1.12 mm long, 0.5 mm², at the lower right",
    ]
    assert found.as_json()["regions"][0]["sentence"] == found.regions[0].sentence
    unknown = result(1.0)._replace(type_map=np.full((6, 8), -1, np.int16))
    (first, _) = decide(unknown, calibration(0.4, 0.9), types=("dent", "scratch"), prompts=prompts).regions
    assert (first.type, first.sentence) == (None, "cap with an unknown defect: 2 x 2 px, at the upper left")


def test_without_words_of_its_own_a_detector_says_no_sentence() -> None:
    found = decide(result(1.0), calibration(0.4, 0.9), types=("dent", "scratch"))
    assert "sentence" not in found.as_json()["regions"][0]
