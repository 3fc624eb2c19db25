"""KolektorSDD2.

Bozic et al., "Mixed supervision for surface-defect detection: from weakly to fully supervised learning", Computers in
Industry 2021. train/ID.png and test/ID.png, each with ID_GT.png beside it, which is empty for a good surface.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, pictures
from blemish.data.masks import is_empty
from blemish.errors import BadData
from blemish.types import GOOD, Sample

LOOKED_FOR = "train and test folders of ID.png and ID_GT.png"
SUFFIX = "_GT"


def matches(root: Path) -> bool:
    """Whether the test folder holds a mask."""
    return (root / "train").is_dir() and any((root / "test").glob("*_GT.png"))


def categories(root: Path) -> list[str]:
    """None: one object."""
    return []


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """As published, so that train holds defects too. Reads every mask of the split."""
    choose([], category)
    return [_sample(path) for path in pictures(root / split) if not path.stem.endswith(SUFFIX)]


def _sample(image: Path) -> Sample:
    mask = image.with_name(f"{image.stem}{SUFFIX}.png")
    if not mask.is_file():
        raise BadData(f"{image} has no {mask.name} beside it: complete the data set")
    return Sample(image, GOOD) if is_empty(mask) else Sample(image, "defect", (mask,))
