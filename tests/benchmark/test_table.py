from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.made import PLAN, data_set, planned

from blemish import catalog
from blemish.benchmark.formats import as_csv, as_json, as_markdown
from blemish.benchmark.plan import PlannedTrial
from blemish.benchmark.references import Reference, known_data, references
from blemish.benchmark.running import Failed, Finished
from blemish.benchmark.table import COLUMNS, Cell, Row, Table, over_categories, over_seeds, tabulate
from blemish.evaluation.evaluate import METRICS

CELLS = ("value", "low", "high")
PUBLISHED = Reference("patchcore", "MVTec AD", 2, "WideResNet", "a paper", "partly", "a remark", {"image_auroc": 0.99})
OTHERS = [
    Reference("patchcore", "MVTec AD", 4, "WideResNet", "other shots", "no", "", {"image_auroc": 0.9}),
    Reference("patchcore", "VisA", 2, "WideResNet", "other data", "no", "", {"image_auroc": 0.9}),
    Reference("padim", "MVTec AD", 2, "WideResNet", "another method", "no", "", {"image_auroc": 0.9}),
]
KNOWN = PLAN + 'published = "MVTec AD"\n'


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.01}


def finished(trial: PlannedTrial, value: float) -> Finished:
    """A trial that came to this value in everything."""
    numbers: dict[str, Any] = {name: estimate(value) for name in (*METRICS, "f1", "accuracy", "escape", "overkill")}
    one_type = {name: estimate(value - 0.1) for name in (*METRICS, "escape")} | {"n_normal": 2, "n_anomalous": 3}
    without = {"pixel_ap": None}
    outcome = numbers | {
        **without,
        "types": {"spot": one_type | without, "stain": one_type | without},
        "n_normal": 2,
        "n_anomalous": 6,
        "seconds_per_image": 0.25,
        "peak_bytes": int(value * 2**30),
        "threshold": 1.0,
        "note": "",
        "unreadable": [],
    }
    return Finished(trial, trial.asked() | {"precision": "float32", "blemish": "0.1.0"}, outcome, kept=False)


def table(trials: Sequence[PlannedTrial], values: Sequence[float], known: Sequence[Reference] = ()) -> Table:
    return tabulate(trials, [finished(*pair) for pair in zip(trials, values, strict=True)], known)


def names(found: Table) -> list[tuple[str, str, str]]:
    return [(row.category, row.type, row.group.method) for row in found.rows]


numbers = st.floats(0, 1)
spans = st.builds(lambda a, b, c: Cell(*sorted((a, b, c))[1:2], *sorted((a, b, c))[::2]), numbers, numbers, numbers)


@given(st.lists(spans, min_size=1, max_size=5))
def test_seeds_are_averaged_with_their_spread(cells: list[Cell]) -> None:
    found = over_seeds([{"image_ap": cell, "peak_mib": cell} for cell in cells])
    for part in CELLS:
        assert getattr(found["image_ap"], part) == pytest.approx(mean(getattr(cell, part) for cell in cells))
    spread = found["image_ap"].spread
    assert spread == (None if len(cells) == 1 else pytest.approx(stdev(cell.value for cell in cells), abs=1e-12))
    assert found["peak_mib"].value == max(cell.value for cell in cells)


@given(st.lists(spans, min_size=1, max_size=5))
def test_categories_are_averaged_and_their_errors_are_independent(cells: list[Cell]) -> None:
    found = over_categories([{"aupro": cell} for cell in cells], [[{"aupro": cell} for cell in cells]])["aupro"]
    assert found.value == pytest.approx(mean(cell.value for cell in cells))
    assert found.spread is None
    assert found.low is not None
    assert found.high is not None
    lows = math.sqrt(sum((cell.value - (cell.low or 0)) ** 2 for cell in cells))
    assert found.value - found.low == pytest.approx(lows / len(cells), abs=1e-9)
    assert -1e-9 <= found.low <= found.value <= found.high <= 1 + 1e-9


