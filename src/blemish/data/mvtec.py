"""MVTec AD and everything published the same way, MPDD for one.

Bergmann et al., "MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection", CVPR 2019.
CATEGORY/train/good/*, CATEGORY/test/good/*, CATEGORY/test/TYPE/NAME.* with CATEGORY/ground_truth/TYPE/NAME_mask.*
Defects to learn from, CATEGORY/train/TYPE/NAME.*, have their masks there too, or in CATEGORY/train/ground_truth.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blemish.data.files import choose, folders
from blemish.data.truth import kinds, samples_in
from blemish.notices import notice
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
    """All splits are looked at, since they share a folder of masks; where they share a name, it is the test's."""
    places = [home / each for each in dict.fromkeys((split, "train", "test"))]
    found = samples_in([kind for place in places for kind in kinds(place)], (home, *places), name)
    wanted = [sample for sample in found if sample.image.parent.parent == home / split]
    if split == "test":
        return wanted
    taken = {mask for sample in found if sample.image.parent.parent == home / "test" for mask in sample.masks}
    return [_without_shared(sample, taken) for sample in wanted]


def _without_shared(sample: Sample, taken: set[Path]) -> Sample:
    if taken.isdisjoint(sample.masks):
        return sample
    notice("%s has no mask of its own, a test picture has that name: put it in train/ground_truth", sample.image)
    return replace(sample, masks=())


def _is_home(home: Path) -> bool:
    return (home / "train" / "good").is_dir() and (home / "test").is_dir()
