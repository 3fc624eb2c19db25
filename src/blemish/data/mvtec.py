"""MVTec AD and everything published the same way, MPDD for one.

Bergmann et al., "MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection", CVPR 2019.
CATEGORY/train/good/*, CATEGORY/test/good/*, CATEGORY/test/TYPE/NAME.* with CATEGORY/ground_truth/TYPE/NAME_mask.*
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, folders
from blemish.data.truth import kinds, mask_folders, samples_in
from blemish.types import Sample

LOOKED_FOR = "train/good and test/TYPE folders, in the root or in CATEGORY folders"


def matches(root: Path) -> bool:
    """Whether the root, or a folder in it, holds train/good and test."""
    return bool(homes(root))


def categories(root: Path) -> list[str]:
    """Folders that hold a category; the root's own name when the root is one."""
    return list(homes(root))


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """The label is the folder's name."""
    found = homes(root)
    return [sample for name in choose(list(found), category) for sample in _category(found[name], name, split)]


def homes(root: Path) -> dict[str, Path]:
    """Folders of a category by name."""
    return {home.resolve().name: home for home in (root, *folders(root)) if _is_home(home)}


def _category(home: Path, name: str, split: str) -> list[Sample]:
    return samples_in(kinds(home / split), mask_folders(home, home / split) if split == "test" else (), name)


def _is_home(home: Path) -> bool:
    return (home / "train" / "good").is_dir() and (home / "test").is_dir()
