"""A csv or parquet table, a row a picture.

Columns: image (required), label, mask, split, category; others are ignored. Paths are relative to the table's folder.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from blemish.data import Split
from blemish.data.files import checked, chosen, existing, label_of
from blemish.data.sampling import held_out
from blemish.errors import BadData, MissingExtra
from blemish.types import GOOD, Sample

LOOKED_FOR = "a .csv or .parquet file with a column image"
SPLITS = ("train", "test")

Row = dict[str, str]


def matches(root: Path) -> bool:
    """Whether root is a file of that kind."""
    return root.is_file() and root.suffix.lower() in (".csv", ".parquet")


def categories(root: Path) -> list[str]:
    """The values of the column category, sorted."""
    return _categories(_rows(root))


def samples(root: Path, category: str | None, split: Split) -> list[Sample]:
    """An empty label is unknown; normal and ok are read as good. Without splits, `sampling.held_out` makes them."""
    rows = _rows(root)
    if category is not None:
        chosen(_categories(rows), category)
        rows = [row for row in rows if row["category"] == category]
    divided = any(row["split"] for row in rows)
    wanted = [_sample(root, row) for row in rows if not divided or row["split"] == split]
    found = checked(sorted(wanted, key=lambda sample: sample.image))
    return found if divided else held_out(found, split)


def _categories(rows: list[Row]) -> list[str]:
    return sorted({row["category"] for row in rows} - {""})


def _sample(root: Path, row: Row) -> Sample:
    label = label_of(row["label"])
    mask = existing(root.parent / row["mask"], root.name) if row["mask"] and label != GOOD else None
    return Sample(existing(root.parent / row["image"], root.name), label, mask, row["category"])


def _rows(root: Path) -> list[Row]:
    """Every row with all five columns, empty where the table has nothing."""
    table = _parquet(root) if root.suffix.lower() == ".parquet" else _csv(root)
    if table and "image" not in table[0]:
        raise BadData(f"{root} has no column image; its columns are {', '.join(map(str, table[0]))}")
    rows = [{name: _text(row.get(name)) for name in ("image", "label", "mask", "split", "category")} for row in table]
    divided = any(row["split"] for row in rows)
    for number, row in enumerate(rows, start=1):
        if not row["image"]:
            raise BadData(f"row {number} of {root} names no image")
        if divided and row["split"] not in SPLITS:
            raise BadData(f"row {number} of {root} has the split {row['split']!r}: write train or test in every row")
    return rows


def _csv(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"{path} is not a UTF-8 csv table ({error})") from error


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("reading parquet tables needs pyarrow: pip install 'blemish[parquet]'") from error
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise BadData(f"{path} is not a parquet table ({error})") from error
    return rows


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
