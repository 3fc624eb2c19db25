"""Labelled pictures and a method that is trained -> its recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, cast

from blemish import catalog, data
from blemish.data.sampling import normals, shots
from blemish.data.several_types import join_types
from blemish.errors import BadData, BadInput
from blemish.files import sha256_of
from blemish.images import Unreadable, find
from blemish.notices import amount, list_names, notice, silence
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.fit import TrainedDetector, TrainingSettings, claim, made_of, prepare_training, usable
from blemish.recipes.reading import Reading
from blemish.recipes.recipe import Recipe, Taught, TrainingSet, set_digest, stamp
from blemish.recipes.start import begin, start_arguments, trainers_of
from blemish.recipes.update import add_good, freeze_detector
from blemish.training.loop import never, train
from blemish.types import GOOD, Encoder, Learner, Sample

OTHERWISE = "if these are folders of good parts, say --normal"

Sets = Mapping[str, Sequence[Sample]]
"""What is learned from, by the data sets' names."""


def find_examples(
    method: str,
    roots: Sequence[Path],
    *,
    normal: bool,
    layout: str | None = None,
    category: str | None = None,
    split: str = "train",
    examples: Sequence[Path] = (),
    keep_back: int = 0,
    seed: int = 0,
) -> Sets:
    """Good parts (`normal`), or a split of labelled data sets, "all" of them too; raises BadData where there is none.

    Only what is trained on other products than it will inspect may see another split than the one to train on; of
    `examples`, folders of defects or data sets, all defects are learned from. So many good parts are kept back, drawn
    by the seed: the recipe is calibrated by them, since it cannot be by what taught it.
    """
    card = catalog.card(method)
    if split != "train" and card.trained and not card.auxiliary:
        raise BadInput(f"{method} is trained on the parts it will inspect, never on a test split: leave out --split")
    if examples and card.labelled == "none":
        raise BadInput(f"{method} does not learn from labelled defects: leave out --examples")
    if keep_back and card.auxiliary:
        raise BadInput(f"{method} learns from other products, and all of yours can calibrate it: leave out --keep-back")
    shown = {str(root): [each for each in _samples(root, None, None, "all") if each.is_anomalous] for root in examples}
    if normal:
        good = {str(root): [Sample(path, GOOD) for path in find([root])] for root in roots}
        return _add(_without(good, keep_back, seed), shown)
    try:
        found = {str(root): _samples(root, layout, category, split) for root in roots}
    except BadData as error:
        raise BadData(f"{error}\n{OTHERWISE}") from error
    if not any(sample.label == GOOD for each in found.values() for sample in each):
        which = "the data set" if split == "all" else f"the split {split}"
        raise BadData(f"there is no good part in {which} of {', '.join(map(str, roots))}: {OTHERWISE}")
    if split == "train" and card.labelled != "none":
        _tell_unused(roots, layout, category, shown)
    return _add(_without(found, keep_back, seed), shown)


def _without(sets: Mapping[str, list[Sample]], count: int, seed: int) -> Mapping[str, list[Sample]]:
    """All but so many good parts of them."""
    if not count:
        return sets
    good = normals(list(dict.fromkeys(sample for each in sets.values() for sample in each)))
    if count >= len(good):
        raise BadInput(f"--keep-back {count}: there are {amount(len(good), 'good part')}, and some must teach")
    held = {*shots(good, count, seed=seed)}
    return {name: [sample for sample in each if sample not in held] for name, each in sets.items()}


def _add(sets: Mapping[str, list[Sample]], more: Mapping[str, list[Sample]]) -> Sets:
    return {name: [*sets.get(name, ()), *more.get(name, ())] for name in {**sets, **more}}


def _tell_unused(roots: Sequence[Path], layout: str | None, category: str | None, shown: Iterable[str]) -> None:
    """Say which plain folders have defects that teach nothing; of a published data set it is known."""
    for root in roots:
        if (layout or data.detect(root)) != "folder":
            continue
        with silence():
            learned = {*_samples(root, layout, category, "train")}
            unused = {each for each in _samples(root, layout, category, "all") if each.is_anomalous} - learned
        if unused and str(root) not in shown:
            notice(
                "nothing is learned from %s of %s, which a plain folder keeps for tests: show defects by --examples",
                amount(len(unused), "defect"), root,
            )  # fmt: skip


