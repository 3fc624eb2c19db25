"""BTAD (BeanTech).

Mishra et al., "VT-ADL: A Vision Transformer Network for Image Anomaly Detection and Localization", ISIE 2021.
01/train/ok/*, 01/test/ok/*, 01/test/ko/NAME.* with 01/ground_truth/ko/NAME.*; suffixes differ between categories.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, folders
from blemish.data.truth import kinds, samples_in
from blemish.types import Sample

LOOKED_FOR = "CATEGORY/train/ok and CATEGORY/test/ko folders"


def matches(root: Path) -> bool:
    """Whether a folder of the root holds train/ok."""
    return bool(categories(root))


def categories(root: Path) -> list[str]:
    """01, 02 and 03 as published."""
    return [home.name for home in folders(root) if (home / "train" / "ok").is_dir() and (home / "test").is_dir()]


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """Defects are all labelled "ko"."""
    return [sample for name in choose(categories(root), category) for sample in _category(root / name, split)]


def _category(home: Path, split: str) -> list[Sample]:
    return samples_in(kinds(home / split), (home,) if split == "test" else (), home.name)
