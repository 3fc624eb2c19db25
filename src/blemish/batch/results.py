"""The results of a part: one file of a line a picture, in JSON or as Parquet, in place at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from blemish.errors import BadData, MissingExtra
from blemish.files import guard_write, json_lines

Form = Literal["jsonl", "parquet"]
ROWS = 256
"""Lines of Parquet that are held back."""
WAY_OUT = "remove it, and go on by --resume"


class Lines(Protocol):
    """Takes the lines of a part: results, and of what could not be read `path` and `error`."""

    def add(self, line: Mapping[str, Any]) -> None:
        """One picture."""


@contextmanager
def part_writer(path: Path, form: Form) -> Iterator[Lines]:
    """A new file, which is on the disk when the block has ended."""
    with guard_write(path, "make room, and go on by the same command with --resume"):
        with _Table(path) if form == "parquet" else _Text(path) as lines:
            yield lines
        with path.open("rb+") as file:
            os.fsync(file.fileno())


class _Text:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Text:
        self._file = self._path.open("w", encoding="ascii")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")


class _Table:
    """Columns of numbers and words; regions are JSON, since what is said of them differs between recipes."""

    def __init__(self, path: Path) -> None:
        self._arrow, self._parquet = _packages()
        self._path, self._rows = path, list[dict[str, Any]]()

    def __enter__(self) -> _Table:
        arrow = self._arrow
        words, number, count = arrow.string(), arrow.float64(), arrow.int32()
        kinds = {
            "path": words, "error": words, "score": number, "verdict": words, "types": arrow.list_(words),
            "regions": words, "width": count, "height": count, "peak_x": count, "peak_y": count, "method": words,
            "recipe": words, "file": words, "seconds_read": number, "seconds_detect": number,
        }  # fmt: skip
        self._schema = arrow.schema(list(kinds.items()))
        self._file = self._parquet.ParquetWriter(str(self._path), self._schema)
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._file.close()

    def add(self, line: Mapping[str, Any]) -> None:
        self._rows.append(_row(line))
        if len(self._rows) == ROWS:
            self._flush()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        self._file.write_table(self._arrow.Table.from_pylist(rows, self._schema))


def _row(line: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in line:
        return {"path": _legible(line["path"]), "error": _legible(line["error"])}
    (width, height), (x, y), (read, detect) = (tuple(line[name].values()) for name in ("size", "peak", "seconds"))
    plain = {name: line.get(name) for name in ("score", "verdict", "types", "method", "recipe")}
    regions = json.dumps(line["regions"]) if "regions" in line else None
    numbers = {"width": width, "height": height, "peak_x": x, "peak_y": y}
    times = {"seconds_read": read, "seconds_detect": detect}
    named = {"path": _legible(line["path"]), "file": _legible(line["file"]) if "file" in line else None}
    return plain | numbers | times | named | {"regions": regions}


def _legible(name: str) -> str:
    """As UTF-8, which names of files need not be."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def part_lines(path: Path, form: Form) -> Iterator[Mapping[str, Any]]:
    """What was written of a part, of Parquet what a summary counts; raises BadData for a file that is damaged."""
    if form == "jsonl":
        return json_lines(path, ("path",), way_out=WAY_OUT)
    return _rows_of(path)


def _rows_of(path: Path) -> Iterator[Mapping[str, Any]]:
    arrow, parquet = _packages()
    columns = ["path", "error", "score", "verdict", "types", "seconds_read", "seconds_detect"]
    try:
        for batch in parquet.ParquetFile(path).iter_batches(ROWS, columns=columns):
            for row in batch.to_pylist():
                seconds = {"read": row.pop("seconds_read"), "detect": row.pop("seconds_detect")}
                yield {name: value for name, value in (row | {"seconds": seconds}).items() if value is not None}
    except (arrow.ArrowInvalid, OSError) as error:
        raise BadData(f"{path} is damaged ({error}): {WAY_OUT}") from error


def _packages() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("results as Parquet are written by pyarrow: pip install 'blemish[parquet]'") from error
    return pyarrow, pyarrow.parquet
