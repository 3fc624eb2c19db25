"""Pictures, masks, facts and teachers' features on disk: made once, in resumable steps, read at random."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadInput, CannotWrite
from blemish.files import guard_write, reserve, write


class Entry(NamedTuple):
    """One picture to learn from, the same part without its flaw where there is one, and what is known about it."""

    picture: NDArray[np.uint8]  # (S, S, 3)
    mask: NDArray[np.bool_]  # (S, S), the flaw
    product: tuple[str, ...] = ()
    family: str = ""  # of the flaw; "" for a good part, UNKNOWN where nothing is known


GO_ON = "make room, and run the same command again"
UNKNOWN = "?"
"""The family of a picture that only teachers say something about."""


class Store:
    """A folder of equally sized pictures: `pictures.npy`, `masks.npy`, `facts.jsonl`, and `<name>.npy` of features."""

    def __init__(self, folder: Path, side: int) -> None:
        self.folder, self.side = folder, side
        with guard_write(folder):
            folder.mkdir(parents=True, exist_ok=True)
        facts = folder / "facts.jsonl"
        lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
        self.facts: list[dict[str, Any]] = [json.loads(line) for line in lines if line.endswith("}")]

    def __len__(self) -> int:
        return len(self.facts)

    def fill(self, entries: Iterable[Sequence[Entry]], total: int) -> None:
        """Append groups of entries until there are `total` pictures; what is there already is kept.

        Raises CannotWrite before the first is drawn where the disk has no room for all.
        """
        pictures, masks = self._pictures(total), self._masks(total)
        facts = self.folder / "facts.jsonl"
        write(facts, _lines(self.facts), GO_ON)  # without a line that was cut off
        with guard_write(facts, GO_ON), facts.open("a", encoding="utf-8") as out:
            for group in entries:
                first = len(self.facts)
                if first + len(group) > total:
                    break
                for at, entry in enumerate(group, start=first):
                    pictures[at], masks[at] = entry.picture, entry.mask
                    self.facts.append({"product": list(entry.product), "family": entry.family, "group": first})
                out.write(_lines(self.facts[first:]))  # at once: never half a group
                out.flush()

    def _pictures(self, total: int = 0) -> NDArray[np.uint8]:
        return self._array("pictures", (self.side, self.side, 3), np.uint8, total)

    def _masks(self, total: int = 0) -> NDArray[np.bool_]:
        return self._array("masks", (self.side, self.side), np.bool_, total)

    def _array(self, name: str, shape: tuple[int, ...], kind: Any, total: int) -> NDArray[Any]:
        """The array's file, at least `total` long; a longer one is copied into place once."""
        path = self.folder / f"{name}.npy"
        if not path.exists():
            return new_array(path, kind, (max(total, len(self)), *shape))
        found = np.lib.format.open_memmap(path, "r+")
        if found.shape[1:] != shape:
            raise BadInput(f"{path} holds pictures of {found.shape[1:]}, asked for {shape}: choose another folder")
        if len(found) >= total:
            if total:  # it is about to be written
                reserve(path, GO_ON)
            return found
        part = path.with_suffix(".part")
        grown = new_array(part, kind, (total, *shape))
        grown[: len(found)] = found
        part.replace(path)
        return grown

    @property
    def pictures(self) -> NDArray[np.uint8]:
        """(M, S, S, 3)."""
        return self._pictures()[: len(self)]

    @property
    def masks(self) -> NDArray[np.bool_]:
        """(M, S, S)."""
        return self._masks()[: len(self)]

    def has(self, name: str) -> bool:
        """Whether these features were stored, for all pictures."""
        return 0 < len(self) <= self.known(name)

    def known(self, name: str) -> int:
        """How many of the pictures have these features: the first ones of a store that has grown since."""
        return len(self.features(name)) if (self.folder / f"{name}.npy").exists() else 0

    def features(self, name: str) -> NDArray[np.float16]:
        """A teacher's features (M, c, h, w)."""
        found: NDArray[np.float16] = np.lib.format.open_memmap(self.folder / f"{name}.npy", "r")
        return found

    def groups(self) -> tuple[list[tuple[int, int]], list[int]]:
        """Numbers of pairs (good, flawed), and of single pictures."""
        at: dict[int, list[int]] = {}
        for number, fact in enumerate(self.facts):
            at.setdefault(fact["group"], []).append(number)
        pairs = [(group[0], other) for group in at.values() for other in group[1:]]
        return pairs, [group[0] for group in at.values() if len(group) == 1]


def new_array(path: Path, kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Zeros in a mapped file, all of whose bytes are on the disk; raises CannotWrite, and leaves none."""
    try:
        with guard_write(path, GO_ON):
            array = np.lib.format.open_memmap(path, "w+", kind, shape)
        reserve(path, GO_ON)
    except CannotWrite:
        path.unlink(missing_ok=True)
        raise
    return array


def _lines(facts: Sequence[dict[str, Any]]) -> str:
    return "".join(json.dumps(fact) + "\n" for fact in facts)
