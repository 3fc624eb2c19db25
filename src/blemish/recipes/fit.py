"""Pictures of good parts and of defects -> a detector that has learned from them, in whatever way it learns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import sha256
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar, cast

from blemish import catalog
from blemish.catalog import NOTHING, Card
from blemish.data.masks import check_fit
from blemish.errors import BadInput
from blemish.examples import BatchSettings, LabelledBatches, read_examples
from blemish.fields import read_json
from blemish.files import write_json
from blemish.fitting import good_parts, remember
from blemish.images import Unreadable, find
from blemish.notices import notice
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.detectors import precision_of
from blemish.recipes.recipe import Recipe
from blemish.synth.augment import generators
from blemish.training import checkpoint
from blemish.training.features import FeatureCache, FrozenTower
from blemish.training.loop import train
from blemish.training.schedule import Schedule
from blemish.training.trainable import Trainable
from blemish.types import GOOD, Batch, Detector, Encoder, Learner, Sample

NOTE = "made-of.json"
D = TypeVar("D", bound=Detector)


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
    precision: str | None = None  # of training, as Fabric names it; None: bf16-mixed of an encoder in bfloat16, 32-true
    accumulate: int | None = None  # batches of an update
    device: str = "auto"
    devices: int = 1
    seed: int = 0
    cache: Path | None = None  # a folder for what a frozen tower sees, see `training.features`
    pool: int | None = None  # how many defects are made; None: new ones for every batch
    start: Recipe | None = None  # whose weights it begins with, and whose arguments it has; None: random ones


PAPER = TrainingSettings()
ALL = tuple(each.name for each in fields(TrainingSettings))
OF_ITSELF = ("product", "arguments", "start")
"""Settings that a detector which is there already has decided."""


def fit(
    detector: D,
    examples: str | Path | Iterable[str | Path | Sample],
    settings: TrainingSettings = PAPER,
    *,
    folder: Path | None = None,
    watch: ShowProgress = no_progress,
    unreadable: list[Unreadable] | None = None,
) -> D:
    """The detector, which has learned from pictures of good parts, and of defects if it learns from these.

    examples: pictures, folders and globs are of good parts; samples say what they are. What is trained by gradients is
    trained from the weights it has, by its paper's schedule or the `settings`; what remembers good parts of what it
    inspects remembers these and forgets the others. folder: keeps what a training that is interrupted needs, and the
    same call goes on from there. What cannot be read is added to `unreadable`, or raised without it. Raises BadInput
    for what it does not learn from, or for settings that do not apply.
    """
    method, card = catalog.identify(detector)
    samples = list(_samples([examples] if isinstance(examples, str | Path) else examples))
    usual = replace(PAPER, batch_size=settings.batch_size)
    allowed = replace(settings, **{name: getattr(PAPER, name) for name in OF_ITSELF}) if card.trained else usual
    if odd := [name for name in ALL if getattr(settings, name) != getattr(allowed, name)]:
        raise BadInput(f"{method} is there already, and {' and '.join(odd)} would change nothing of it: leave them out")
    if card.trained:
        _train(cast(TrainedDetector, detector), method, card, samples, settings, folder, watch, unreadable)
    if isinstance(detector, Learner) and not card.auxiliary:
        good = [each.image for each in samples if each.label == GOOD]
        size, advance = settings.batch_size or 8, watch("learning from good parts", len(good))
        remember(
            detector,
            good_parts(good, detector.geometry, batch_size=size, unreadable=unreadable, advance=advance),
        )
    return detector


def _samples(examples: Iterable[str | Path | Sample]) -> Iterator[Sample]:
    for each in examples:
        yield from [each] if isinstance(each, Sample) else (Sample(path, GOOD) for path in find([each]))


def _train(
    detector: TrainedDetector,
    method: str,
    card: Card,
    samples: Sequence[Sample],
    settings: TrainingSettings,
    folder: Path | None,
    watch: ShowProgress,
    unreadable: list[Unreadable] | None,
) -> None:
    """Train in place, in a folder that is kept or in none."""
    known, unmasked = usable(method, card, samples, settings)
    if unmasked:
        notice("%s defects without a mask teach nothing", unmasked)
    batches, schedule = prepare_training(method, card, detector, known, settings, watch=watch, unreadable=unreadable)
    with nullcontext(folder) if folder else TemporaryDirectory() as place:
        claim(Path(place), made_of(method, detector, batches, schedule), resume=True)
        train(detector, batches, schedule, Path(place), watch=watch)


def prepare_training(
    method: str,
    card: Card,
    detector: TrainedDetector,
    samples: Sequence[Sample],
    settings: TrainingSettings,
    *,
    watch: ShowProgress,
    unreadable: list[Unreadable] | None,
) -> tuple[LabelledBatches, Schedule]:
    """Batches of what is learned from, and the schedule by which a detector as it is will be trained on them."""
    usual = detector.schedule
    augmentation = augmentation_of(card, settings)
    of_batches = BatchSettings(
        settings.batch_size or usual.batch_size,
        augmentation,
        even=card.named and not card.auxiliary,  # types of several products do not compare: one may be all of a set
        balanced=card.balanced,
        together=card.together,
        twins=card.twins,
        seed=settings.seed,
        pool=settings.pool,
        closeups=getattr(detector, "closeups", "none"),
    )
    features = _features(method, detector, settings, made_by=augmentation)
    examples = read_examples(
        samples, detector.geometry, of_batches, watch=watch, unreadable=unreadable, features=features
    )
    # What acts on a tower that multiplies in bfloat16 does so too; towers are loaded so only where that is asked for.
    coarse = precision_of(detector) == "bfloat16"
    schedule = replace(
        usual,
        steps=settings.steps or _steps(examples, settings.epochs) or usual.steps,
        rate=usual.rate if settings.rate is None else settings.rate,
        batch_size=of_batches.batch_size,
        precision=settings.precision or ("bf16-mixed" if coarse else usual.precision),
        accumulate=settings.accumulate or usual.accumulate,
        device=settings.device,
        devices=settings.devices,
        seed=settings.seed,
    )
    return examples, schedule


def usable(method: str, card: Card, samples: Sequence[Sample], settings: TrainingSettings) -> tuple[list[Sample], int]:
    """What is learned from, and how many defects are not since nothing says where they are; raises BadInput."""
    if not card.trained:
        raise BadInput(f"{method} is not trained: `blemish recipe freeze OUT --method {method} --normal DIR`")
    made = augmentation_of(card, settings) is not None
    if settings.pool and not made:
        raise BadInput("a pool is of defects that are made: say by which --augment, or leave out --pool")
    labelled = [each for each in samples if each.label]
    wanted = settings.defects and card.labelled != "none"
    known = [each for each in labelled if not each.is_anomalous or (wanted and (each.masks or card.weak))]
    unmasked = sum(each.is_anomalous and not each.masks for each in labelled) if wanted and not card.weak else 0
    ways = "give some with masks, " + ("by --split test, " if card.auxiliary else "") + "or --augment drawn"
    if card.labelled == "required" and not made and not any(each.is_anomalous for each in known):
        raise BadInput(f"{method} learns from defects whose place is known: {ways}")
    check_fit((each.masks, each.image) for each in known)
    return known, unmasked


def augmentation_of(card: Card, settings: TrainingSettings) -> str | None:
    """What is asked for, or else what the method itself is trained with; None for no made defects. UnknownName."""
    name = settings.augmentation or card.augmentation
    return "+".join(generators(name)) if name not in ("", "none") else None


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


def claim(folder: Path, stated: Mapping[str, Any], *, resume: bool) -> None:
    """Note what a training is made of; raises BadInput for a checkpoint that is not asked for, or of something else."""
    note = folder / NOTE
    if (folder / checkpoint.NAME).exists() and not resume:
        raise BadInput(f"{folder} holds a training that was stopped: go on with --resume, or remove the folder")
    if resume and (folder / checkpoint.NAME).exists() and note.exists():
        before = read_json(note, BadInput, "remove the folder to begin anew").values
        if odd := sorted(name for name in {*before, *stated} if before.get(name) != stated.get(name)):
            raise BadInput(f"{folder} was begun with other {', '.join(odd)}: say the same again, or remove the folder")
    write_json(note, stated)


def made_of(
    method: str, detector: Detector, examples: LabelledBatches, schedule: Schedule, more: Mapping[str, Any] = NOTHING
) -> dict[str, Any]:
    """What a training that goes on must have in common with the one that was stopped, as plain JSON values."""
    encoder = cast(Encoder, cast(Any, detector).encoder)
    pictures = "\n".join(f"{each.image.name} {each.label}" for each in (*examples.good, *examples.bad))
    content = {
        "method": method,
        "encoder": encoder.sha256 or encoder.name,
        "pictures": sha256(pictures.encode()).hexdigest(),
        "augmentation": examples.settings.augmentation,
        "pool": examples.settings.pool,
        **more,
        **{name: value for name, value in asdict(schedule).items() if name not in ("device", "save_every")},
    }
    plain: dict[str, Any] = json.loads(json.dumps(content))
    return plain
