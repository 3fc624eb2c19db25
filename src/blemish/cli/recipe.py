"""The commands about recipes: `blemish recipe show | diff | freeze` and `blemish teach`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from blemish.cli.console import print_table, say, show_progress
from blemish.cli.options import (
    FILE,
    FOLDER,
    PLACE,
    TOGETHER,
    DetectorOptions,
    add_detector_options,
    choose_detector,
    defects_option,
    device_option,
    hold,
    hold_new,
    leave,
    recipe_encoders,
    region_options,
    settle_view,
)
from blemish.errors import BadInput

if TYPE_CHECKING:
    from blemish.images import Unreadable
    from blemish.recipes.reading import Reading
    from blemish.recipes.recipe import Recipe
    from blemish.types import Encoder

BUDGET = click.option("--budget", type=float, metavar="MIB", help="Memory for what good parts teach, see below.")


@click.group()
def recipe() -> None:
    """Freeze a detector with all it has learned in one file, look into it, compare two."""


@recipe.command()
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print everything but the tensors' values as one JSON object.")
def show(file: Path, as_json: bool) -> None:
    """Say what a recipe is made of, and which pictures taught it."""
    from blemish.recipes import describe
    from blemish.recipes.recipe import load

    found = load(file)
    if as_json:
        say(json.dumps(describe.to_json(found)))
        return
    print_table(("", file.name), describe.summary(found))
    print_table(("id", "taught as", "picture"), [(each.id, each.kind, each.name) for each in found.taught])


@recipe.command()
@click.argument("one", type=FILE)
@click.argument("other", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of [what, one, other].")
def diff(one: Path, other: Path, as_json: bool) -> None:
    """Say in what two recipes differ. Exit status as for diff: 0 they are the same, 1 they differ."""
    from blemish.recipes import describe
    from blemish.recipes.recipe import load

    found = describe.differences(load(one), load(other))
    if as_json:
        say(json.dumps(found))
    elif found:
        print_table(("", one.name, other.name), found)
    raise SystemExit(1 if found else 0)


@recipe.command()
@click.argument("out", type=FILE)
@click.option(
    "--normal", multiple=True, metavar="DIR", type=PLACE, help="Good parts: folder, file or glob; repeatable."
)
@click.option("--product", help="What the part is, in words, for a method or names of defects.  [default: object]")
@region_options
@click.option("--weights", type=FILE, metavar="FILE", help="What a trained method's authors publish, see below.")
@defects_option
@BUDGET
@add_detector_options
def freeze(
    chosen: DetectorOptions,
    out: Path,
    normal: tuple[str, ...],
    product: str | None,
    region: tuple[int, int, int, int] | None,
    mask: str | None,
    weights: Path | None,
    defects: str | None,
    budget: float | None,
) -> None:
    """Learn from good parts and write the recipe OUT, for `blemish inspect --recipe OUT`.

    --budget bounds the features that are kept of good parts, in MiB; without it all are that the method keeps. A method
    that is trained (april-gan, anomaly-clip, ada-clip, adapt-clip, leclip, multi-ads, mvfa) may instead take its
    authors' file of heads, prompts or adapters as --weights, with the --encoder that they used. Such a file is read as
    data, and never run.
    """
    from blemish import encoders
    from blemish.images import find
    from blemish.recipes import describe, update
    from blemish.recipes import recipe as recipes
    from blemish.recipes.reading import Reading

    hold_new(out)
    good, unreadable = find(normal) if normal else [], list["Unreadable"]()
    words = _words(chosen.method, product, defects)
    trained = weights is not None
    asked = choose_detector(
        chosen, good=bool(good), region=region, mask=mask, frozen=True, words=words, trained=trained
    )
    asked = asked._replace(arguments={**asked.arguments, **_words(asked.method, product, defects)})
    with show_progress() as watch:
        asked = settle_view(chosen, asked, good, product=product, watch=watch)
        made = update.freeze(
            asked.method,
            asked.encoder,
            good=good,
            arguments=asked.arguments,
            view=asked.view,
            budget=budget,
            reading=Reading(chosen.batch_size, watch, unreadable),
            weights=weights,
        )
        made = _with_defects(made, defects, asked.encoder, product or "object") if defects else made
    recipes.save(made, out)
    print_table(("", out.name), describe.summary(made))
    leave(unreadable, len(made.taught), encoders.note(asked.encoder))


def _words(method: str | None, product: str | None, defects: str | None) -> dict[str, str]:
    """The product for a method that reads it; of one that does not, names of defects read it, if there are any."""
    from blemish.catalog import card

    is_read = not method or "product" in card(method).words
    if product and not is_read and not defects:
        way_out = "leave out --product, or choose a --method that reads words, see `blemish list methods`"
        raise BadInput(f"{method} takes no product: {way_out}")
    return {"product": product} if product and method and is_read else {}


def _with_defects(made: Recipe, said: str, encoder: Encoder, product: str = "") -> Recipe:
    from blemish.classification.names import defect_types
    from blemish.recipes.types_taught import name_types, product_of

    types = defect_types(said, product=product or product_of(made))
    return name_types(made, types, product=product, encoder=encoder)


@click.command()
@click.argument("recipe", type=FILE)
@click.option("--good", multiple=True, metavar="DIR", type=PLACE, help="Good parts to add; repeatable.")
@click.option("--defect", nargs=2, metavar="TYPE DIR", help="Defects of that type to add.")
@click.option(
    "--masks",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Where the defects of --defect are.",
)
@click.option("--examples", type=FOLDER, metavar="DIR", help="Defects to add, a folder a type, or a data set.")
@defects_option
@click.option("--product", metavar="WORDS", help="What it is to inspect from now on, for a method that reads words.")
@click.option("--vocabulary", metavar="WORDS", help='Types of defects to look for from now on: "scratch, dent".')
@click.option("--forget", multiple=True, metavar="ID", help="A picture to take out, see `recipe show`; repeatable.")
@click.option("--undo", is_flag=True, help="Put back the exact file that this one was made from.")
@click.option("--out", type=FILE, metavar="NEW", help="Write another file instead of RECIPE.")
@click.option("--encoder", metavar="PATH", type=PLACE, help="Where the recipe's encoder lies, if not where it was.")
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help=TOGETHER)
@device_option
@BUDGET
def teach(
    recipe: Path,
    good: tuple[str, ...],
    defect: tuple[str, str] | None,
    masks: Path | None,
    examples: Path | None,
    defects: str | None,
    product: str | None,
    vocabulary: str | None,
    forget: tuple[str, ...],
    undo: bool,
    out: Path | None,
    encoder: str | None,
    batch_size: int,
    device: str,
    budget: float | None,
) -> None:
    """Teach a recipe more, or take something out, without learning the rest again.

    What is shown as a defect raises the score of what resembles it; a mask, NAME.png or NAME_mask.png in --masks, says
    where it is, or else the recipe's own highest scores do. Of two types or more regions are named by these examples,
    and one that is like none is unknown. --defects says in words what can go wrong, and what follows: in a TOML file
    the table of a type has definition, attributes, severity (accept, review or reject), accept_below_mm2 or
    accept_below_px, and products. --product asks a method that reads words about another
    product, and --vocabulary one of an open vocabulary (ov-as, ov-iad, multi-ads) about other types of defects; both
    keep what it was trained for. RECIPE is replaced at once and what it was kept in the folder RECIPE.history. A
    calibration no longer holds then and is left out.

    --budget bounds the features that are kept of good parts, in MiB: 512, or what they take already if that is more.
    """
    from blemish.recipes import recipe as recipes
    from blemish.recipes.reading import Reading

    lesson = _Lesson(good, budget, defect, masks, examples, defects, product, vocabulary, forget)
    _check_lesson(lesson, undo=undo, elsewhere=bool(out or encoder))
    if out and out.exists():
        raise BadInput(f"{out} exists: name another file")
    hold(out or recipe)
    if undo:
        say(f"{recipe} is again {recipes.undo(recipe).hash}")
        return
    old, unreadable = recipes.load(recipe), list["Unreadable"]()
    recipes.require_lessons(old)
    with show_progress() as watch:
        new = _taught(old, lesson, (encoder, device), Reading(batch_size, watch, unreadable))
    recipes.save(new, out or recipe, old=recipe)
    _tell(old, new, out or recipe)
    leave(unreadable, 1, "")


class _Lesson(NamedTuple):
    """One of what `blemish teach` can teach."""

    good: tuple[str, ...]
    budget: float | None
    defect: tuple[str, str] | None
    masks: Path | None
    examples: Path | None
    defects: str | None
    product: str | None
    vocabulary: str | None
    forget: tuple[str, ...]


def _check_lesson(lesson: _Lesson, *, undo: bool, elsewhere: bool) -> None:
    """elsewhere: whether another file, or another place of the encoder, is named."""
    kinds = ("good", "defect", "examples", "defects", "product", "vocabulary", "forget")
    if sum(bool(getattr(lesson, kind)) for kind in kinds) + undo != 1:
        raise click.UsageError(f"say one of {', '.join(f'--{kind}' for kind in kinds)} and --undo")
    if lesson.masks and lesson.examples:
        found = "masks/TYPE/NAME.png of images/TYPE/NAME.png"
        raise click.UsageError(f"--masks goes with --defect: --examples finds masks itself, {found}")
    if (lesson.masks and not lesson.defect) or (lesson.budget is not None and not lesson.good) or (undo and elsewhere):
        raise click.UsageError("--masks goes with --defect, --budget with --good, and --undo with nothing else")


def _taught(old: Recipe, lesson: _Lesson, place: tuple[str | None, str], reading: Reading) -> Recipe:
    from blemish.recipes import update
    from blemish.recipes.recipe import ENCODER

    if lesson.good:
        return _more_good(old, lesson.good, place, lesson.budget, reading)
    if lesson.defect:
        return _more_defects(old, *lesson.defect, lesson.masks, place, reading)
    if lesson.examples:
        return _more_types(old, lesson.examples, place, reading)
    if lesson.defects:
        return _with_defects(old, lesson.defects, recipe_encoders(old, *place)[ENCODER])
    if lesson.product:
        return _other_product(old, lesson.product, place)
    if lesson.vocabulary:
        types = [each.strip() for each in lesson.vocabulary.split(",")]
        return update.name_vocabulary(old, types, encoder=recipe_encoders(old, *place))
    return update.forget(old, lesson.forget, encoder=place[0])


def _other_product(old: Recipe, product: str, place: tuple[str | None, str]) -> Recipe:
    from blemish.recipes import update

    update.require_words(old, product)
    return update.name_product(old, product, encoder=recipe_encoders(old, *place))


def _more_good(
    old: Recipe, good: tuple[str, ...], place: tuple[str | None, str], budget: float | None, reading: Reading
) -> Recipe:
    """place: of the encoder, and where to compute."""
    from blemish.images import find
    from blemish.recipes import update

    update.require_pupil(old)
    paths = find(good)
    return update.add_good(old, paths, encoder=recipe_encoders(old, *place), budget=budget, reading=reading)


def _more_defects(
    old: Recipe, kind: str, folder: str, masks: Path | None, place: tuple[str | None, str], reading: Reading
) -> Recipe:
    from blemish.data.truth import leave_out_masks, picture_stems
    from blemish.images import find
    from blemish.recipes import update

    update.require_type(kind)
    paths = leave_out_masks(Path(folder), masks) if Path(folder).is_dir() else find([folder])
    known = {stem: mask for mask in find([masks]) for stem in picture_stems(mask)} if masks else {}
    shown = {path: known[path.stem] for path in paths if path.stem in known}
    if missing := [path.name for path in paths if masks and path not in shown]:
        say(f"note: {masks} has no mask for {', '.join(missing)}: the highest scores count", err=True)
    return update.add_defects(old, kind, paths, masks=shown, encoder=recipe_encoders(old, *place), reading=reading)


def _more_types(old: Recipe, root: Path, place: tuple[str | None, str], reading: Reading) -> Recipe:
    """Each type of a data set or of folders, with its masks."""
    from blemish.evaluation.labelled_types import labelled_defects, refuse_several
    from blemish.files import sha256_of
    from blemish.recipes import update

    samples = labelled_defects(root)
    if not samples:
        raise BadInput(f"{root} has no folder of a type of defect: make one for each, with its pictures")
    refuse_several(samples, old.source)
    known, shown = {(each.sha256, each.kind) for each in old.taught}, dict[str, list[Path]]()
    fresh = [each for each in samples if (sha256_of(each.image), each.label) not in known]
    if not fresh:
        raise BadInput(f"there is nothing new to teach: the recipe knows all pictures of {root}")
    for each in sorted(fresh, key=lambda sample: sample.label):
        shown.setdefault(each.label, []).append(each.image)
    masks = {each.image: each.masks[0] for each in fresh if each.masks}
    return update.add_types(old, shown, masks=masks, encoder=recipe_encoders(old, *place), reading=reading)


def _tell(old: Recipe, new: Recipe, path: Path) -> None:
    before, now = ({each.id: each for each in recipe.taught} for recipe in (old, new))
    rows = [("taught", each.id, each.kind, each.name) for each in new.taught if each.id not in before]
    rows += [("forgotten", each.id, each.kind, each.name) for each in old.taught if each.id not in now]
    if rows:
        print_table(("", "id", "as", "picture"), rows)
    say(f"{path}: {new.hash}")
    if old.calibration and not new.calibration:
        say("note: the calibration no longer holds and was left out: see `blemish calibrate`", err=True)
