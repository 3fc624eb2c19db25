"""What labelled pictures cannot prove, said before any of them is inspected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from blemish import data
from blemish.data.masks import check_fit
from blemish.data.several_types import join_types
from blemish.errors import BadData, UnknownName
from blemish.images.copies import same_pictures
from blemish.notices import notice, silence
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


def samples_to_measure(
    root: Path, *, layout: str | None = None, category: str | None = None, split: str = "test"
) -> list[Sample]:
    """A split some of whose pictures are labelled; UnknownName and BadData name those there are instead.

    A picture in the folders of several types is one sample with the masks of all.
    """

    def of(name: str) -> list[Sample]:
        with silence():
            return data.samples(root, layout=layout, category=category, split=name)

    names = data.splits(root, layout=layout)
    if split in names and any(sample.label for sample in of(split)):
        return join_types(data.samples(root, layout=layout, category=category, split=split))
    known = [name for name in names if name != split and {*map(_is_good, of(name))} >= {True, False}]
    others = f"choose {' or '.join(known)}" if known else "no split has both good parts and defects"
    if split not in names:
        raise UnknownName(f"split {split!r} does not exist in {root}: {others}")
    raise BadData(
        f"nothing is known of the pictures in the split {split} of {root}, so nothing can be measured on it: {others}; "
        "of what is not known `blemish inspect` gives scores and heat maps"
    )


def _is_good(sample: Sample) -> bool | None:
    """None where that is unknown."""
    return sample.label == GOOD if sample.label else None


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
