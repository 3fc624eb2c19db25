"""The command `blemish calibrate`: parts whose state is known -> thresholds, and what they promise."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from blemish.cli.console import print_table, say, show_progress
from blemish.cli.options import FILE, FOLDER, ON, PLACE, TOGETHER, hold, leave, recipe_encoders
from blemish.errors import BadInput
from blemish.notices import amount

if TYPE_CHECKING:
    from blemish.calibration.guarantees import Bound
    from blemish.calibration.thresholds import Calibration, Goal, Scheme
    from blemish.images import Unreadable
    from blemish.recipes.calibrate import HeldOutScores, HoldoutScheme
    from blemish.recipes.recipe import Recipe

GOALS = ("false_reject", "escape", "pixel", "confidence", "cost_ratio")


@dataclass
class CalibrationOptions:
    """What the thresholds are to achieve, and how parts are held out."""

    false_reject: float | None = None
    escape: float | None = None
    pixel: float | None = None
    confidence: float = 0.95
    cost_ratio: float | None = None
    scheme: Scheme | None = None
    folds: int | None = None
    seed: int = 0
    every_picture: bool = False
    device: str = "auto"

    def goal(self) -> Goal:
        """The targets."""
        from blemish.calibration.thresholds import Goal

        return Goal(self.false_reject, self.escape, self.confidence, self.cost_ratio, self.pixel)

    def way(self) -> HoldoutScheme:
        """The scheme."""
        from blemish.recipes.calibrate import HoldoutScheme

        return HoldoutScheme(self.scheme, self.folds, self.seed, self.every_picture)


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    setattr(context.ensure_object(CalibrationOptions), str(option.name), value)


_asked = functools.partial(click.option, expose_value=False, callback=_keep)


@click.command()
@click.argument("recipe", type=FILE)
@click.option("--good", multiple=True, metavar="DIR", type=PLACE, help="Good parts; repeatable.")
@click.option("--defects", type=FOLDER, metavar="DIR", help="Defective parts, a folder a type.")
@click.option("--masks", type=FOLDER, metavar="DIR", help="Of --defects, for their sizes: NAME.png or NAME_mask.png.")
@_asked("--false-reject", type=float, metavar="R", help="Reject at most this share of good parts, such as 0.02.")
@_asked("--escape", type=float, metavar="R", help="Accept at most this share of defective parts.")
@_asked("--pixel", type=float, metavar="R", help="Mark a region on at most this share of good parts.")
@_asked("--confidence", type=float, default=0.95, show_default=True, help="How sure all of that is to be.")
@_asked("--cost-ratio", type=float, metavar="R", help="An escape costs as much as R false rejects; no targets.")
@_asked("--scheme", type=click.Choice(["split", "cross"]), help="How parts are held out, see below.")
@_asked("--folds", type=click.IntRange(2), metavar="K", help="Of cross, to be quicker; every part alone if left out.")
@_asked("--seed", type=int, default=0, show_default=True, help="Which parts are in which fold.")
@_asked("--every-picture", is_flag=True, help="Count every picture as a part of its own, see below.")
@_asked("--device", default="auto", show_default=True, metavar="NAME", help=ON)
@click.option("--encoder", metavar="PATH", type=PLACE, help="Where the recipe's encoder lies, if not where it was.")
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help=TOGETHER)
@click.option("--out", type=FILE, metavar="NEW", help="Write another file instead of RECIPE.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
@click.make_pass_decorator(CalibrationOptions)
def calibrate(
    asked: CalibrationOptions,
    recipe: Path,
    good: tuple[str, ...],
    defects: Path | None,
    masks: Path | None,
    encoder: str | None,
    batch_size: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Set a recipe's thresholds by parts whose state is known, and say what they promise.

    A target left out is the strictest that the parts shown support. A target that so few parts cannot show is not
    promised: no part is rejected then, or none accepted, and it is said how many more are needed. Without --good a
    calibrated recipe gets thresholds for another goal; no picture is looked at and no score changes.

    Good parts are held out: split takes those that the recipe has not learned, and promises most. cross takes those
    that it has learned, each scored as if it had been forgotten. Without --scheme it is the one that more parts serve.

    Pictures that show the same part count once, by the worst of them: copies, and shots of it a moment or an exposure
    apart. If different parts of your product are taken for one, --every-picture counts each but for equal files;
    promises hold only if those are different parts.

    RECIPE is replaced at once and what it was kept in the folder RECIPE.history. Exit status: 0, or 3 when some
    pictures are unreadable; 1 failure, 2 wrong usage.
    """
    from blemish.calibration.thresholds import with_goal
    from blemish.recipes import calibrate as calibrating
    from blemish.recipes import recipe as recipes

    goal, way = asked.goal(), asked.way()
    _refuse_useless(good, defects, masks, encoder, way, goal)
    if out and out.exists():
        raise BadInput(f"{out} exists: name another file")
    hold(out or recipe)
    old, unreadable = _load(recipe), list["Unreadable"]()
    found = calibrating.HeldOutScores("split", (), ())
    if good:
        kinds, shown = _pictures(good, defects, masks)
        found = _judged(old, kinds, shown, (encoder, asked.device), batch_size, unreadable, way)
        calibration = calibrating.calibration_of(found, goal)
    elif old.calibration:
        calibration = with_goal(old.calibration, goal)
    else:
        raise BadInput(f"{recipe} is not calibrated: give good parts by --good")
    new = calibrating.with_calibration(old, calibration)
    recipes.save(new, out or recipe, old=recipe)
    (_print_json if as_json else _print)(new, calibration, out or recipe, found)
    leave(unreadable, len(found.parts), "")


