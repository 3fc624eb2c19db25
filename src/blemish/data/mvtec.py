"""MVTec AD and everything published the same way, MPDD for one.

Bergmann et al., "MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection", CVPR 2019.
CATEGORY/train/good/*, CATEGORY/test/good/*, CATEGORY/test/TYPE/NAME.* with CATEGORY/ground_truth/TYPE/NAME_mask.*
"""

from __future__ import annotations

from pathlib import Path

from blemish.data import Split
from blemish.data.files import checked, chosen, folders, labelled
from blemish.types import Sample

LOOKED_FOR = "train/good and test/TYPE folders, in the root or in CATEGORY folders"


def matches(root: Path) -> bool:
    """Whether the root, or a folder in it, holds train/good and test."""
    return bool(_homes(root))


def categories(root: Path) -> list[str]:
    """Folders that hold a category; the root's own name when the root is one."""
    return list(_homes(root))


def samples(root: Path, category: str | None, split: Split) -> list[Sample]:
    """The label is the folder's name."""
    homes = _homes(root)
    return [sample for name in chosen(list(homes), category) for sample in _category(homes[name], name, split)]


def _category(home: Path, name: str, split: Split) -> list[Sample]:
    masks = home / "ground_truth"
    return checked(s for kind in folders(home / split) for s in labelled(kind, masks / kind.name, name))


def _homes(root: Path) -> dict[str, Path]:
    return {home.resolve().name: home for home in (root, *folders(root)) if _is_home(home)}


def _is_home(home: Path) -> bool:
    return (home / "train" / "good").is_dir() and (home / "test").is_dir()
