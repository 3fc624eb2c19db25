"""The records of parts as a table, in CSV or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
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
    flat = ({name: json.dumps(row[name]) if name in NESTED else row[name] for name in PART_COLUMNS} for row in rows)
    with guard_write(path):
        return writers[path.suffix.lower()](path, flat)


def _write_csv(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, PART_COLUMNS)
        writer.writeheader()
        for row in rows:
            count += 1
            writer.writerow({name: _inert(value) for name, value in row.items()})
    return count


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
