"""Pictures of defects with the names of their types, as they lie in data sets; no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from blemish import data
from blemish.data.several_types import join_types, types_of
from blemish.errors import BadData
from blemish.notices import amount, notice, silence
from blemish.types import GOOD, Sample


def labelled_defects(root: Path, *, layout: str | None = None, category: str | None = None) -> list[Sample]:
    """Every picture of a defect of a data set, whatever split it is in; raises BadData for a name in two spellings.

    A picture that stands under several types is there once, with all of them.
    """
    found = {}
    for split in data.splits(root, layout=layout):
        for sample in data.samples(root, layout=layout, category=category, split=split):
            if sample.is_anomalous:
                found[sample.image] = sample
    samples = join_types(list(found.values()))
    check_names(every_type(samples))
    return samples


def take_several(samples: Iterable[Sample]) -> dict[str, bool]:
    """What a classifier is told where some pictures have several types, which is said; {} where none has."""
    several = [sample for sample in samples if len(types_of(sample)) > 1]
    if not several:
        return {}
    notice(
        "%s of several types, such as %s (%s): each type is decided by itself",
        amount(len(several), "picture"), several[0].image, " and ".join(types_of(several[0])),
    )  # fmt: skip
    return {"several": True}


def refuse_several(samples: Iterable[Sample], recipe: str) -> None:
    """Raise BadData for the first picture of several types, since the recipe names one of each."""
    for sample in samples:
        if len(types := types_of(sample)) > 1:
            said = f"{sample.image} is of {' and '.join(types)}, and {recipe} names one type of each"
            raise BadData(f"{said}: leave it in the folder of one type")


def defects_of(root: Path, *, layout: str | None = None, category: str | None = None) -> list[Sample]:
    """As `labelled_defects`; raises BadData for fewer than two types."""
    samples = labelled_defects(root, layout=layout, category=category)
    types = every_type(samples)
    if len(types) < 2:
        raise BadData(
            f"{root} has pictures of {'one type' if types else 'no type'} of defect: to tell types apart give a "
            "folder of pictures for each"
        )
    return samples


def count_good(root: Path) -> int:
    """Pictures of good parts of a data set, which no type can be learned from."""
    with silence():
        found = [sample for split in data.splits(root) for sample in data.samples(root, split=split)]
    return len({sample.image for sample in found if sample.label == GOOD})


def every_type(samples: Iterable[Sample]) -> list[str]:
    """The types that there are, sorted."""
    return sorted({name for sample in samples for name in types_of(sample)})


def check_names(types: Iterable[str]) -> None:
    """Raise BadData for a type in two spellings."""
    names = dict[str, str]()
    for label in types:
        plain = "".join(each for each in label.casefold() if each.isalnum())
        if other := names.get(plain):
            raise BadData(f"{other!r} and {label!r} are one type in two spellings: give both folders one name")
        names[plain] = label
