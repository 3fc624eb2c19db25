"""MVTec AD 2.

Heckler-Kram et al., "The MVTec AD 2 Dataset: Advanced Scenarios for Unsupervised Anomaly Detection", arXiv 2503.21622.
CATEGORY/train/good/*, CATEGORY/validation/good/*, CATEGORY/test_public/good|bad/NAME.* with
CATEGORY/test_public/ground_truth/bad/NAME_mask.*, and pictures without public truth directly in CATEGORY/test_private
and CATEGORY/test_private_mixed. The folders are those of the publisher's utility code, which comes with the data set.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, folders, pictures
from blemish.data.truth import kinds, samples_in
from blemish.notices import notice
from blemish.types import Sample

LOOKED_FOR = "train/good and test_public/TYPE folders, in the root or in CATEGORY folders"
SPLITS = ("train", "validation", "test", "test_public", "test_private", "test_private_mixed")
PUBLIC = "test_public"
PRIVATE = ("test_private", "test_private_mixed")


def matches(root: Path) -> bool:
    """Whether the root, or a folder in it, holds train/good and test_public."""
    return bool(_homes(root))


def categories(root: Path) -> list[str]:
    """Folders that hold a category; the root's own name when the root is one."""
    return list(_homes(root))


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """test is test_public; of the private splits nothing is known but the pictures."""
    homes = _homes(root)
    if split == "test":
        names = " and ".join(PRIVATE)
        notice(f"%s: measured is {PUBLIC}; {names} have no public truth: look at them by `blemish inspect`", root)
    return [sample for name in choose(list(homes), category) for sample in _samples(homes[name], name, split)]


def _samples(home: Path, name: str, split: str) -> list[Sample]:
    if split in PRIVATE:
        return [Sample(path, category=name) for path in pictures(home / split)]
    folder = home / (PUBLIC if split == "test" else split)
    return samples_in(kinds(folder), (folder,), name)


def _homes(root: Path) -> dict[str, Path]:
    return {home.resolve().name: home for home in (root, *folders(root)) if _is_home(home)}


def _is_home(home: Path) -> bool:
    return (home / "train" / "good").is_dir() and (home / PUBLIC).is_dir()
