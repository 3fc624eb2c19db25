"""A classifier of defects on labelled pictures: some of each type teach it, others measure it."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from blemish import catalog
from blemish.blocks.shown_types import count_types
from blemish.classification.describe import Of, describe
from blemish.classification.learn import is_few, learn, typed_examples
from blemish.classification.namer import Namer, untaught
from blemish.data.sampling import shuffle
from blemish.data.several_types import types_of
from blemish.errors import BadInput
from blemish.evaluation.labelled_types import Listed, every_type, list_defects, take_several
from blemish.evaluation.types_report import TypesReport, measure_names
from blemish.images import Unreadable
from blemish.notices import amount, gather, list_names, notice
from blemish.progress import ShowProgress, no_progress
from blemish.types import Classifier, Cropper, Encoder, Sample


@dataclass(frozen=True, slots=True)
class TypesTrial:
    """One classifier on one category of a data set: everything that decides the outcome."""

    root: Path
    classifier: str
    encoder: str | Encoder
    layout: str | None = None
    category: str | None = None
    shots: int | None = None  # examples of each type to learn from; None: all of the half that may teach
    seed: int = 0  # which half of each type may teach, and which of its examples are drawn
    hold_out: str | None = None  # a type that nothing is learned of
    of: Of = "pictures"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    product: str | None = None  # in words; None: the category's name, or the folder's
    coverage: float = 0.9  # share of defects whose set of types is to hold theirs
    batch_size: int = 8

    @property
    def part(self) -> str:
        """What the part is, in words."""
        return self.product or (self.category or self.root.resolve().name).replace("_", " ")

    @property
    def encoder_name(self) -> str:
        """Of the encoder, loaded or not."""
        return self.encoder if isinstance(self.encoder, str) else self.encoder.name


class Divided(NamedTuple):
    """What is learned from, and what is measured on; no picture is both."""

    learned: list[Sample]
    tested: list[Sample]


def divide(samples: Sequence[Sample], shots: int | None, seed: int) -> Divided:
    """Half of each type's pictures may teach, `shots` of them or all do; the other half tests, whatever the shots.

    A type with one picture teaches only; a picture of several types is one of the rarest of them.
    """
    often = Counter(name for sample in samples for name in types_of(sample))
    groups = defaultdict[str, list[Sample]](list)
    for sample in samples:
        groups[min(types_of(sample), key=lambda name: (often[name], name))].append(sample)
    learned, tested = list[Sample](), list[Sample]()
    for _, group in sorted(groups.items()):
        order = shuffle(group, seed=seed)
        half = max(1, len(order) // 2)
        learned += order[:half][:shots]
        tested += order[half:]
    return Divided(learned, tested)


def run_types_trial(
    trial: TypesTrial, *, defects: Listed | None = None, watch: ShowProgress = no_progress
) -> TypesReport:
    """Learn types from some pictures of each, and name others; `defects` where they were listed before."""
    defects = defects or list_defects(trial.root, layout=trial.layout, category=trial.category)
    samples, every = defects.samples, every_type(defects.samples)
    with gather() as notices:
        if trial.hold_out is not None and trial.hold_out not in every:
            raise BadInput(f"{trial.hold_out!r} is no type here: choose one of {list_names(every)}")
        types = [name for name in every if name != trial.hold_out]
        several = take_several(samples)
        if several and trial.of == "defects":
            raise BadInput(
                f"some pictures of {trial.root} have several types, and their masks do not say which region is of "
                "which: leave out --of defects"
            )
        trial = dataclasses.replace(trial, arguments=several | dict(trial.arguments))
        learned, tested = divide(samples, trial.shots, trial.seed)
        _say_untested(every, tested)
        unreadable, begun = list[Unreadable](), time.perf_counter()
        shown = [sample for sample in learned if {*types_of(sample)} <= {*types}]
        _say_few(trial.shots or 0, types, shown)
        mirrored = is_few(name for sample in shown for name in types_of(sample))
        namer, counts, begun = _taught(trial, types, shown, watch, unreadable, mirrored=mirrored)
        seconds = time.perf_counter() - begun
        found = describe(
            namer.classifier, tested, of=trial.of, mirrored=mirrored and _asked(trial, namer.classifier) is None,
            batch_size=trial.batch_size,
            unreadable=unreadable, advance=watch("naming", len(tested)),
        )  # fmt: skip
        together = catalog.classifier_card(trial.classifier).scores == "set"
        measured = measure_names(
            namer, list(found), trial.root, several=bool(several), together=together, seed=trial.seed
        )
    notes = (*defects.notes, *notices.lines())
    return measured._replace(learned=counts, seconds=seconds, unreadable=tuple(unreadable), notes=notes)


def _asked(trial: TypesTrial, classifier: Classifier) -> int | None:
    """Views of what is named: regions are seen as they are, as a recipe sees those that it finds; None: all."""
    return 1 if trial.of == "defects" and not isinstance(classifier, Cropper) else None


def _say_untested(types: Iterable[str], tested: Sequence[Sample]) -> None:
    there = {*every_type(tested)}
    alone = [name for name in types if name not in there]
    if alone and there:  # where nothing at all is tested that is refused
        each = "its only picture" if len(alone) == 1 else "the only picture of each"
        notice("%s: %s may teach, so nothing of it is tested: give two at least", list_names(alone), each)


def _say_few(shots: int, types: Iterable[str], shown: Iterable[Sample]) -> None:
    there = Counter(name for sample in shown for name in types_of(sample))
    few = [f"{there[name]} of {name}" for name in types if there[name] < shots]
    if few:
        asked = amount(shots, "example")
        notice("%s of each type asked for; half of its pictures may teach, so there are %s", asked, list_names(few))


def _taught(
    trial: TypesTrial,
    types: Sequence[str],
    shown: Sequence[Sample],
    watch: ShowProgress,
    bad: list[Unreadable],
    *,
    mirrored: bool,
) -> tuple[Namer, dict[str, int], float]:
    """And how many examples of each type there were, and when it began to learn."""
    card = catalog.classifier_card(trial.classifier)
    words = {"product": trial.part} if "product" in card.words else {}
    classifier = catalog.classifier(trial.classifier, trial.encoder, types, words | dict(trial.arguments))
    if not shown and card.labelled == "required":
        raise BadInput(f"{trial.classifier} learns from examples: give it some, --shots 1, or choose words")
    if not shown:
        return untaught(classifier), {}, time.perf_counter()
    found = describe(
        classifier, shown, of=trial.of, mirrored=mirrored, batch_size=trial.batch_size, unreadable=bad,
        advance=watch("looking at examples", len(shown)),
    )  # fmt: skip
    examples, _ = typed_examples(found, types, bad)
    counts = dict(zip(types, count_types(examples.types).tolist(), strict=True))
    begun = time.perf_counter()
    if card.scores == "set":
        notice("%s names a set together: how often sets of types hold the right one is not promised", trial.classifier)
    asked = _asked(trial, classifier)
    namer = learn(classifier, examples, coverage=trial.coverage, seed=trial.seed, asked=asked, watch=watch)
    return namer, counts, begun
