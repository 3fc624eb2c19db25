"""Which samples are learned from: shots, and a split where the publisher gives none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from blemish.errors import BadData, BadInput
from blemish.types import GOOD, Sample

TRAIN_SHARE = 0.8


def normals(samples: Sequence[Sample]) -> list[Sample]:
    """The samples labelled good."""
    return [sample for sample in samples if sample.label == GOOD]


def shots(samples: Sequence[Sample], k: int, *, seed: int = 0) -> list[Sample]:
    """k different good samples; the first four of eight shots are the four shots of the same seed.

    The draw depends on the files' last three path parts only, so it is the same wherever the data set lies and in
    whatever order the samples come.
    """
    if k < 1:
        raise BadInput(f"k={k}: ask for at least one shot")
    good = normals(samples)
    if len(good) < k:
        raise BadData(f"{k} shots were asked for but there are {len(good)} good samples: add normal pictures")
    return shuffle(good, seed=seed)[:k]


def shuffle(samples: Sequence[Sample], *, seed: int = 0) -> list[Sample]:
    """In an order drawn as that of `shots`."""
    return sorted(samples, key=lambda sample: _draw(f"{seed}/{'/'.join(sample.image.parts[-3:])}"))


def hold_out(
    samples: Sequence[Sample], split: str, *, group: Callable[[Path], str] = lambda path: path.name
) -> list[Sample]:
    """A reproducible split where none is published: four fifths of the good groups are train, all the rest is test.

    Good samples are grouped by `group` (by file name unless told otherwise), groups are ordered by a hash of that key,
    and the first four fifths are train. Defects are always test, and so are unknowns. Good samples are all train when
    there is no defect to test on.
    """
    good = normals(samples)
    keys = sorted({group(sample.image) for sample in good}, key=_draw)
    tests = any(sample.is_anomalous for sample in samples)
    train = set(keys[: round(len(keys) * TRAIN_SHARE)] if tests else keys)
    learned = {sample.image for sample in good if group(sample.image) in train}
    return [sample for sample in samples if (sample.image in learned) == (split == "train")]


def _draw(key: str) -> str:
    return sha256(key.encode()).hexdigest()