def test_the_spread_of_a_mean_is_that_of_the_means_of_each_seed() -> None:
    by_seed = [[{"aupro": Cell(0.2)}, {"aupro": Cell(0.4)}], [{"aupro": Cell(0.4)}, {"aupro": Cell(0.2)}]]
    whole = over_categories([{"aupro": Cell(0.3)}, {"aupro": Cell(0.3)}], by_seed)["aupro"]
    assert whole.value == pytest.approx(0.3)
    assert whole.spread == pytest.approx(0.0)
    assert (whole.low, whole.high) == (None, None)


def test_what_one_category_lacks_the_mean_lacks() -> None:
    assert over_categories([{"aupro": Cell(0.5)}, {}], []) == {}
    assert over_seeds([{"aupro": Cell(0.5)}, {}]) == {}


def test_the_mean_comes_first_then_categories_then_types(tmp_path: Path) -> None:
    found = table(planned(data_set(tmp_path)), [0.6, 0.8, 0.7, 0.9])
    assert [row[:2] for row in names(found)] == [
        ("mean of 2", ""),
        ("bolt", ""),
        ("bolt", "spot"),
        ("bolt", "stain"),
        ("nut", ""),
        ("nut", "spot"),
        ("nut", "stain"),
    ]
    whole, bolt, spot = found.rows[:3]
    assert whole.cells["image_auroc"].value == pytest.approx(0.75)
    assert whole.cells["image_auroc"].spread == pytest.approx(stdev([0.65, 0.85]))
    assert tuple(bolt.cells["image_auroc"]) == pytest.approx((0.7, 0.68, 0.71, stdev([0.6, 0.8])))
    assert spot.cells["image_auroc"].value == pytest.approx(0.6)
    assert bolt.cells["images_per_second"].value == 4
    assert bolt.cells["peak_mib"].value == pytest.approx(0.8 * 1024, abs=1)
    assert "pixel_ap" not in bolt.cells
    assert (bolt.seeds, bolt.n_normal, bolt.n_anomalous, whole.n_anomalous, spot.n_anomalous) == (2, 2, 6, 12, 3)


def test_what_was_published_stands_under_what_was_measured_likewise(tmp_path: Path) -> None:
    text = KNOWN.replace("[[data]]", '[[methods]]\nname = "padim"\n[[data]]').replace("[2]", "[1, 2]")
    trials = planned(data_set(tmp_path), text)
    rows = table(trials, [0.5] * len(trials), [PUBLISHED, *OTHERS[:2]]).rows
    (place,) = [number for number, row in enumerate(rows) if not row.seeds]
    shown, above, below = rows[place], rows[place - 1], rows[place + 1]
    assert (shown.group.method, shown.group.shots, shown.picked_on_test) == ("patchcore", 2, "partly")
    assert (shown.source, shown.cells) == ("a paper; a remark", {"image_auroc": Cell(0.99)})
    assert (above.category, above.group.method, above.group.shots) == ("mean of 2", "patchcore", 2)
    assert (below.category, below.group.method, below.group.shots) == ("mean of 2", "padim", 2)


def test_what_was_published_of_something_else_is_not_shown(tmp_path: Path) -> None:
    trials = planned(data_set(tmp_path), KNOWN)
    assert all(row.seeds for row in table(trials, [0.5] * 4, OTHERS).rows)
    unnamed = planned(data_set(tmp_path))
    assert all(row.seeds for row in table(unnamed, [0.5] * 4, [PUBLISHED]).rows)


def test_a_single_category_has_its_reference_beside_it(tmp_path: Path) -> None:
    trials = planned(data_set(tmp_path, "bolt"), KNOWN)
    found = table(trials, [0.5, 0.5], [PUBLISHED])
    assert [(row.category, row.type, row.seeds) for row in found.rows] == [
        ("bolt", "", 2),
        ("mean of all of MVTec AD", "", 0),
        ("bolt", "spot", 2),
        ("bolt", "stain", 2),
    ]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    trials = planned(data_set(tmp_path))
    results: list[Finished | Failed] = [
        finished(trials[0], 0.5),
        finished(trials[1], 0.7),
        Failed(trials[2], "no | luck"),
    ]
    found = tabulate(trials, results, [])
    assert found.rows[0].category == "mean of 1 of 2"
    assert found.failed == [trials[2].asked() | {"error": "no | luck"}]
    assert "| nut | patchcore |" in as_markdown(found)
    assert r"no \| luck |" in as_markdown(found)
    assert list(csv.DictReader(io.StringIO(as_csv(found))))[-1]["error"] == "no | luck"
    nothing = tabulate(trials, [Failed(each, "none") for each in trials], [])
    assert nothing.rows == []
    assert "Nothing was measured." in as_markdown(nothing)


