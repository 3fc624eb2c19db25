"""The table as Markdown, csv and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from blemish.benchmark.table import COLUMNS, Cell, Row, Table

ABOUT = ("data", "shots", "category", "type", "method", "arguments", "encoder", "precision", "seeds")
COUNTS = ("n_normal", "n_anomalous")
ORIGIN = ("source", "picked_on_test")
FAILED = ("data", "shots", "category", "method", "arguments", "encoder", "seed", "error")
PARTS = Cell._fields
READING = """\
Numbers stand with their 95 % interval over test pictures and, after ±, their standard deviation over seeds. The line of
a type is of its defects alone against the good pictures. f1, accuracy, escape (defects accepted) and overkill (good
parts rejected) are at a threshold from good training parts held out, never from test pictures. Classifiers name half of
each type's pictures (named_right, named_balanced, named_f1), by examples of the other half. Speed includes reading
the pictures; memory is the most that the trial's own process held, libraries included."""


def as_markdown(table: Table) -> str:
    """For people: three digits, without the columns that hold nothing; then what failed, and the notes."""
    lines = [_plain(row) | {name: _shown(name, row.cells.get(name)) for name in COLUMNS} for row in table.rows]
    head = [name for name in (*ABOUT, *COUNTS, *COLUMNS, *ORIGIN) if any(line[name] for line in lines)]
    parts = [_grid(head, lines) if lines else "Nothing was measured.", READING]
    if table.failed:
        parts.append(
            "Failed:\n\n"
            + _grid(FAILED, [line | {"arguments": json.dumps(line["arguments"])} for line in table.failed])
        )
    if table.notes:
        parts.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(parts) + "\n"


def as_csv(table: Table) -> str:
    """A line a row, then a line a trial that failed; of each number NAME, NAME_low, NAME_high and NAME_spread."""
    numbers = [_column(name, part) for name in COLUMNS for part in PARTS]
    text = io.StringIO()
    writer = csv.DictWriter(
        text, (*ABOUT, *COUNTS, *numbers, *ORIGIN, "error"), extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    for row in table.rows:
        cells = {_column(name, part): getattr(cell, part) for name, cell in row.cells.items() for part in PARTS}
        writer.writerow(_plain(row) | cells)
    for line in table.failed:
        writer.writerow(line | {"arguments": json.dumps(line["arguments"]), "seeds": line["seed"]})
    return text.getvalue()


def as_json(table: Table) -> str:
    """Everything: an object of `rows`, `failed` and `notes`; a number is {"value", "low", "high", "spread"}."""
    rows = [_plain(row) | {name: cell._asdict() for name, cell in row.cells.items()} for row in table.rows]
    return json.dumps({"rows": rows, "failed": table.failed, "notes": table.notes}, indent=2) + "\n"


FORMATS: dict[str, tuple[str, Callable[[Table], str]]] = {
    "markdown": ("table.md", as_markdown),
    "csv": ("table.csv", as_csv),
    "json": ("table.json", as_json),
}
"""Name -> the file it goes to, and how it is written."""


def _plain(row: Row) -> dict[str, Any]:
    """All but the numbers; of what was published there are no counts."""
    about = row.group._asdict() | {name: getattr(row, name) for name in ("category", "type", "precision", *ORIGIN)}
    return about | {name: getattr(row, name) if row.seeds else None for name in ("seeds", *COUNTS)}


def _column(name: str, part: str) -> str:
    return name if part == "value" else f"{name}_{part}"


def _shown(name: str, cell: Cell | None) -> str:
    if cell is None:
        return ""
    if name in ("images_per_second", "peak_mib"):
        return f"{cell.value:.3g}" if cell.value < 100 else f"{cell.value:.0f}"
    spread = "" if cell.spread is None else f" ± {cell.spread:.3f}"
    interval = "" if cell.low is None else f" [{cell.low:.3f}, {cell.high:.3f}]"
    return f"{cell.value:.3f}{spread}{interval}"


def _grid(head: Sequence[str], lines: Sequence[dict[str, Any]]) -> str:
    """A Markdown table."""
    rows = [[name.replace("_", " ") for name in head], ["---"] * len(head)]
    rows += [[_cell(line[name]) for name in head] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", r"\|").replace("\n", " ")
