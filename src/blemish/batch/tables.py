"""Pictures in tables: Parquet with the bytes of pictures, and the Arrow files of a Hugging Face data set on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from blemish.errors import BadImage, BadInput, MissingExtra
from blemish.images import Source

SOME_ROWS = 16
"""Pictures that are read from a table at once."""


def _packages(at: str) -> tuple[Any, Any, Any]:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra(f"{at} is read by pyarrow: pip install 'blemish[parquet]'") from error
    return pyarrow, pyarrow.parquet, pyarrow.ipc


def groups(file: IO[bytes], at: str) -> range:
    """The row groups of a Parquet file; raises BadInput where it is none, or has no column of pictures."""
    arrow, parquet, _ = _packages(at)
    try:
        found = parquet.ParquetFile(file)
    except arrow.ArrowInvalid as error:
        raise BadInput(f"{at} is no Parquet, or is cut off ({error}): copy it again from where it came") from error
    _column(found.schema_arrow, at)
    return range(found.num_row_groups)


def rows_of_group(file: IO[bytes], at: str, group: int) -> range:
    """The numbers of the rows of a row group, by the end of the file alone."""
    _, parquet, _ = _packages(at)
    return _rows(parquet.ParquetFile(file), group)


def _rows(table: Any, group: int) -> range:
    first = sum(table.metadata.row_group(number).num_rows for number in range(group))
    return range(first, first + int(table.metadata.row_group(group).num_rows))


def parquet_pictures(file: IO[bytes], at: str, group: int) -> Iterator[Source]:
    """Those of a row group."""
    arrow, parquet, _ = _packages(at)
    try:
        found = parquet.ParquetFile(file)
        column = _column(found.schema_arrow, at)
        first = _rows(found, group).start
        for batch in found.iter_batches(SOME_ROWS, row_groups=[group], columns=[column]):
            yield from _sources(batch.column(0).to_pylist(), at, first)
            first += batch.num_rows
    except (arrow.ArrowInvalid, OSError) as error:
        _refuse_store(error)
        raise BadImage(f"{at} is damaged in row group {group} ({error}): copy it again from where it came") from error


def arrow_pictures(file: IO[bytes], at: str) -> Iterator[Source]:
    """Those of a stream of batches, as `datasets.save_to_disk` writes it."""
    arrow, _, ipc = _packages(at)
    first = 0
    try:
        stream = ipc.open_stream(file)
        column = _column(stream.schema, at)
        slices = (batch.slice(start, SOME_ROWS) for batch in stream for start in range(0, batch.num_rows, SOME_ROWS))
        for some in slices:
            yield from _sources(some.column(column).to_pylist(), at, first)
            first += some.num_rows
    except (arrow.ArrowInvalid, OSError) as error:
        _refuse_store(error)
        raise BadImage(f"{at} is damaged or cut off behind row {first} ({error}): copy it again") from error


def _refuse_store(error: Exception) -> None:
    """Raise what a store says: what is wrong with a table itself, pyarrow calls OSError and nothing else."""
    if isinstance(error, OSError) and type(error) is not OSError:
        raise error


def _column(schema: Any, at: str) -> str:
    """That with the pictures: bytes, or bytes beside a path, as Hugging Face keeps them."""
    arrow, *_ = _packages(at)
    beside = [
        each.name for each in schema if arrow.types.is_struct(each.type) and each.type.get_field_index("bytes") >= 0
    ]
    plain = [each.name for each in schema if arrow.types.is_binary(each.type) or arrow.types.is_large_binary(each.type)]
    found = beside or plain
    chosen = "image" if "image" in found else found[0] if len(found) == 1 else ""
    if not chosen:
        why = (
            f"{' and '.join(found)} may both be pictures: call one `image`" if found else "none holds bytes of pictures"
        )
        raise BadInput(f"{at} has the columns {', '.join(schema.names)[:200]}, of which {why}")
    return chosen


def _sources(rows: list[Any], at: str, first: int) -> Iterator[Source]:
    for number, row in enumerate(rows, start=first):
        yield Source(_content(row, f"{at}/{number}"), f"{at}/{number}")


def _content(row: Any, called: str) -> bytes | Path | BadImage:
    data = row.get("bytes") if isinstance(row, dict) else row
    if isinstance(data, bytes):
        return data
    path = row.get("path") if isinstance(row, dict) else None
    return Path(path) if isinstance(path, str) and path else BadImage(f"{called} holds no bytes of a picture")
