"""Examples of types of defects -> a classifier that has learned them, and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from blemish.blocks.shown_types import count_types
from blemish.calibration.prediction_sets import calibrate_several, calibrate_sureness
from blemish.classification.describe import Description
from blemish.classification.namer import Namer, logits_of
from blemish.data.several_types import types_of
from blemish.errors import BadInput
from blemish.images import Unreadable
from blemish.notices import amount, list_names, notice
from blemish.progress import ShowProgress, no_progress
from blemish.types import Classifier, TypedExamples

FEW = 50
"""Up to so many examples of each type are learned mirrored as well, and then whatever is named is seen so too."""
FOLDS = 10
"""Each example is scored by what was learned from the others but its own fold."""
ENOUGH = 5000
"""Examples that are held out, where there are so many: more change little about how sure a classifier is."""
MOST = 1 << 28
"""Numbers that are kept of all examples; of more every type keeps as many as it can."""
SCORED = 1 << 25
"""Logits by which it is found how sure a classifier is, at most."""


def typed_examples(
    found: Iterable[Description], types: Sequence[str], unreadable: Sequence[Unreadable] = ()
) -> tuple[TypedExamples, list[str]]:
    """Of descriptions whose labels are the types, or name several; and the picture of each.

    unreadable: what could not be read meanwhile, for the error of a type of which nothing could be.
    """
    seen, labels, pictures = list[Tensor](), list[list[int]](), list[str]()
    numbers = {name: number for number, name in enumerate(types)}
    counts, most = Counter[int](), 0
    for each in found:
        own = [numbers[name] for name in types_of(each.sample)]
        most = most or max(1, MOST // (each.seen.numel() * len(types)))
        counts.update(own)
        if all(counts[number] > most for number in own):
            continue
        seen.append(each.seen)
        labels.append(own)
        pictures.append(str(each.sample.image))
    if not seen:
        raise BadInput("there is no example to learn from: give pictures of each type of defect")
    if thinned := [f"{types[number]} {most} of {count}" for number, count in counts.items() if count > most]:
        notice(
            "of the examples only the first are learned, as many as memory was set aside for: %s", list_names(thinned)
        )
    if lacking := [name for number, name in enumerate(types) if not counts[number]]:
        bad = amount(len(unreadable), "picture")
        why = f" ({bad} cannot be read, such as {unreadable[0].id})" if unreadable else ""
        raise BadInput(f"there is no example of {list_names(lacking)}{why}: show one, or leave the type out")
    table = torch.zeros(len(labels), len(types), dtype=torch.bool)
    for row, own in enumerate(labels):
        table[row, own] = True
    return TypedExamples(torch.stack(seen), table), pictures


def is_few(types: Iterable[str]) -> bool:
    """Whether examples of these types are so few of each that they are seen mirrored as well."""
    return max(Counter(types).values(), default=FEW + 1) <= FEW


def learn(
    classifier: Classifier,
    examples: TypedExamples,
    *,
    coverage: float = 0.9,
    seed: int = 0,
    asked: int | None = None,
    watch: ShowProgress = no_progress,
) -> Namer:
    """The classifier, fitted to all examples, and how sure it is of others like them.

    For that it scores each example by what it learns from the others: in folds, of which a type's only example is none.
    Says so where types have very unequal numbers of examples.
    asked: in how many of their views, the first ones, it will be asked of others; none: in all.
    """
    counts = count_types(examples.types)
    most, least = int(counts.max()), int(counts[counts > 0].min())  # of a type without any there are words
    if most > 10 * least:
        notice("the types have %s to %s examples; each counts alike", least, most)
    rows, found = held_out_logits(classifier, examples, seed=seed, asked=asked, watch=watch)
    logits, truth, shown = found.numpy(), examples.types[rows], counts.numpy()
    sure = (
        calibrate_several(logits, truth.numpy(), coverage, shown=shown)
        if classifier.several
        else calibrate_sureness(logits, truth.float().argmax(1).numpy(), coverage, shown=shown)
    )
    return Namer(classifier.fit(examples), sure)


def held_out_logits(
    classifier: Classifier,
    examples: TypedExamples,
    *,
    seed: int = 0,
    asked: int | None = None,
    watch: ShowProgress = no_progress,
) -> tuple[Tensor, Tensor]:
    """Numbers of examples (R,), and of each the logits (R, K) by what is learned from those of other folds.

    Without those that are the only one of a type, of very many types only so many that memory is bounded, and of very
    many examples only those of so many folds that these are `ENOUGH`.
    """
    alone = (examples.types & (count_types(examples.types) < 2)).any(1)
    order = torch.randperm(len(alone), generator=torch.Generator().manual_seed(seed))
    order = order[~alone[order]]
    numbers, held = [order[:0]], [torch.zeros(0, examples.types.shape[1])]
    folds = _folds(order[: max(1, SCORED // examples.types.shape[1])], examples.types)
    folds = folds[: -(-ENOUGH // max(1, len(folds[0]))) if folds else 0]
    advance = watch("learning types", len(folds))
    for rows in folds:
        rest = torch.ones(len(alone), dtype=torch.bool)
        rest[rows] = False
        classifier.fit(TypedExamples(examples.seen[rest], examples.types[rest]))
        numbers.append(rows)
        held.append(logits_of(classifier, examples.seen[rows, :asked]))
        advance()
    return torch.cat(numbers), torch.cat(held)


def _folds(order: Tensor, types: Tensor) -> list[Tensor]:
    """Rows dealt out type by type, of several the rarest, so that each type has some in every rest."""
    numbers = torch.where(types[order], count_types(types), len(types) + 1).argmin(1)
    dealt = order[numbers.argsort(stable=True)]
    count = min(FOLDS, len(dealt))
    return [dealt[first::count] for first in range(count)]
