"""Real-IAD, by its json file for each category.

Wang et al., "Real-IAD: A Real-World Multi-View Dataset for Benchmarking Versatile Industrial Anomaly Detection", CVPR
2024. realiad_jsons/CATEGORY.json: {"meta": {"prefix", "normal_class"}, "train": [...], "test": [...]}, each entry with
category, anomaly_class, image_path and mask_path; pictures in realiad_1024/PREFIX, or another of the published sizes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from blemish.data.files import choose, require_file
from blemish.data.rows import read_text
from blemish.errors import BadData
from blemish.types import GOOD, Sample

LOOKED_FOR = "realiad_jsons/CATEGORY.json (or realiad_jsons/realiad_jsons/CATEGORY.json)"
LISTS = ("realiad_jsons/realiad_jsons", "realiad_jsons")
SIZES = ("realiad_1024", "realiad_512", "realiad_256", "realiad_raw")


def matches(root: Path) -> bool:
    """Whether there is a folder of json files."""
    return bool(categories(root))


def categories(root: Path) -> list[str]:
    """The names of the json files, those of the multi-view protocol."""
    return sorted(path.stem for path in _lists(root).glob("*.json"))


def samples(root: Path, category: str | None, split: str) -> list[Sample]:
    """The label is the anomaly class ("AK", "BX", ...); of several sizes on disk the largest resized one is taken."""
    return [sample for name in choose(categories(root), category) for sample in _category(root, name, split)]


def _category(root: Path, name: str, split: str) -> list[Sample]:
    source = _lists(root) / f"{name}.json"
    try:
        listed = json.loads(read_text(source))
        base, normal = _pictures(root) / listed["meta"]["prefix"], listed["meta"]["normal_class"]
        found = [_sample(entry, base, normal, source) for entry in listed[split]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{source} is not a list of Real-IAD ({error!r}): download it again") from error
    return sorted(found, key=lambda sample: sample.image)


def _sample(entry: dict[str, Any], base: Path, normal: str, source: Path) -> Sample:
    label = GOOD if entry["anomaly_class"] == normal else entry["anomaly_class"]
    mask = entry.get("mask_path") if label != GOOD else None
    masks = (require_file(base, mask, source.name),) if mask else ()
    return Sample(require_file(base, entry["image_path"], source.name), label, masks, entry["category"])


def _lists(root: Path) -> Path:
    return next((root / name for name in LISTS if any((root / name).glob("*.json"))), root / LISTS[-1])


def _pictures(root: Path) -> Path:
    return next((root / name for name in SIZES if (root / name).is_dir()), root)
