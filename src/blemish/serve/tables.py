"""The records of parts as a table, in CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from blemish.errors import BadInput, MissingExtra
from blemish.files import guard_write

PART_COLUMNS = (
    "n", "station", "part", "product", "batch", "arrived", "answered", "outcome", "verdict", "judged", "late", "score",
    "types", "regions", "views", "seconds", "recipe", "software", "error", "waits",
)  # fmt: skip
NESTED = ("types", "regions", "views", "seconds")
"""Columns that hold JSON."""
ROWS = 5000


def write_table(path: Path, rows: Iterator[Mapping[str, Any]]) -> int:
    """By the ending of its name, .csv or .parquet; returns how many rows; raises BadInput for another ending."""
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix.lower() not in writers:
        raise BadInput(f"{path}: a table cannot be written as {path.suffix!r}: name it .csv or .parquet")
    with guard_write(path):
        return writers[path.suffix.lower()](path, flat_rows(rows))


def flat_rows(rows: Iterator[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Records with JSON in the place of what holds more."""
    for row in rows:
        yield {name: json.dumps(row[name]) if name in NESTED else row[name] for name in PART_COLUMNS}


def _write_csv(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    count = -1  # its head
    with path.open("w", newline="", encoding="utf-8") as file:
        for count, line in enumerate(csv_lines(PART_COLUMNS, rows)):  # noqa: B007
            file.write(line)
    return count


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A head, and a line a row."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    for row in rows:
        yield _take(file)
        writer.writerow({name: _inert(row[name]) for name in columns})
    yield _take(file)


def _take(file: io.StringIO) -> str:
    text = file.getvalue()
    file.seek(0)
    file.truncate()
    return text


def _inert(value: Any) -> Any:
    """Words that a spreadsheet would take for a formula get a quote before them."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtra("writing parquet tables needs pyarrow: pip install 'blemish[parquet]'") from error
    kinds = {"n": arrow.int64(), "score": arrow.float64(), "late": arrow.bool_(), "waits": arrow.bool_()}
    kinds |= {"arrived": arrow.float64(), "answered": arrow.float64()}
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in PART_COLUMNS])
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        while lot := list(islice(rows, ROWS)):
            writer.write_table(arrow.Table.from_pylist(lot, schema))
            count += len(lot)
    return count
