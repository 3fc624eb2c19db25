"""A recipe that only names: whole pictures, by examples of each type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blemish.classification.describe import describe
from blemish.classification.learn import is_few
from blemish.classification.names import DefectType, Names, refuse_twins
from blemish.data.several_types import types_of
from blemish.errors import BadInput
from blemish.files import sha256_of
from blemish.images import Unreadable
from blemish.notices import list_names
from blemish.progress import ShowProgress, no_progress
from blemish.recipes import known_defects
from blemish.recipes.naming import by_examples, classifier_of
from blemish.recipes.recipe import ENCODER, Recipe, Reference, Taught, stamp
from blemish.types import Encoder, Sample


def freeze_types(
    samples: Sequence[Sample],
    encoder: Encoder,
    classifier: str,
    arguments: Mapping[str, Any],
    *,
    coverage: float = 0.9,
    batch_size: int = 8,
    watch: ShowProgress = no_progress,
    unreadable: list[Unreadable] | None = None,
) -> Recipe:
    """A recipe without a detector, whose classifier has learned these pictures of two types or more.

    Pictures may have several types each where `arguments` say so: {"several": True}.
    """
    kinds = sorted({kind for sample in samples for kind in types_of(sample)})
    refuse_twins(kinds)
    names = Names(classifier, dict(arguments), tuple(DefectType(kind) for kind in kinds), of="pictures")
    looking, few = classifier_of(names, encoder), is_few(kind for each in samples for kind in types_of(each))
    found = describe(
        looking, samples, mirrored=few, batch_size=batch_size, unreadable=unreadable,
        advance=watch("looking at examples", len(samples)),
    )  # fmt: skip
    taught, examples, numbers = list[Taught](), [], {kind: number for number, kind in enumerate(kinds)}
    for each in found:
        path = each.sample.image
        taught.append(Taught(sha256_of(path), path.name, each.sample.label))
        examples += [
            (known_defects.number(taught[-1].id), numbers[kind], path.name, each.seen) for kind in types_of(each.sample)
        ]
    if lacking := sorted(set(kinds) - {kinds[number] for _, number, _, _ in examples}):
        raise BadInput(f"no picture of {list_names(lacking)} can be read: replace them, or leave the type out")
    names, tensors = by_examples(names, encoder, examples, coverage=coverage, watch=watch)
    meant = {ENCODER: Reference(encoder.name, encoder.sha256)}
    return stamp(Recipe("", {}, meant, tensors=tensors, taught=tuple(taught), names=names))
