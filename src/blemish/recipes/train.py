"""Labelled pictures and a method that is trained -> its recipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from inspect import signature
from math import ceil
from pathlib import Path
from typing import Any, Protocol, cast

from blemish import catalog, data
from blemish.data.masks import check_fit
from blemish.errors import BadData, BadInput
from blemish.examples import BatchSettings, LabelledBatches, read_examples
from blemish.fields import read_json
from blemish.files import sha256_of, write_json
from blemish.images import Unreadable, find
from blemish.notices import amount, notice, silence
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.reading import Reading
from blemish.recipes.recipe import Recipe, Taught, TrainingSet, set_digest, stamp
from blemish.recipes.start import begin, start_arguments, trainers_of
from blemish.recipes.update import add_good, freeze_detector
from blemish.synth.augment import generators
from blemish.training import checkpoint
from blemish.training.features import FeatureCache, FrozenTower
from blemish.training.loop import never, train
from blemish.training.schedule import Schedule
from blemish.training.trainable import Trainable
from blemish.types import GOOD, Batch, Detector, Encoder, Learner, Sample

NOTE = "made-of.json"
OTHERWISE = "if these are folders of good parts, say --normal"


class TrainedDetector(Detector, Trainable[Batch], Protocol):
    """A detector that is trained, by the schedule of its paper unless another is asked for."""

    schedule: Schedule


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What is asked for beside method and pictures; None is what the method's paper says."""

    product: str | None = None  # None: that of `start`, or "object"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    defects: bool = True  # whether labelled defects are learned from
    augmentation: str | None = None  # "none" for none
    steps: int | None = None
    epochs: int | None = None  # how often each good part is seen, instead of steps
    rate: float | None = None
    batch_size: int | None = None
    precision: str | None = None  # of training, as Fabric names it
    accumulate: int | None = None  # batches of an update
    device: str = "auto"
    devices: int = 1
    seed: int = 0
    cache: Path | None = None  # a folder for what a frozen tower sees, see `training.features`
    pool: int | None = None  # how many defects are made; None: new ones for every batch
    start: Recipe | None = None  # whose weights it begins with, and whose arguments it has; None: random ones


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
) -> Sets:
    """Good parts (`normal`), or a split of labelled data sets, "all" of them too; raises BadData where there is none.

    Only what is trained on other products than it will inspect may see another split than the one to train on; of
    `examples`, folders of defects or data sets, all defects are learned from.
    """
    card = catalog.card(method)
    if split != "train" and card.trained and not card.auxiliary:
        raise BadInput(f"{method} is trained on the parts it will inspect, never on a test split: leave out --split")
    if examples and card.labelled == "none":
        raise BadInput(f"{method} does not learn from labelled defects: leave out --examples")
    shown = {str(root): [each for each in _samples(root, None, None, "all") if each.is_anomalous] for root in examples}
    if normal:
        return _add({str(root): [Sample(path, GOOD) for path in find([root])] for root in roots}, shown)
    try:
        found = {str(root): _samples(root, layout, category, split) for root in roots}
    except BadData as error:
        raise BadData(f"{error}\n{OTHERWISE}") from error
    if not any(sample.label == GOOD for each in found.values() for sample in each):
        which = "the data set" if split == "all" else f"the split {split}"
        raise BadData(f"there is no good part in {which} of {', '.join(map(str, roots))}: {OTHERWISE}")
    if split == "train" and card.labelled != "none":
        _tell_unused(roots, layout, category, shown)
    return _add(found, shown)


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
    found = [data.samples(root, layout=layout, category=category, split=each) for each in splits]
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
        augmentation = _augmentation(method, settings)
        if settings.pool and not augmentation:
            raise BadInput("a pool is of defects that are made: say by which --augment, or leave out --pool")
        known, self.unmasked = _usable(method, [sample for each in sets.values() for sample in each], settings)
        check_fit((each.masks, each.image) for each in known)
        self.arguments = _arguments(method, settings, sorted({each.label for each in known if each.is_anomalous}))
        catalog.require_arguments(method, self.arguments)
        made = begin(method, encoder, self.arguments, settings.start)
        self.detector = cast(TrainedDetector, made)
        usual = self.detector.schedule
        of_batches = BatchSettings(
            settings.batch_size or usual.batch_size,
            augmentation,
            even=card.named and not card.auxiliary,  # types of several products do not compare: one may be all of a set
            balanced=card.balanced,
            together=card.together,
            twins=card.twins,
            seed=settings.seed,
            pool=settings.pool,
            closeups=getattr(made, "closeups", "none"),
        )
        features = _features(method, made, settings, made_by=augmentation)
        self.examples = read_examples(
            known, made.geometry, of_batches, watch=watch, unreadable=self.unreadable, features=features
        )
        self.schedule = replace(
            usual,
            steps=settings.steps or _steps(self.examples, settings.epochs) or usual.steps,
            rate=settings.rate or usual.rate,
            batch_size=of_batches.batch_size,
            precision=settings.precision or usual.precision,
            accumulate=settings.accumulate or usual.accumulate,
            device=settings.device,
            devices=settings.devices,
            seed=settings.seed,
        )

    def run(self, folder: Path, *, resume: bool = False, stop: Callable[[], bool] = never) -> Recipe | None:
        """The recipe of the last weights, or None where it was stopped: the checkpoint is in `folder` then.

        Raises BadInput for a checkpoint that is there and not asked for, or that other pictures or wishes have made.
        """
        self._claim(folder, resume=resume)
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

    def _claim(self, folder: Path, *, resume: bool) -> None:
        note, stated = folder / NOTE, self._made_of()
        if (folder / checkpoint.NAME).exists() and not resume:
            raise BadInput(f"{folder} holds a training that was stopped: go on with --resume, or remove the folder")
        if resume and (folder / checkpoint.NAME).exists() and note.exists():
            before = read_json(note, BadInput, "remove the folder to begin anew").values
            if odd := sorted(name for name in {*before, *stated} if before.get(name) != stated.get(name)):
                raise BadInput(
                    f"{folder} was begun with other {', '.join(odd)}: say the same again, or remove the folder"
                )
        write_json(note, stated)

    def _made_of(self) -> dict[str, Any]:
        """What a training that goes on must have in common with the one that was stopped, as plain JSON values."""
        encoder = cast(Encoder, cast(Any, self.detector).encoder)
        pictures = "\n".join(f"{each.image.name} {each.label}" for each in (*self.examples.good, *self.examples.bad))
        content = {
            "method": self.method,
            "encoder": encoder.sha256 or encoder.name,
            "pictures": sha256(pictures.encode()).hexdigest(),
            "augmentation": self.examples.settings.augmentation,
            "pool": self.examples.settings.pool,
            "start": self.start.hash if self.start else "",
            **self.arguments,
            **{name: value for name, value in asdict(self.schedule).items() if name not in ("device", "save_every")},
        }
        plain: dict[str, Any] = json.loads(json.dumps(content))
        return plain


