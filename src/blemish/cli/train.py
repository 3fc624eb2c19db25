"""The commands that train: `blemish train`, `blemish pretrain` and `blemish guide`."""

from __future__ import annotations

import math
import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click

from blemish.cli.console import say, show_progress
from blemish.cli.options import FILE, METHOD, NEW_FOLDER, PLACE, arguments_of, device_option, hold, hold_new
from blemish.cli.tracking import log_option, log_progress
from blemish.notices import amount

if TYPE_CHECKING:
    from blemish.pretrain.pipeline import Pictures
    from blemish.recipes.recipe import Recipe
    from blemish.recipes.train import Training
    from blemish.tracking import Tracker
    from blemish.training.schedule import Schedule

T = TypeVar("T", "Pictures", "Schedule")
SEVERAL = "How many devices of one kind train together, each with batches of its own."
MINUTES = click.FloatRange(0)
devices_option = click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help=SEVERAL)


def _strided(context: click.Context, option: click.Parameter, side: int | None) -> int | None:
    if side is not None and side % 32:
        raise click.BadParameter(f"{side} is not a multiple of 32")
    return side


def _timed(context: click.Context, option: click.Parameter, minutes: float | None) -> float | None:
    if minutes is not None and math.isnan(minutes):
        raise click.BadParameter("nan is no number")
    return minutes


def _load(context: click.Context, option: click.Parameter, path: Path | None) -> Recipe | None:
    from blemish.recipes.recipe import load

    return load(path) if path else None


