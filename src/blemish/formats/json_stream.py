"""Large JSON files piece by piece: what is read or written never lies in memory as a whole."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from blemish.errors import BadData
from blemish.files import write_text

PIECE = 1 << 20
"""Characters that are read at once; more where one value is longer."""
_SPACE = " \t\r\n"


def members(path: Path, keys: set[str] | None = None) -> Iterator[tuple[str, Any, str]]:
    """Every value of the top with its text: key and value of an object, of its lists each item under the list's key.

    Of a list at the top each item under "". keys: filled with the keys of an object, those of empty lists too.
    BadData for what is no JSON.
    """
    with _open(path) as file:
        text = _Text(file, path)
        if text.peek() == "[":
            yield from (("", item, text.last) for item in text.items())
            return
        text.take("{")
        while text.peek() != "}":
            key = str(text.value())
            text.take(":")
            if keys is not None:
                keys.add(key)
            if text.peek() == "[":
                yield from ((key, item, text.last) for item in text.items())
            else:
                yield key, text.value(), text.last
            if text.peek() != "}":
                text.take(",")


@contextmanager
def _open(path: Path) -> Iterator[IO[str]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield file
    except OSError as error:
        raise BadData(f"{path} cannot be read ({error.strerror}): check the name") from error
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not in UTF-8: export it again") from error


class _Text:
    """The file from where it has been read on."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file, self._path, self._left, self._at, self._size = file, path, "", 0, PIECE
        self.last = ""  # what stands there of the last value
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is no space."""
        while True:
            while self._at < len(self._left):
                if self._left[self._at] not in _SPACE:
                    return self._left[self._at]
                self._at += 1
            if not self._more():
                raise self._damage("it ends too early")

    def take(self, wanted: str) -> None:
        """Go over one character."""
        if self.peek() != wanted:
            raise self._damage(f"wanted is {wanted} where {self._left[self._at : self._at + 20]!r} stands")
        self._at += 1

    def items(self) -> Iterator[Any]:
        """Those of the list that begins here."""
        self.take("[")
        while self.peek() != "]":
            yield self.value()
            if self.peek() != "]":
                self.take(",")
        self.take("]")

    def value(self) -> Any:
        """The value that begins here."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._left, self._at)
            except (ValueError, RecursionError) as error:
                if isinstance(error, ValueError) and self._more():
                    continue
                raise self._damage(str(error)[:80]) from error
            if end < len(self._left) or not self._more():  # a number may go on
                self.last, self._at, self._size = self._left[self._at : end], end, PIECE
                return value

    def _more(self) -> bool:
        """Read on; what was taken is let go."""
        read = self._file.read(self._size)
        self._left, self._at, self._size = self._left[self._at :] + read, 0, 2 * self._size
        return bool(read)

    def _damage(self, said: str) -> BadData:
        return BadData(f"{self._path} is no whole JSON file ({said}): export it again")


@contextmanager
def write_lists(path: Path, *names: str) -> Iterator[dict[str, JsonList]]:
    """A JSON object of lists, in this order, which are filled at the same time; put in place when all is there."""
    with ExitStack() as stack:
        file = stack.enter_context(write_text(path))
        lists = {names[0]: JsonList(file)}
        for name in names[1:]:
            lists[name] = JsonList(
                stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", prefix="blemish-"))
            )
        file.write(f'{{"{names[0]}": [')
        yield lists
        for name in names[1:]:
            file.write(f'],\n"{name}": [')
            lists[name].pour(file)
        file.write("]}\n")


@contextmanager
def write_list(path: Path) -> Iterator[JsonList]:
    """A JSON list; put in place when all is there."""
    with write_text(path) as file:
        file.write("[")
        yield JsonList(file)
        file.write("]\n")


class JsonList:
    """A list that is written item by item."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self.length = file, 0

    def add(self, item: Any) -> None:
        """Append one."""
        self._file.write((",\n" if self.length else "\n") + json.dumps(item, ensure_ascii=False))
        self.length += 1

    def pour(self, file: IO[str]) -> None:
        """All of it into another file."""
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            file.write(piece)
