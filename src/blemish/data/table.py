"""A csv or parquet table, a row a picture.

Columns: image (required), label, mask, split, category; others are ignored. Paths are relative to the table's folder.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, label_of, require_file
from blemish.data.rows import normalize, read_csv
from blemish.data.sampling import hold_out
from blemish.errors import BadData, MissingExtra
from blemish.types import GOOD, Sample

LOOKED_FOR = "a .csv or .parquet file with a column image"
_COLUMNS = ("image", "label", "mask", "split", "category")
SPLIT_NAMES = ("train", "test")

Row = dict[str, str]


def matches(root: Path) -> bool:
    """Whether root is a file of that kind."""
    return root.is_file() and root.suffix.lower() in (".csv", ".parquet")


def categories(root: Path) -> list[str]:
    """The values of the column category, sorted."""
    return _categories(_rows(root))


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """An empty label is unknown; normal and ok are read as good. Without splits, `sampling.hold_out` makes them."""
    rows = _rows(root)
    if category is not None:
        choose(_categories(rows), category)
        rows = [row for row in rows if row["category"] == category]
    divided = any(row["split"] for row in rows)
    wanted = [_sample(root, row) for row in rows if not divided or row["split"] == split]
    found = sorted(wanted, key=lambda sample: sample.image)
    return found if divided else hold_out(found, split)


def _categories(rows: list[Row]) -> list[str]:
    return sorted({row["category"] for row in rows} - {""})


def _sample(root: Path, row: Row) -> Sample:
    label = label_of(row["label"])
    masks = (require_file(root.parent, row["mask"], root.name),) if row["mask"] and label != GOOD else ()
    return Sample(require_file(root.parent, row["image"], root.name), label, masks, row["category"])


def _rows(root: Path) -> list[Row]:
    """Every row with all five columns, empty where the table has nothing."""
    table = _parquet(root) if root.suffix.lower() == ".parquet" else read_csv(root, ("image",))
    rows = [{name: row.get(name, "") for name in _COLUMNS} for row in table]
    divided = any(row["split"] for row in rows)
    for number, row in enumerate(rows, start=1):
        if not row["image"]:
            raise BadData(f"row {number} of {root} names no image")
        if divided and row["split"] not in SPLIT_NAMES:
            raise BadData(f"row {number} of {root} has the split {row['split']!r}: write train or test in every row")
    return rows


def _parquet(path: Path) -> list[Row]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("reading parquet tables needs pyarrow: pip install 'blemish[parquet]'") from error
    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise BadData(f"{path} is not a parquet table: save it again, or call it .csv if it is one") from error
    return normalize(path, table.to_pylist(), table.column_names, ("image",))