def test_notes_are_said_once(tmp_path: Path) -> None:
    trials = planned(data_set(tmp_path, "bolt"))
    strange = {
        "note": "random weights",
        "threshold": None,
        "unreadable": [{"path": "a.png", "error": "a.png: cut off"}],
    }
    results = [each._replace(outcome=each.outcome | strange) for each in (finished(trial, 0.5) for trial in trials)]
    found = tabulate(trials, results, [])
    assert len(found.notes) == 3
    assert found.notes[0] == "random weights"
    assert "parts bolt: not inspected: a.png: cut off" in found.notes
    assert all(f"- {note}" in as_markdown(found) for note in found.notes)


@pytest.fixture
def mixed(tmp_path: Path) -> Table:
    text = KNOWN.replace("[2]", '[2, "all"]')
    trials = planned(data_set(tmp_path), text)
    values = [0.5 + number / 17 for number in range(len(trials))]
    return table(trials, values, [PUBLISHED])


def identity(row: Row) -> tuple[str, ...]:
    return (str(row.group.shots), row.category, row.type, row.group.method, row.group.encoder, row.source)


def test_the_csv_reads_back_to_the_last_digit(mixed: Table) -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(mixed))))
    keys = ("shots", "category", "type", "method", "encoder", "source")
    assert [tuple(line[key] for key in keys) for line in lines] == [identity(row) for row in mixed.rows]
    for line, row in zip(lines, mixed.rows, strict=True):
        for name in COLUMNS:
            cell = row.cells.get(name, Cell(math.nan))
            for part in Cell._fields:
                read, kept = line[name if part == "value" else f"{name}_{part}"], getattr(cell, part)
                assert (float(read) if read else None) == (kept if name in row.cells else None)


def test_the_json_reads_back(mixed: Table) -> None:
    found = json.loads(as_json(mixed))
    assert found["failed"] == []
    for line, row in zip(found["rows"], mixed.rows, strict=True):
        assert (str(line["shots"]), line["category"], line["type"]) == identity(row)[:3]
        assert {name: Cell(**line[name]) for name in COLUMNS if name in line} == row.cells


def test_the_markdown_reads_back_to_three_digits(mixed: Table) -> None:
    grid = as_markdown(mixed).split("\n\n")[0].splitlines()
    head, _, *lines = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in grid)
    assert "pixel ap" not in head  # nothing in it
    assert len(lines) == len(mixed.rows)
    for line, row in zip(lines, mixed.rows, strict=True):
        said = dict(zip(head, line, strict=True))
        assert (said["shots"], said["category"], said["type"]) == identity(row)[:3]
        for name, cell in row.cells.items():
            shown = [float(number) for number in re.findall(r"[\d.]+", said[name.replace("_", " ")])]
            order = [cell.value, cell.spread, cell.low, cell.high]
            kept = [number for number in order if number is not None]
            assert shown == pytest.approx(kept[: len(shown)], abs=0.5 if name == "peak_mib" else 0.0051)


def test_references_are_of_methods_there_are_and_between_0_and_1() -> None:
    found = references()
    assert known_data() == ["MVTec AD", "VisA"]
    assert {each.method for each in found} <= set(catalog.METHODS)
    for each in found:
        assert each.metrics
        assert all(0 < value < 1 for value in each.metrics.values())
        assert each.picked_on_test in ("no", "partly", "yes", "not stated")
        assert each.source
        assert each.shots == "all" or isinstance(each.shots, int)
    unique = {(each.method, each.data, each.shots, each.source) for each in found}
    assert len(unique) == len(found)


def test_what_was_published_of_a_reconstructed_method_is_said_to_be_of_another_system() -> None:
    for each in references():
        assert bool(catalog.card(each.method).grade) == ("claim for their own system" in each.remark)