def _samples(root: Path, layout: str | None, category: str | None, split: str) -> list[Sample]:
    splits = data.splits(root, layout=layout) if split == "all" else (split,)
    found = [join_types(data.samples(root, layout=layout, category=category, split=each)) for each in splits]
    return list(dict.fromkeys(sample for each in found for sample in each))  # "test" may be a name for another split


class Training:
    """A training that is ready to run: the detector as it begins, its batches and its schedule."""

    def __init__(
        self,
        method: str,
        encoder: str | Encoder | None,
        sets: Sets,
        settings: TrainingSettings,
        *,
        watch: ShowProgress = no_progress,
    ) -> None:
        self.method, self.sets, self.watch, self.unreadable = method, sets, watch, list[Unreadable]()
        self.start, card = settings.start, catalog.card(method)
        known, self.unmasked = usable(method, card, [sample for each in sets.values() for sample in each], settings)
        types = sorted({each.label for each in known if each.is_anomalous})
        self.arguments = _arguments(method, settings, types)
        catalog.require_arguments(method, self.arguments)
        if (vocabulary := self.arguments.get("vocabulary")) and types and not {*vocabulary} & {*types}:
            notice("the vocabulary names none of the types of these defects (%s): no type is taught", list_names(types))
        self.detector = cast(TrainedDetector, begin(method, encoder, self.arguments, settings.start))
        self.examples, self.schedule = prepare_training(
            method, card, self.detector, known, settings, watch=watch, unreadable=self.unreadable
        )

    def run(self, folder: Path, *, resume: bool = False, stop: Callable[[], bool] = never) -> Recipe | None:
        """The recipe of the last weights, or None where it was stopped: the checkpoint is in `folder` then.

        Raises BadInput for a checkpoint that is there and not asked for, or that other pictures or wishes have made.
        """
        begun = {"start": self.start.hash if self.start else "", **self.arguments}
        claim(folder, made_of(self.method, self.detector, self.examples, self.schedule, begun), resume=resume)
        if not train(self.detector, self.examples, self.schedule, folder, watch=self.watch, stop=stop):
            return None
        samples = (*self.examples.good, *self.examples.bad)
        sums = {each.image: sha256_of(each.image) for each in samples}
        taught = [Taught(sums[each.image], each.image.name, each.label) for each in samples]
        auxiliary = catalog.card(self.method).auxiliary  # what taught it is not this product, and cannot be forgotten
        remembers = isinstance(self.detector, Learner) and not auxiliary  # good parts, beside what it was trained to
        made = freeze_detector(
            self.detector,
            self.method,
            arguments=self.arguments,
            taught=() if auxiliary or remembers else taught,
            trained_on=self._training_sets(sums),
        )
        return self._go_back(self._remember(made) if remembers else made)

    def _remember(self, recipe: Recipe) -> Recipe:
        """The recipe that also knows the good parts that it was trained on."""
        good, encoder = [each.image for each in self.examples.good], cast(Any, self.detector).encoder
        return stamp(add_good(recipe, good, encoder=encoder, reading=Reading(watch=self.watch)))

    def _go_back(self, recipe: Recipe) -> Recipe:
        """The recipe that also says what the one it was begun from had been trained on."""
        if self.start is None:
            return recipe
        known = {each.sha256 for each in recipe.taught}
        before = [each for each in trainers_of(self.start) if each.sha256 not in known]
        sets = (*self.start.trained_on, *recipe.trained_on)
        return stamp(replace(recipe, taught=(*before, *recipe.taught), trained_on=sets), self.start.hash)

    def _training_sets(self, sums: Mapping[Path, str]) -> list[TrainingSet]:
        """What was learned from of each data set."""
        found = []
        for name, samples in self.sets.items():
            used = [each for each in samples if each.image in sums]
            bad = sum(each.is_anomalous for each in used)
            digest = set_digest((sums[each.image], each.label) for each in used)
            found.append(TrainingSet(Path(name).name, len(used) - bad, bad, digest))
        return found


def _arguments(method: str, settings: TrainingSettings, types: Sequence[str]) -> dict[str, Any]:
    """Those given, and where the method asks for it the product's name, the types of defects, if there are any.

    The others are those of the recipe it starts from; raises BadInput where that has other ones.
    """
    known = signature(catalog.method(method)).parameters
    before = start_arguments(method, settings.start, settings.arguments)
    product = settings.product or before.get("product", "object")
    found = {"product": product, "supervised": bool(types), "seed": settings.seed}
    if catalog.card(method).named:
        found["defects"] = list(types) or before.get("defects", [])
    return {**before, **{name: value for name, value in found.items() if name in known}, **settings.arguments}
