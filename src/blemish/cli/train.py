"""The commands that train and draw: `blemish pretrain` and `blemish synth`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from blemish.pretrain.loop import Schedule
    from blemish.pretrain.pipeline import Pictures

T = TypeVar("T", "Pictures", "Schedule")
FOLDER = click.Path(path_type=Path, file_okay=False)


def _strided(context: click.Context, option: click.Parameter, side: int | None) -> int | None:
    if side is not None and side % 32:
        raise click.BadParameter(f"{side} is not a multiple of 32")
    return side


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The checkpoint to write.")
@click.option("--work", type=FOLDER, default="blemish-pretrain", show_default=True, help="What is made on the way.")
@click.option("--good", multiple=True, metavar="PRODUCT=DIR", help="Good parts of a product of yours; repeatable.")
@click.option("--photos", multiple=True, metavar="DIR", help="Pictures of anything, for teachers; repeatable.")
@click.option("--teacher", "teachers", multiple=True, metavar="NAME|PATH", help="An encoder to learn from; repeatable.")
@click.option("--start", metavar="NAME|PATH", help="Go on from this model (embedded, or a checkpoint of this command).")
@click.option("--preset", type=click.Choice(["cpu", "gpu"]), default="cpu", show_default=True)
@click.option("--specimens", type=click.IntRange(0), help="Drawn parts with and without a flaw; by the preset.")
@click.option("--steps", type=click.IntRange(1), help="Updates; by the preset.")
@click.option("--minutes", type=float, help="Stop after this time; run again to go on.")
@click.option("--side", type=click.IntRange(64), callback=_strided, help="Pixels, a multiple of 32; by the preset.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Learning rate; by the preset.")
@click.option("--aim", "aims", multiple=True, metavar="NAME=WEIGHT", help="distillation, patches, types, whole, ...")
@click.option("--precision", type=click.Choice(["32-true", "bf16-mixed"]), help="Of products; by the preset.")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
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
    devices: int,
    seed: int,
) -> None:
    """Train a backbone that knows words, on drawn parts and on pictures of your own.

    Everything is kept in --work: stop it with Ctrl-C or --minutes, and run the same command to go on. The checkpoint is
    an encoder: `blemish inspect --encoder OUT`. Without --teacher nothing is distilled.
    """
    from blemish import encoders
    from blemish.pretrain import pipeline
    from blemish.pretrain.loop import require_fabric, write

    require_fabric()
    usual = pipeline.PRESETS[preset]
    parts = _pairs(good, "--good", "PRODUCT=DIR")
    asked_for = {"specimens": specimens, "side": side, "photos": photos, "seed": seed, "parts": parts}
    pictures = changed(usual.pictures, asked_for)
    speed = {"steps": steps, "rate": rate, "precision": precision, "devices": devices, "seed": seed}
    plan = changed(usual.plan, speed)
    weights = pipeline.weights_of(_pairs(aims, "--aim", "NAME=WEIGHT"))
    asked = [encoders.load(name, precision="float32") for name in teachers]
    beginning = pipeline.trainable(encoders.load(start, precision="float32")) if start else None
    stores = pipeline.gathered(pictures, work, watch)
    look, lessons = pipeline.lessons_of(asked, pictures.side)
    pipeline.taught(stores, look, lessons, work, watch)
    student = pipeline.beginning(usual.config, pipeline.words_of(stores), beginning, seed)
    until = time.time() + 60 * minutes if minutes is not None else float("inf")
    run, tell, goes_on = work / "run", Teller(plan.steps), beginning is not None
    student, done = pipeline.pretrain(
        stores, lessons, student, plan, weights, run, tell=tell, until=until, goes_on=goes_on
    )
    write(student, out)
    click.echo(f"{'finished' if done else 'stopped early, the same command goes on'}: {out}")


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default="specimens.png", show_default=True)
@click.option("--count", type=click.IntRange(1, 400), default=24, show_default=True, help="Specimens on the sheet.")
@click.option("--side", type=click.IntRange(32, 1024), default=160, show_default=True, help="Pixels of a specimen.")
@click.option("--flaw", metavar="FAMILY", help="One family of flaws, such as scratch.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="Number of the first specimen.")
@click.option("--seed", type=int, default=0, show_default=True)
def synth(out: Path, count: int, side: int, flaw: str | None, first: int, seed: int) -> None:
    """Draw a contact sheet of specimens: good, flawed, and the flaw outlined; their names are printed."""
    import torch

    from blemish.images import save_picture
    from blemish.synth.drawn.sheets import sheet
    from blemish.synth.drawn.specimens import specimen

    begun = time.time()
    drawn = [specimen(seed, number, side, family=flaw) for number in range(first, first + count)]
    pace = count / (time.time() - begun)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_picture(out, torch.from_numpy(sheet(drawn)).permute(2, 0, 1))
    for number, each in enumerate(drawn, start=first):
        click.echo(f"{number}: {each.product[0]}, {each.family}")
    click.echo(f"{out}: {count} specimens, {pace:.1f} a second on one core")


def changed(defaults: T, given: Mapping[str, Any]) -> T:
    """The defaults with what was given; None means the default."""
    return replace(defaults, **{name: value for name, value in given.items() if value is not None})


def _pairs(texts: tuple[str, ...], option: str, form: str) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition("=") for text in texts]
    if bad := [name + equals + value for name, equals, value in pairs if not (name and equals and value)]:
        raise click.UsageError(f"{option} {bad[0]}: write {form}")
    return tuple((name, value) for name, _, value in pairs)


def watch(stage: str, total: int) -> Callable[[], None]:
    """A line on stderr every few seconds, with an estimate where the total is known."""
    begun = last = time.time()
    done = 0

    def advance() -> None:
        nonlocal done, last
        done += 1
        if done != total and time.time() - last < 5:
            return
        last = time.time()
        left = f" of {total}, {(last - begun) / done * (total - done):.0f} s left" if total else ""
        click.echo(f"{stage}: {done}{left}", err=True)

    return advance


class Teller:
    """The mean losses since the last line, every few seconds, with an estimate."""

    def __init__(self, steps: int) -> None:
        self.steps, self.begun, self.told = steps, time.time(), time.time()
        self.first = self.count = 0
        self.sums: dict[str, float] = {}

    def __call__(self, step: int, losses: dict[str, float]) -> None:
        """Take the losses of a step that is done."""
        self.first = self.first or step
        self.count += 1
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss
        if step != self.steps and time.time() - self.told < 15:
            return
        pace = (time.time() - self.begun) / (step - self.first + 1)
        shown = ", ".join(f"{name} {total / self.count:.3f}" for name, total in self.sums.items())
        click.echo(f"step {step} of {self.steps}: {shown}; {pace * (self.steps - step) / 60:.0f} min left", err=True)
        self.told, self.count, self.sums = time.time(), 0, {}
