"""Text and csv as programs save them: any usual encoding and separator, read where only one reading makes sense."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any
from unicodedata import category

from blemish.errors import BadData
from blemish.notices import notice

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_MARKS = {  # the longer before the shorter that begins it
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_BINARY = {
    b"PK\x03\x04": "a zip archive, as .xlsx and .ods files are",
    b"\xd0\xcf\x11\xe0": "an .xls file of a spreadsheet",
    b"PAR1": "a parquet table, whose name must end in .parquet",
    b"\x1f\x8b": "compressed by gzip",
    b"%PDF": "a PDF",
}
_LAYOUT = "\t\n\r\f\x1a"  # control characters that stand in text; the last one ends files of old programs
_FALLBACK = "cp1252"  # what spreadsheets write in western Europe where they do not write UTF-8


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16, UTF-32 or, said, Windows-1252; BadData says why there is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadData(f"{path} cannot be read as csv, JSON or TOML ({error.strerror}): check the name") from error
    if kind := next((kind for begin, kind in _BINARY.items() if data.startswith(begin)), None):
        raise BadData(f"{path} is no text, it is {kind}: save it as csv, JSON or TOML, in UTF-8")
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    data, encoding = data[len(mark) :], _MARKS.get(mark) or _unmarked(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadData(
            f"{path} cannot be read as csv, JSON or TOML: it is no text that is known here; save it as UTF-8"
        ) from error
    if any(category(each) in ("Cc", "Cn") and each not in _LAYOUT for each in set(text)):
        raise BadData(f"{path} holds bytes that stand in no text, such as NUL: save it again, as UTF-8")
    if encoding == _FALLBACK:
        notice("%s is not in UTF-8, so it is read as Windows-1252: save it as UTF-8 if names look wrong", path)
    return text


def _unmarked(data: bytes) -> str:
    """UTF-16 of Latin text shows by the NUL in every second byte."""
    if b"\0" in data:
        even, odd = data[::2].count(0), data[1::2].count(0)
        wide = len(data) // 2
        return "utf-16-le" if odd > wide / 2 > even else "utf-16-be" if even > wide / 2 > odd else "utf-8"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _FALLBACK
    return "utf-8"


def read_csv(path: Path, columns: Collection[str]) -> list[dict[str, str]]:
    """Every row by column, values stripped, "" where there is nothing; `columns` must be among those of the first line.

    Columns are lower case here, whatever they are in the file. BadData says in a sentence why a table cannot be read.
    """
    text = read_text(path)
    first, _, rest = text.lstrip("\r\n").partition("\n")
    told = first.strip().lower().removeprefix("sep=") if first.lower().startswith("sep=") else ""
    lines = rest if told else text
    if not lines.strip():
        raise BadData(f"{path} is empty: its first line must name the columns {', '.join(sorted(columns))}")
    separator = told or _separator(path, lines, columns)
    try:
        table = [row for row in csv.reader(io.StringIO(lines, newline=""), delimiter=separator, strict=True)]
    except csv.Error as error:
        raise BadData(f"{path} is not a csv table ({error}): save it again, as csv in UTF-8") from error
    filled = [(number, row) for number, row in enumerate(table, start=1) if any(map(str.strip, row))]
    head, *body = filled
    names = [name.strip().lower() for name in head[1]]
    for number, row in body:
        if len(row) > len(names):
            raise BadData(
                f"{path}: row {number - head[0]} has {len(row)} values for {len(names)} columns: put values that hold "
                f"{SEPARATORS.get(separator, separator)} in double quotes"
            )
    return normalize(path, [dict(zip(names, row, strict=False)) for _, row in body], names, columns)


def normalize(
    path: Path, rows: Iterable[Mapping[Any, object]], found: Collection[object], columns: Collection[str]
) -> list[dict[str, str]]:
    """The same rows with columns in lower case and values as stripped text; BadData unless `columns` are there once."""
    names = [str(name).strip().lower() for name in found]
    if missing := sorted(set(columns) - set(names)):
        raise BadData(f"{path} has no column {', '.join(missing)}; its columns are {', '.join(names)}")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise BadData(f"{path} has two columns {', '.join(twice)}: leave one out")
    made = [{str(name).strip().lower(): _text(value) for name, value in row.items()} for row in rows]
    if not made:
        raise BadData(f"{path} has no rows: it needs the columns {', '.join(sorted(columns))}, and something in them")
    return [dict.fromkeys(names, "") | row for row in made]


def _separator(path: Path, text: str, columns: Collection[str]) -> str:
    """By which the first line is cut into those columns."""
    head = text.lstrip().splitlines()[0]
    cut = {each: {name.strip().strip('"').lower() for name in head.split(each)} for each in SEPARATORS}
    fits = [each for each, names in cut.items() if set(columns) <= names]
    if len(fits) > 1:  # one column alone is cut by none of them
        fits = [each for each in fits if each in head] or [","]
    if len(fits) == 1:
        return fits[0]
    return max(SEPARATORS, key=head.count)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