def _refuse_useless(
    good: tuple[str, ...],
    defects: Path | None,
    masks: Path | None,
    encoder: str | None,
    way: HoldoutScheme,
    goal: Goal,
) -> None:
    from blemish.calibration.thresholds import require_goal
    from blemish.recipes.calibrate import HoldoutScheme

    context = click.get_current_context()
    aims = any(context.get_parameter_source(name) is not ParameterSource.DEFAULT for name in GOALS)
    if not good and (defects or encoder or way != HoldoutScheme()):
        raise click.UsageError("--defects, --scheme, --folds, --seed, --every-picture and --encoder go with --good")
    if way.folds and way.scheme == "split":
        raise click.UsageError("--folds goes with --scheme cross")
    if masks and not defects:
        raise click.UsageError("--masks goes with --defects")
    if not good and not aims:
        raise click.UsageError("say --good, or for a calibrated recipe another goal, such as --false-reject 0.02")
    if good:
        require_goal(goal, defects=defects is not None)


def _pictures(
    good: tuple[str, ...], defects: Path | None, masks: Path | None
) -> tuple[dict[Path, str], dict[Path, Path]]:
    """What each picture shows, and the masks there are."""
    from blemish.images import find
    from blemish.recipes.calibrate import defects_in, masks_in
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
            say(f"note: {masks} has no mask for {', '.join(missing)}: their sizes are unknown", err=True)
    return kinds | types, shown


def _load(path: Path) -> Recipe:
    from blemish.recipes.recipe import load, require_finder

    found = load(path)
    require_finder(found.method, found.source)
    return found


def _judged(
    old: Recipe,
    kinds: Mapping[Path, str],
    masks: Mapping[Path, Path],
    place: tuple[str | None, str],
    batch_size: int,
    unreadable: list[Unreadable],
    way: HoldoutScheme,
) -> HeldOutScores:
    from blemish.recipes.calibrate import held_out_scores
    from blemish.recipes.reading import Reading

    with show_progress() as watch:
        reading = Reading(batch_size, watch, unreadable)
        if old.deployed:
            from blemish.runtime.running import graph_detector

            graph = graph_detector(old)
            found = held_out_scores(old, None, kinds, masks=masks, way=way, reading=reading, graph=graph)
        else:
            found = held_out_scores(old, recipe_encoders(old, *place), kinds, masks=masks, way=way, reading=reading)
    if found.unused:
        names = ", ".join(map(str, found.unused))
        why = "of parts that taught the recipe" if found.scheme == "split" else "that the recipe could not forget"
        say(f"note: left out: {amount(len(found.unused), 'picture')} {why} ({names})", err=True)
    return found


def _print_json(new: Recipe, calibration: Calibration, path: Path, found: HeldOutScores) -> None:
    from blemish.calibration import guarantees
    from blemish.recipes import calibrate as calibrating

    about = {"file": str(path), "recipe": new.hash, "calibration": calibration.as_json()}
    say(json.dumps(about | guarantees.as_json(calibration) | calibrating.as_json(found)))


def _print(new: Recipe, calibration: Calibration, path: Path, found: HeldOutScores) -> None:
    from blemish.calibration import guarantees

    for sentence in guarantees.statement(calibration):
        say(sentence)
    thresholds = [("accept below", calibration.accept), ("reject from", calibration.reject)]
    thresholds += [("a pixel is of a defect from", calibration.pixel)] if calibration.pixel is not None else []
    print_table(("", path.name), [(name, f"{value:.6g}") for name, value in thresholds])
    _print_escapes("type", guarantees.escapes_by_type(calibration))
    _print_escapes("size", guarantees.escapes_by_size(calibration))
    once = [(part.kind, ", ".join(map(str, part.pictures))) for part in found.parts if len(part.pictures) > 1]
    if once:
        print_table(("counted once", "pictures of one part"), once)
    for name, more in guarantees.missing_parts(calibration).items():
        say(f"needed: {amount(more, f'more {name} part')}")
    for name, more in guarantees.missing_parts_by_type(calibration).items():
        say(f"needed: {amount(more, 'more part')} with {name}, for that type alone")
    say(f"{path}: {new.hash}")


def _print_escapes(what: str, found: Mapping[str, Bound]) -> None:
    from blemish.calibration.guarantees import at_most

    rows = [
        (name, str(each.total), str(each.cases), "" if each.highest is None else at_most(each.highest))
        for name, each in found.items()
    ]
    if rows:
        print_table((what, "defective parts", "accepted", "of later ones at most"), rows)