def _usable(method: str, samples: Sequence[Sample], settings: TrainingSettings) -> tuple[list[Sample], int]:
    """What is learned from, and how many defects are not since nothing says where they are."""
    card = catalog.card(method)
    if not card.trained:
        raise BadInput(f"{method} is not trained: `blemish recipe freeze OUT --method {method} --normal DIR`")
    labelled = [each for each in samples if each.label]
    wanted = settings.defects and card.labelled != "none"
    known = [each for each in labelled if not each.is_anomalous or (wanted and (each.masks or card.weak))]
    unmasked = sum(each.is_anomalous and not each.masks for each in labelled) if wanted and not card.weak else 0
    ways = "give some with masks, " + ("by --split test, " if card.auxiliary else "") + "or --augment drawn"
    made = _augmentation(method, settings) is not None
    if card.labelled == "required" and not made and not any(each.is_anomalous for each in known):
        raise BadInput(f"{method} learns from defects whose place is known: {ways}")
    return known, unmasked


def _augmentation(method: str, settings: TrainingSettings) -> str | None:
    """What is asked for, or else what the method itself is trained with; None for no made defects. UnknownName."""
    name = settings.augmentation or catalog.card(method).augmentation
    return "+".join(generators(name)) if name not in ("", "none") else None


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


def _features(
    method: str, detector: Detector, settings: TrainingSettings, *, made_by: str | None
) -> FeatureCache | None:
    """Where a cache is asked for; raises BadInput where nothing can be kept."""
    if settings.cache is None:
        return None
    if not isinstance(detector, FrozenTower):
        raise BadInput(f"{method} trains what its encoder sees, so that nothing of it can be kept: leave out --cache")
    if made_by and settings.pool is None:
        raise BadInput("made defects are new ones in every batch: say how many to make and keep, such as --pool 1000")
    return FeatureCache(settings.cache, detector, detector.geometry)


def _steps(examples: LabelledBatches, epochs: int | None) -> int | None:
    """As many as it takes to see each good part that often."""
    return ceil(epochs * len(examples.good) / examples.good_of_a_batch) if epochs else None
