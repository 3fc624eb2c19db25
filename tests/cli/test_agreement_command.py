from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_inspect import run

HEAD = "part,appraiser,verdict,reference\n"


def table(path: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    path.write_text(HEAD + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def judged(part: str, reference: str, ann: tuple[str, str], recipe: tuple[str, str]) -> list[tuple[str, str, str, str]]:
    return [(part, who, said, reference) for who, both in (("ann", ann), ("recipe", recipe)) for said in both]


ROWS = [
    *judged("1", "good", ("good", "good"), ("good", "good")),
    *judged("2", "good", ("good", "bad"), ("good", "good")),
    *judged("3", "bad", ("bad", "bad"), ("bad", "bad")),
    *judged("4", "bad", ("good", "good"), ("bad", "bad")),
]


def test_appraisers_are_compared_with_themselves_each_other_and_the_reference(tmp_path: Path) -> None:
    result = run("agreement", table(tmp_path / "t.csv", ROWS), "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    ann, recipe = found["appraisers"]["ann"], found["appraisers"]["recipe"]
    assert [(ann[key]["cases"], ann[key]["total"]) for key in ("within", "correct", "escapes", "false_alarms")] == [
        (3, 4),
        (2, 4),
        (1, 2),
        (1, 2),
    ]
    assert recipe["kappa"]["value"] == 1.0
    assert (found["between"]["cases"], found["correct"]["cases"]) == (2, 2)
    assert -1 <= found["kappa"]["low"] < found["kappa"]["value"] < found["kappa"]["high"] <= 1


def test_people_get_tables(tmp_path: Path) -> None:
    result = run("agreement", table(tmp_path / "t.csv", ROWS))
    assert result.exit_code == 0, result.output
    assert "ann" in result.stdout
    assert "3 of 4" in result.stdout
    assert "Fleiss' kappa: " in result.stdout


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (ROWS[:-1], "equally often"),
        ([*ROWS, ("1", "ann", "good", "bad")], "two references"),
        ([("1", "ann", "", "good")], "needs the columns"),
        ([], "needs the columns"),
    ],
)
def test_a_table_with_gaps_is_refused(rows: list[tuple[str, str, str, str]], why: str, tmp_path: Path) -> None:
    result = run("agreement", table(tmp_path / "t.csv", rows))
    assert result.exit_code == 1
    assert why in result.stderr
    assert str(tmp_path / "t.csv") in result.stderr


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00part")
    assert "cannot be read as csv" in run("agreement", tmp_path / "t.csv").stderr
    assert "cannot be read as csv" in run("agreement", tmp_path / "none.csv").stderr
