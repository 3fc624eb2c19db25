"""The command `blemish calibrate`: held-out parts -> thresholds, and what they promise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from blemish.errors import BadInput
from blemish.options import leave, print_table, watching

if TYPE_CHECKING:
    from blemish.calibration import Calibration
    from blemish.holding_out import HeldOut
    from blemish.inspection import Unreadable
    from blemish.promises import Promise
    from blemish.recipe import Recipe

FILE = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
GOALS = ("false_reject", "escape", "pixel", "confidence", "cost_ratio")


@click.command()
@click.argument("recipe", type=FILE)
@click.option("--good", multiple=True, metavar="DIR", help="Good parts that did not teach the recipe; repeatable.")
@click.option("--defects", type=FOLDER, metavar="DIR", help="Defective parts, a folder a type.")
@click.option("--masks", type=FOLDER, metavar="DIR", help="Of --defects, for their sizes: NAME.png or NAME_mask.png.")
@click.option("--every-picture", is_flag=True, help="Count every picture as a part of its own, see below.")
@click.option("--false-reject", type=float, metavar="R", help="Reject at most this share of good parts, such as 0.02.")
@click.option("--escape", type=float, metavar="R", help="Accept at most this share of defective parts.")
@click.option("--pixel", type=float, metavar="R", help="Mark a region on at most this share of good parts.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="How sure all of that is to be.")
@click.option("--cost-ratio", type=float, metavar="R", help="An escape costs as much as R false rejects; no targets.")
@click.option("--encoder", metavar="PATH", help="Where the recipe's encoder lies, if not where it was.")
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True)
@click.option("--out", type=FILE, metavar="NEW", help="Write another file instead of RECIPE.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def calibrate(
    recipe: Path,
    good: tuple[str, ...],
    defects: Path | None,
    masks: Path | None,
    every_picture: bool,
    false_reject: float | None,
    escape: float | None,
    pixel: float | None,
    confidence: float,
    cost_ratio: float | None,
    encoder: str | None,
    batch_size: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Set a recipe's thresholds by parts that it has not learned from, and say what they promise.

    A target left out is the strictest that the parts shown support. A target that so few parts cannot show is not
    promised: no part is rejected then, or none accepted, and it is said how many more are needed. Without --good a
    calibrated recipe gets thresholds for another goal; no picture is looked at and no score changes.

    Pictures that show the same part count once: copies, and shots of it a moment or an exposure apart. Pictures that
    taught the recipe, and others of the same part, are not used. If different parts of your product are taken for one,
    --every-picture counts each but for equal files; promises hold only if those are different parts.

    RECIPE is replaced at once and what it was kept in the folder RECIPE.history. Exit status: 0, or 3 when some
    pictures are unreadable; 1 failure, 2 wrong usage.
    """
    from blemish import holding_out
    from blemish import recipe as recipes
    from blemish.calibration import Goal, changed

    _refuse_nothing_to_do(good, defects, masks, encoder, every_picture=every_picture)
    if out and out.exists():
        raise BadInput(f"{out} exists: name another file")
    old, goal = recipes.load(recipe), Goal(false_reject, escape, confidence, cost_ratio, pixel)
    found, unreadable = holding_out.HeldOut([], []), list["Unreadable"]()
    if good:
        kinds, shown = _pictures(good, defects, masks)
        found = _held_out(old, kinds, shown, encoder, batch_size, unreadable, every_picture=every_picture)
        calibration = holding_out.calibration_of(found, goal)
    elif old.calibration:
        calibration = changed(old.calibration, goal)
    else:
        raise BadInput(f"{recipe} is not calibrated: give good parts that it has not learned from by --good")
    new = holding_out.with_calibration(old, calibration)
    recipes.save(new, out or recipe, old=recipe)
    (_print_json if as_json else _print)(new, calibration, out or recipe, found)
    leave(unreadable, len(found.parts), "")


