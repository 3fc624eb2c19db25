"""Plain folders: one a class, or pictures of which nothing is known.

good/* (also named normal or ok) and TYPE/*, directly in the root or in images/; masks, where there are any, in
masks/TYPE or ground_truth/TYPE as NAME.* or NAME_mask.*. Pictures directly in the root are unknowns.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data import Split
from blemish.data.files import checked, chosen, folders, labelled, pictures
from blemish.data.sampling import held_out
from blemish.types import Sample

LOOKED_FOR = "pictures in the root, or in one folder a class (good/ for normal ones)"
MASKS = ("masks", "ground_truth")


def matches(root: Path) -> bool:
    """Whether there is a picture in the root or in a folder of a class."""
    return bool(pictures(root)) or any(pictures(kind) for kind in _kinds(root))


def categories(root: Path) -> list[str]:
    """None: one object."""
    return []


def samples(root: Path, category: str | None, split: Split) -> list[Sample]:
    """Defects and unknowns are test, and a fifth of the good if there are defects, by `sampling.held_out`."""
    chosen([], category)
    masks = next((root / name for name in MASKS if (root / name).is_dir()), root / MASKS[0])
    known = checked(sample for kind in _kinds(root) for sample in labelled(kind, masks / kind.name))
    return held_out([*(Sample(path) for path in pictures(root)), *known], split)


def _kinds(root: Path) -> list[Path]:
    home = root / "images" if folders(root / "images") else root
    return [kind for kind in folders(home) if kind.name not in MASKS]
