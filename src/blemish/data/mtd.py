"""MTD, magnetic tiles.

Huang et al., "Surface defect saliency of magnetic tile", The Visual Computer 2020.
MT_Blowhole/Imgs/NAME.jpg with NAME.png beside it; MT_Free holds the good tiles.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, folders
from blemish.data.sampling import hold_out
from blemish.types import GOOD, Sample

LOOKED_FOR = "MT_TYPE/Imgs folders of NAME.jpg and NAME.png"
FOLDER_PREFIX = "MT_"
NORMAL = "MT_Free"


def matches(root: Path) -> bool:
    """Whether a folder MT_* holds Imgs."""
    return bool(_kinds(root))


def categories(root: Path) -> list[str]:
    """None: one object."""
    return []


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """Four fifths of MT_Free are train, by `sampling.hold_out`, as no split is published. Labels are lower case."""
    choose([], category)
    return hold_out([sample for kind in _kinds(root) for sample in _samples(kind)], split)


def _samples(kind: Path) -> list[Sample]:
    label = GOOD if kind.name == NORMAL else kind.name.removeprefix(FOLDER_PREFIX).lower()
    return [Sample(image, label, _masks(image, label)) for image in sorted((kind / "Imgs").glob("*.jpg"))]


def _masks(image: Path, label: str) -> tuple[Path, ...]:
    mask = image.with_suffix(".png")
    return (mask,) if label != GOOD and mask.is_file() else ()


def _kinds(root: Path) -> list[Path]:
    return [kind for kind in folders(root) if kind.name.startswith(FOLDER_PREFIX) and (kind / "Imgs").is_dir()]