def _refuse_nothing_to_do(
    good: tuple[str, ...], defects: Path | None, masks: Path | None, encoder: str | None, *, every_picture: bool
) -> None:
    context = click.get_current_context()
    aims = any(context.get_parameter_source(name) is not ParameterSource.DEFAULT for name in GOALS)
    if not good and (defects or encoder or every_picture):
        raise click.UsageError("--defects, --encoder and --every-picture go with --good")
    if masks and not defects:
        raise click.UsageError("--masks goes with --defects")
    if not good and not aims:
        raise click.UsageError("say --good, or for a calibrated recipe another goal, such as --false-reject 0.02")


def _pictures(
    good: tuple[str, ...], defects: Path | None, masks: Path | None
) -> tuple[dict[Path, str], dict[Path, Path]]:
    """What each picture shows, and the masks there are."""
    from blemish.holding_out import defects_in, masks_in
    from blemish.images import find
    from blemish.types import GOOD

    kinds, shown = dict.fromkeys(find(good), GOOD), dict[Path, Path]()
    if defects is None:
        return kinds, shown
    types = defects_in(defects, masks=masks)
    if both := sorted(kinds.keys() & types):
        raise BadInput(f"{both[0]} is given as good and as defective: leave it out of one")
    if masks:
        shown = masks_in(masks, list(types), defects)
        if missing := [path.name for path in types if path not in shown]:
            click.echo(f"note: {masks} has no mask for {', '.join(missing)}: their sizes are unknown", err=True)
    return kinds | types, shown


def _held_out(
    old: Recipe,
    kinds: Mapping[Path, str],
    masks: Mapping[Path, Path],
    encoder: str | None,
    batch_size: int,
    unreadable: list[Unreadable],
    *,
    every_picture: bool,
) -> HeldOut:
    from blemish import recipe as recipes
    from blemish.holding_out import held_out
    from blemish.teaching import Reading

    detector = recipes.detector(old, encoder)
    with watching() as watch:
        reading = Reading(batch_size, watch, unreadable)
        found = held_out(old, detector, kinds, masks=masks, every_picture=every_picture, reading=reading)
    if found.taught:
        names = ", ".join(path.name for path in found.taught)
        click.echo(
            f"note: {len(found.taught)} pictures of parts that taught the recipe are not used: {names}", err=True
        )
    return found


def _print_json(new: Recipe, calibration: Calibration, path: Path, found: HeldOut) -> None:
    from blemish import holding_out, promises

    about = {"file": str(path), "recipe": new.hash, "calibration": calibration.as_json()}
    click.echo(json.dumps(about | promises.as_json(calibration) | holding_out.as_json(found)))


def _print(new: Recipe, calibration: Calibration, path: Path, found: HeldOut) -> None:
    from blemish import promises

    for sentence in promises.statement(calibration):
        click.echo(sentence)
    thresholds = [("accept below", calibration.accept), ("reject from", calibration.reject)]
    thresholds += [("a pixel is of a defect from", calibration.pixel)] if calibration.pixel is not None else []
    print_table(("", path.name), [(name, f"{value:.6g}") for name, value in thresholds])
    _print_escapes("type", promises.escapes_by_type(calibration))
    _print_escapes("size", promises.escapes_by_size(calibration))
    once = [(part.kind, ", ".join(map(str, part.pictures))) for part in found.parts if len(part.pictures) > 1]
    if once:
        print_table(("counted once", "pictures of one part"), once)
    for name, more in promises.missing(calibration).items():
        click.echo(f"needed: {more} more {_parts_of(name)}")
    click.echo(f"{path}: {new.hash}")


def _parts_of(name: str) -> str:
    return f"{name} parts" if name in ("good", "defective") else f"parts with {name}, for that type alone"


def _print_escapes(what: str, found: Mapping[str, Promise]) -> None:
    from blemish.promises import percent

    rows = [
        (name, str(each.total), str(each.cases), "" if each.highest is None else percent(each.highest))
        for name, each in found.items()
    ]
    if rows:
        print_table((what, "defective parts", "accepted", "of later ones at most"), rows)
