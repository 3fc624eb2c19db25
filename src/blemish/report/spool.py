"""Many pieces of data in the order they came, kept on disk."""

from __future__ import annotations

import tempfile
from array import array
from typing import Self


class Spool:
    """Bytes by number in a temporary file; in memory it takes eight bytes a piece."""

    def __init__(self) -> None:
        self._ends = array("q", [0])

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile(prefix="blemish-report-")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, piece: bytes) -> int:
        """Keep a piece; returns its number."""
        self._file.seek(self._ends[-1])
        self._file.write(piece)
        self._ends.append(self._ends[-1] + len(piece))
        return len(self) - 1

    def __getitem__(self, number: int) -> bytes:
        self._file.seek(self._ends[number])
        return self._file.read(self._ends[number + 1] - self._ends[number])
