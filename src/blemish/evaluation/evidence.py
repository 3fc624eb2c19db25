"""What labelled pictures cannot prove, said before any of them is inspected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from blemish.data.masks import check_fit
from blemish.images.copies import same_pictures
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
    """Pictures that are the same, saved once more in whatever format, as another one or as one that is learned."""
    taught = [_Shown(path, GOOD, is_learned=True) for path in dict.fromkeys(learned)]
    shown = [*taught, *(_Shown(each.image, each.label, is_learned=False) for each in samples)]
    for numbers in same_pictures([each.path for each in shown]):
        first, *others = (shown[number] for number in numbers)
        for other in others:
            if other.is_learned or other.path == first.path:
                continue
            if first.is_learned:
                notice("%s is the same picture as %s, which is learned from: it proves nothing", other.path, first.path)
            else:
                notice("%s is the same picture as %s: it counts twice", other.path, first.path)
            if other.label != first.label:
                notice("%s is labelled %s, %s %s: correct one", other.path, other.label, first.path, first.label)
