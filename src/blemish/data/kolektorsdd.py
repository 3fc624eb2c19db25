"""KolektorSDD.

Tabernik et al., "Segmentation-based deep-learning approach for surface-defect detection", JIM 2020.
kosXX/PartN.jpg with kosXX/PartN_label.bmp, which is empty for a good surface.
"""

from __future__ import annotations

from pathlib import Path

from blemish.data.files import choose, folders
from blemish.data.masks import is_empty
from blemish.data.sampling import hold_out
from blemish.errors import BadData
from blemish.types import GOOD, Sample

LOOKED_FOR = "kosXX folders of PartN.jpg and PartN_label.bmp"


def matches(root: Path) -> bool:
    """Whether a kosXX folder holds a label."""
    return any(_parts(root)) and any(any(part.glob("*_label.bmp")) for part in _parts(root))


def categories(root: Path) -> list[str]:
    """None: one object."""
    return []


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """Good surfaces of four fifths of the parts are train, by `sampling.hold_out`. Reads every label.

    Deviation: the published split is three folds for supervised training, which leaves defects in train.
    """
    choose([], category)
    found = [_sample(image) for part in _parts(root) for image in sorted(part.glob("*.jpg"))]
    return hold_out(found, split, group=lambda image: image.parent.name)


def _sample(image: Path) -> Sample:
    mask = image.with_name(f"{image.stem}_label.bmp")
    if not mask.is_file():
        raise BadData(f"{image} has no {mask.name} beside it: complete the data set")
    return Sample(image, GOOD) if is_empty(mask) else Sample(image, "defect", (mask,))


def _parts(root: Path) -> list[Path]:
    return [folder for folder in folders(root) if folder.name.startswith("kos")]