@click.command()
@click.argument("method", type=METHOD)
@click.argument("roots", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The recipe to write.")
@click.option("--normal", is_flag=True, help="ROOTS are pictures of good parts, or folders of them.")
@click.option("--layout", metavar="NAME", help="See `blemish list layouts`; detected if left out.")
@click.option("--category", metavar="NAME", help="One object of the data set; all if left out.")
@click.option("--split", metavar="NAME", default="train", show_default=True, help="Or test, or all: see below.")
@click.option("--examples", multiple=True, type=FILE, metavar="DIR", help="Defects to learn from, a folder a type.")
@click.option(
    "--defects",
    type=click.Choice(["use", "ignore"]),
    default="use",
    show_default=True,
    help="Whether to learn from labelled defects.",
)
@click.option("--keep-back", type=click.IntRange(1), help="Good parts not to learn from: `calibrate` needs some.")
@click.option("--augment", metavar="NAME", help="Make defects on good parts: perlin, draem+nsa (either), none, ...")
@click.option("--pool", type=click.IntRange(1), help="Make that many defects, not new ones for every batch.")
@click.option("--cache", type=NEW_FOLDER, help="Keep what a frozen encoder sees here, for this training and others.")
@click.option(
    "--from", "start", type=FILE, metavar="RECIPE", callback=_load, help="Begin with the weights of this one."
)
@click.option("--encoder", metavar="NAME|PATH", help="See `blemish list encoders`; or a file of weights.")
@click.option("--product", help="The part's name, for methods that read words; that of --from, or object.")
@click.option("--set", "arguments", multiple=True, metavar="NAME=VALUE", help="An argument of the method.")
@click.option("--steps", type=click.IntRange(1), help="Updates; by the method's paper.")
@click.option("--epochs", type=click.IntRange(1), help="How often each good part is seen, instead of --steps.")
@click.option("--rate", type=float, help="Learning rate, at most 1; by the method's paper.")
@click.option("--batch-size", type=click.IntRange(1), help="Pictures of an update; by the method's paper.")
@click.option("--accumulate", type=click.IntRange(1), help="Batches of an update; 1 if left out.")
@click.option(
    "--precision",
    type=click.Choice(["32-true", "bf16-mixed", "16-mixed"]),
    help="The number format of training; by the recipe of --from, or 32-true.",
)
@device_option
@devices_option
@click.option("--minutes", type=MINUTES, callback=_timed, help="Stop after this time; go on with --resume.")
@click.option("--resume", is_flag=True, help="Go on with a training that was stopped.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of everything random; the same gives the same recipe.",
)
@log_option
def train(
    method: str,
    roots: tuple[Path, ...],
    out: Path,
    normal: bool,
    layout: str | None,
    category: str | None,
    split: str,
    examples: tuple[Path, ...],
    defects: str,
    keep_back: int | None,
    augment: str | None,
    pool: int | None,
    cache: Path | None,
    start: Recipe | None,
    encoder: str | None,
    product: str | None,
    arguments: tuple[str, ...],
    steps: int | None,
    epochs: int | None,
    rate: float | None,
    batch_size: int | None,
    accumulate: int | None,
    precision: str | None,
    device: str,
    devices: int,
    minutes: float | None,
    resume: bool,
    seed: int,
) -> None:
    """Train METHOD by gradients on the training split of labelled data sets, and write the recipe of its last weights.

    METHOD may be your own, FILE.py:Class; other commands take its recipes after `blemish --own FILE.py`. One that is
    trained on other products may learn from their test splits, where public data sets have defects: --split test, or
    all. For any other, test pictures are never looked at, and in a plain folder all defects are test pictures: show
    those that are to teach by --examples, with masks beside them where you have them, or give a table with a column
    split. A folder beside --out keeps what is needed to go on, once a minute at the least.
    """
    from blemish.recipes.fit import TrainingSettings
    from blemish.recipes.train import Training, find_examples

    _check(out, steps and epochs, normal and split != "train")
    settings = TrainingSettings(
        product, arguments_of(arguments), defects == "use", augment, steps, epochs, rate, batch_size,
        precision, accumulate, _device(device, devices), devices, seed, cache, pool, start,
    )  # fmt: skip
    sets = find_examples(method, roots, normal=normal, layout=layout, category=category, split=split,
                         examples=examples, keep_back=keep_back or 0, seed=seed)  # fmt: skip
    with log_progress(f"train {method}") as (watch, tracker):
        _run(Training(method, encoder, sets, settings, watch=watch), out, minutes, tracker, resume=resume)


def _check(out: Path, steps_twice: object, split_of_good: object) -> None:
    if steps_twice:
        raise click.UsageError("--steps and --epochs say the same thing: give one of them")
    if split_of_good:
        raise click.UsageError("--normal says that all pictures are of good parts: leave out --split")
    if _is_first():
        hold_new(out, ", or train on what it learned by --from")


def _run(training: Training, out: Path, minutes: float | None, tracker: Tracker, *, resume: bool) -> None:
    """Train, and write the recipe where there was time for all of it."""
    from blemish.recipes.recipe import save
    from blemish.training import checkpoint

    _say_what_is_learned_from(training)
    about = {"method": training.method, "data": ", ".join(training.sets), **training.arguments}
    tracker.describe(about | {f"schedule/{name}": value for name, value in asdict(training.schedule).items()})
    folder = out.with_name(f"{out.name}.training")
    if resume and not (folder / checkpoint.NAME).exists():
        say(f"{folder} holds no training to go on with: it begins anew", err=True)
    with Stop(minutes) as stop:
        recipe = training.run(folder, resume=resume, stop=stop)
    if not _is_first():
        return
    if recipe is None:
        say(f"stopped early; the same command with --resume goes on from {folder}")
        return stop.leave()
    save(recipe, out, old=training.start.source if training.start else None)
    tracker.describe({"recipe": recipe.hash})
    shutil.rmtree(folder)
    say(f"{out}: {recipe.hash[:12]}, {training.method} trained for {amount(training.schedule.steps, 'step')}")


def _say_what_is_learned_from(training: Training) -> None:
    if not _is_first():
        return
    for bad in training.unreadable:
        say(f"not learned from: {bad.reason}", err=True)
    if training.unmasked:
        say(f"not learned from: {amount(training.unmasked, 'defect')} without a mask", err=True)
    good, bad_parts = len(training.examples.good), len(training.examples.bad)
    rounded = "" if training.schedule.precision == "32-true" else f", in {training.schedule.precision}"
    say(f"learning from {amount(good, 'good part')} and {bad_parts} with defects{rounded}", err=True)


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The checkpoint to write.")
@click.option("--work", type=NEW_FOLDER, default="blemish-pretrain", show_default=True, help="What is made on the way.")
@click.option("--good", multiple=True, metavar="PRODUCT=DIR", help="Good parts of a product of yours; repeatable.")
@click.option("--photos", multiple=True, metavar="DIR", help="Pictures of anything, for teachers; repeatable.")
@click.option("--teacher", "teachers", multiple=True, metavar="NAME|PATH", help="An encoder to learn from; repeatable.")
@click.option("--start", metavar="NAME|PATH", help="Go on from this model (embedded, or a checkpoint of this command).")
@click.option(
    "--preset",
    type=click.Choice(["cpu", "gpu"]),
    default="cpu",
    show_default=True,
    help="The size of everything, by the machine.",
)
@click.option("--specimens", type=click.IntRange(0), help="Drawn parts with and without a flaw; by the preset.")
@click.option("--steps", type=click.IntRange(1), help="Updates; by the preset.")
@click.option("--minutes", type=MINUTES, callback=_timed, help="Stop after this time; run again to go on.")
@click.option("--side", type=click.IntRange(64), callback=_strided, help="Pixels, a multiple of 32; by the preset.")
@click.option("--rate", type=float, help="Learning rate, at most 1; by the preset.")
@click.option("--aim", "aims", multiple=True, metavar="NAME=WEIGHT", help="distillation, patches, types, whole, ...")
@click.option(
    "--precision", type=click.Choice(["32-true", "bf16-mixed"]), help="The number format of training; by the preset."
)
@device_option
@devices_option
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of everything random; the same gives the same weights."
)
def pretrain(
    out: Path,
    work: Path,
    good: tuple[str, ...],
    photos: tuple[str, ...],
    teachers: tuple[str, ...],
    start: str | None,
    preset: str,
    specimens: int | None,
    steps: int | None,
    minutes: float | None,
    side: int | None,
    rate: float | None,
    aims: tuple[str, ...],
    precision: str | None,
    device: str,
    devices: int,
    seed: int,
) -> None:
    """Train a backbone that knows words, on drawn parts and on pictures of your own.

    Everything is kept in --work: stop it with Ctrl-C or --minutes, and run the same command to go on. The checkpoint is
    an encoder: `blemish inspect --encoder OUT`. Without --teacher nothing is distilled.
    """
    from blemish import encoders
    from blemish.pretrain import pipeline
    from blemish.pretrain.loop import write
    from blemish.training.fabric import require_fabric

    require_fabric()
    kind = _device(device, devices)
    _claim(out, work)
    usual, parts = pipeline.PRESETS[preset], _pairs(good, "--good", "PRODUCT=DIR")
    asked_for = {"specimens": specimens, "side": side, "photos": photos, "seed": seed, "parts": parts}
    pictures = override(usual.pictures, asked_for)
    speed = {"steps": steps, "rate": rate, "precision": precision, "device": kind, "devices": devices, "seed": seed}
    schedule = override(usual.schedule, speed)
    weights = pipeline.weights_of(_pairs(aims, "--aim", "NAME=WEIGHT"))
    asked = [encoders.load(name, precision="float32") for name in teachers]
    beginning = pipeline.trainable(encoders.load(start, precision="float32")) if start else None
    with show_progress() as watch:
        stores, lessons = pipeline.lessons_of(pictures, asked, work, watch)
        student = pipeline.initial_student(usual.config, pipeline.words_of(stores), beginning, seed)
        with Stop(minutes) as stop:
            student, done = pipeline.pretrain(
                stores, lessons, student, schedule, usual.mixture, weights, work / "run",
                watch=watch, stop=stop, goes_on=bool(start),
            )  # fmt: skip
    write(student, out)
    _say_how_it_ended(out, stop, done=done)


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=PLACE, metavar="PICTURES...")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The checkpoint to write.")
@click.option("--work", type=NEW_FOLDER, default="blemish-guide", show_default=True, help="What is made on the way.")
@click.option("--guide", "named", metavar="NAME|PATH", default="embedded", show_default=True, help="A frozen encoder.")
@click.option("--steps", type=click.IntRange(1), default=10_000, show_default=True, help="Updates.")
@click.option("--batch-size", type=click.IntRange(2), default=64, show_default=True, help="Pictures of an update.")
@click.option("--minutes", type=MINUTES, callback=_timed, help="Stop after this time; run again to go on.")
@click.option("--side", type=click.IntRange(64), default=224, show_default=True, help="Pixels of a crop.")
@click.option("--rate", type=float, default=1e-3, show_default=True, help="Learning rate, at most 1.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
@device_option
def guide(
    pictures: tuple[str, ...],
    out: Path,
    work: Path,
    named: str,
    steps: int,
    batch_size: int,
    minutes: float | None,
    side: int,
    rate: float,
    seed: int,
    device: str,
) -> None:
    """Train a small residual network on pictures without labels, guided by an encoder (CVGSSL).

    Everything is kept in --work: stop it with Ctrl-C or --minutes, and run the same command to go on. The checkpoint is
    an encoder, which few examples of each type then teach: `blemish evaluate --task types --encoder OUT`.
    """
    from blemish import encoders
    from blemish.images import find
    from blemish.pretrain.guided import pretrain_by_guide, write_residual
    from blemish.training.fabric import require_fabric
    from blemish.training.schedule import Schedule

    require_fabric()
    paths, encoder = find(pictures), encoders.load(named, precision="float32")
    schedule = Schedule(
        steps=steps, rate=rate, batch_size=batch_size, warmup=steps // 30, seed=seed, device=_device(device, 1)
    )
    _claim(out, work)
    with show_progress() as watch, Stop(minutes) as stop:
        network, done = pretrain_by_guide(paths, encoder, schedule, work / "run", side=side, watch=watch, stop=stop)
    write_residual(network, out)
    _say_how_it_ended(out, stop, done=done)


def _say_how_it_ended(out: Path, stop: Stop, *, done: bool) -> None:
    if _is_first():
        say(f"{'finished' if done else 'stopped early, the same command goes on'}: {out}")
        stop.leave()


def _device(name: str, count: int) -> str:
    from blemish.devices import device_of_name

    found = device_of_name(name)
    if count > 1 and found.index is not None:
        raise click.UsageError(f"--device {name} is one device: leave out its number, or --devices")
    return str(found)


def _claim(out: Path, work: Path) -> None:
    """Nobody else writes there."""
    from blemish.files import alone_in

    if _is_first():
        hold(out)
        click.get_current_context().with_resource(alone_in(work))


def _is_first() -> bool:
    """Whether this is the process that writes and speaks: of several devices each has one, started by the first."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


class Stop:
    """Whether to stop after the present step: out of time, or told by Ctrl-C or SIGTERM; a second one ends at once."""

    def __init__(self, minutes: float | None) -> None:
        self.until = math.inf if minutes is None else time.time() + 60 * minutes
        self.signal = 0
        self.before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Asked before each step."""
        return self.signal != 0 or time.time() > self.until

    def __enter__(self) -> Self:
        for each in (signal.SIGINT, signal.SIGTERM):
            self.before[each] = signal.signal(each, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self.before.items():
            signal.signal(each, handler)

    def leave(self) -> None:
        """End as what a signal has ended, if one has."""
        if self.signal:
            raise SystemExit(128 + self.signal)

    def _take(self, number: int, frame: object) -> None:
        self.signal = number
        signal.signal(number, self.before[number])


def override(defaults: T, given: Mapping[str, Any]) -> T:
    """The defaults with what was given; None means the default."""
    return replace(defaults, **{name: value for name, value in given.items() if value is not None})


def _pairs(texts: tuple[str, ...], option: str, form: str) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition("=") for text in texts]
    if bad := [name + equals + value for name, equals, value in pairs if not (name and equals and value)]:
        raise click.UsageError(f"{option} {bad[0]}: write {form}")
    return tuple((name, value) for name, _, value in pairs)
