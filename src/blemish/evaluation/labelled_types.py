"""Pictures of defects with the names of their types, as they lie in data sets; no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from blemish import data
from blemish.classification.names import refuse_twins
from blemish.data.several_types import join_types, spelling_of, types_of
from blemish.errors import BadData
from blemish.notices import amount, gather, notice
from blemish.types import Sample


class Listed(NamedTuple):
    """The defects of a data set, and what was odd about how they lie there."""

    samples: list[Sample]
    notes: tuple[str, ...]


def list_defects(root: Path, *, layout: str | None = None, category: str | None = None) -> Listed:
    """As `defects_of`."""
    with gather() as notices:
        samples = defects_of(root, layout=layout, category=category)
    return Listed(samples, tuple(notices.lines()))


def labelled_defects(root: Path, *, layout: str | None = None, category: str | None = None) -> list[Sample]:
    """Every picture of a defect of a data set, whatever split it is in, see `pick_defects`."""
    return pick_defects(data.every_sample(root, layout=layout, category=category))


def pick_defects(samples: Iterable[Sample]) -> list[Sample]:
    """Those of defects, each once, with all the types that it stands under.

    Raises BadData for a type in two spellings, and for a label that names none.
    """
    found = join_types([sample for sample in samples if sample.is_anomalous])
    if nameless := next((sample for sample in found if not types_of(sample)), None):
        raise BadData(f"{nameless.image} is of {nameless.label!r}, which names no type: give it a name with letters")
    check_names(every_type(found))
    return found


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
    return require_types(labelled_defects(root, layout=layout, category=category), root)


def require_types(samples: list[Sample], root: Path) -> list[Sample]:
    """The same; raises BadData for fewer than two types, and BadInput for one that means something else here."""
    types = every_type(samples)
    if len(types) < 2:
        raise BadData(
            f"{root} has pictures of {'one type' if types else 'no type'} of defect: to tell types apart give a "
            "folder of pictures for each"
        )
    refuse_twins(types)
    return samples


def every_type(samples: Iterable[Sample]) -> list[str]:
    """The types that there are, sorted."""
    return sorted({name for sample in samples for name in types_of(sample)})


def check_names(types: Iterable[str]) -> None:
    """Raise BadData for a type in two spellings."""
    names = dict[str, str]()
    for label in types:
        plain = spelling_of(label)
        if other := names.get(plain):
            raise BadData(f"{other!r} and {label!r} are one type in two spellings: give both folders one name")
        names[plain] = label
