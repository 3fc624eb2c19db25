"""Plain folders: one a class, or pictures of which nothing is known.

good/* (also named normal or ok) and TYPE/*, directly in the root or in images/; masks, where there are any, in one of
the places that `truth` names. Pictures directly in the root are unknowns.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, folders
from blemish.data.sampling import hold_out
from blemish.data.truth import kinds, samples_in, without_masks
from blemish.notices import notice
from blemish.types import Sample

LOOKED_FOR = "pictures in the root, or in one folder a class (good/ for normal ones)"


def matches(root: Path) -> bool:
    """Whether there is a picture in the root or in a folder of a class."""
    return bool(without_masks(root)) or any(without_masks(kind) for kind in kinds(_home(root)))


def categories(root: Path) -> list[str]:
    """None: one object."""
    return []


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """Defects and unknowns are test, and a fifth of the good if there are defects, by `sampling.held_out`."""
    return hold_out(list_all(root, category), split)


def list_all(root: Path, category: str | None) -> list[Sample]:
    """Those of both splits, in the order of the folders' names after what lies in the root."""
    choose([], category)
    home = _home(root)
    for empty in (kind for kind in kinds(home) if not any(kind.iterdir())):
        notice("%s is empty, so %s is no type here: put pictures into it, or remove it", empty, empty.name)
    known = samples_in(kinds(home), list(dict.fromkeys((root, home))))
    return [*(Sample(path) for path in without_masks(root)), *known]


def _home(root: Path) -> Path:
    return root / "images" if folders(root / "images") else root
