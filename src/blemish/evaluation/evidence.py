"""What labelled pictures cannot prove, said before any of them is inspected."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from blemish.data.masks import check_fit
from blemish.files import sha256_of
from blemish.notices import notice
from blemish.types import GOOD, Sample


def examine(samples: Sequence[Sample], learned: Iterable[Path] = ()) -> None:
    """Say what makes metrics of these samples worth less: twins, contradictions, a class that is missing.

    learned: good parts that the detector learns, or that its threshold comes from. Raises BadImage for a mask that
    does not fit its picture.
    """
    labelled = [sample for sample in samples if sample.label]
    check_fit((sample.masks, sample.image) for sample in labelled)
    if lacking := missing_class(sample.label for sample in labelled):
        notice(f"{lacking}, so no metric can tell good from defective")
    _say_partial(labelled)
    _say_twins(labelled, learned)


def missing_class(labels: Iterable[str]) -> str:
    """In words; "" where there are good and defective ones, or none at all."""
    counts = Counter(label == GOOD for label in labels)
    if len(counts) != 1:
        return ""
    return f"there is no defect among the {counts[True]} samples" if counts[True] else "there is no good sample"


def _say_partial(samples: Sequence[Sample]) -> None:
    defects = [sample for sample in samples if sample.is_anomalous]
    masked = sum(bool(sample.masks) for sample in defects)
    if 0 < masked < len(defects):
        notice(f"only {masked} of the {len(defects)} defects have a mask: pixel metrics are of those and of good parts")


class _Shown(NamedTuple):
    path: Path
    label: str
    is_learned: bool


def _say_twins(samples: Sequence[Sample], learned: Iterable[Path]) -> None:
    """Pictures that are the same file, byte for byte, as another one or as one that is learned."""
    taught = [_Shown(path, GOOD, is_learned=True) for path in learned]
    for first, *others in _twins([*taught, *(_Shown(each.image, each.label, is_learned=False) for each in samples)]):
        for other in others:
            if other.is_learned:
                continue
            if first.is_learned:
                notice("%s is the same picture as %s, which is learned from: it proves nothing", other.path, first.path)
            else:
                notice("%s is the same picture as %s: it counts twice", other.path, first.path)
            if other.label != first.label:
                notice("%s is labelled %s, %s %s: correct one", other.path, other.label, first.path, first.label)


def _twins(shown: Sequence[_Shown]) -> Iterator[list[_Shown]]:
    """Those with equal files, two or more, as they come; only files of one size are read."""
    sizes = Counter(_size(each.path) for each in shown)
    same: dict[str, list[_Shown]] = defaultdict(list)
    for each in shown:
        size = _size(each.path)
        if size is not None and sizes[size] > 1:
            same[sha256_of(each.path)].append(each)
    yield from (group for group in same.values() if len(group) > 1)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
