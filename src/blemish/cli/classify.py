"""The command `blemish classify`: what kind of defect each picture shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blemish.cli.console import print_table, say, show_progress
from blemish.cli.options import (
    FILE,
    FOLDER,
    PLACE,
    VIEWED,
    DetectorOptions,
    add_detector_options,
    arguments_of,
    given_options,
    hold_new,
    leave,
    refuse_frozen,
)
from blemish.errors import BadInput
from blemish.notices import amount, notice
from blemish.progress import one_step

if TYPE_CHECKING:
    from blemish.classification.describe import Description
    from blemish.classification.namer import Namer
    from blemish.images import Unreadable
    from blemish.progress import ShowProgress
    from blemish.recipes.recipe import Recipe


@click.command()
@click.argument("images", nargs=-1, required=True, type=PLACE, metavar="IMAGES...")
@click.option("--examples", type=FOLDER, metavar="DIR", help="Pictures of each type, a folder a type.")
@click.option("--recipe", type=FILE, metavar="FILE", help="What --save wrote, instead of --examples.")
@click.option(
    "--classifier", metavar="NAME", default="ridge", show_default=True, help="See `blemish list classifiers`."
)
@click.option("--product", help="What the part is, in words.")
@click.option("--save", type=FILE, metavar="FILE", help="Keep what was learned, for --recipe.")
@click.option("--json", "as_json", is_flag=True, help="Print each picture as a line of JSON instead of a table.")
@add_detector_options
def classify(
    chosen: DetectorOptions,
    images: tuple[str, ...],
    examples: Path | None,
    recipe: Path | None,
    classifier: str,
    product: str | None,
    save: Path | None,
    as_json: bool,
) -> None:
    """Name the kind of defect that whole pictures show, by examples of each.

    A picture that is like none of the types is called unknown; where several types are possible all are listed, so that
    the right one is among them as often as stated, and "none of them" where none fits so well. Examples that lie in the
    folders of several types have all of these: then each type is decided by itself, and a picture may be "crack+stain".

    A classifier that names a set, such as gedt-opt, is given all pictures at once: what it says of one depends on the
    others. To find defects first, and name each, see `blemish inspect` and `blemish teach --examples`. Exit status: 0,
    or 3 when some pictures are unreadable; 1 failure; 2 wrong usage.
    """
    from blemish.images import find
    from blemish.recipes.examples_kept import SEEN

    _refuse_misfits(examples, recipe, save)
    if save:
        hold_new(save, ", or use that one by --recipe")
    paths, unreadable = find(images), list["Unreadable"]()
    with show_progress() as watch:
        made = _load(recipe) if recipe else _learn(chosen, examples, (classifier, product), watch, unreadable)
        namer, white = _namer(made, chosen)
        mirrored = made.tensors[SEEN].shape[1] > 1
        seen = _see(namer, paths, watch, unreadable, chosen.batch_size, mirrored=mirrored)
        found = _name(namer, seen, together=_names_sets(made))
    if save:
        from blemish.recipes.recipe import save as write

        write(made, save)
    if as_json:
        for line in found:
            say(json.dumps(line))
    else:
        may_be = [", ".join(line["may_be"]) or "none of them" for line in found]
        rows = [(line["type"], _sure(line), may, line["path"]) for line, may in zip(found, may_be, strict=True)]
        print_table(("type", "sure", "may be", f"picture ({len(found)})"), rows)
    leave(unreadable, len(found), white)


def _refuse_misfits(examples: Path | None, recipe: Path | None, save: Path | None) -> None:
    """Raise UsageError for options that do not go together, or not with whole pictures."""
    if (examples is None) == (recipe is None):
        raise click.UsageError("say one of --examples and --recipe")
    if recipe and save:
        raise click.UsageError("--save goes with --examples")
    if recipe:
        refuse_frozen("classifier")
    if misfits := given_options(VIEWED):
        raise click.UsageError(f"{misfits}: that is for what finds defects, and classify sees each picture whole")


def _sure(line: Mapping[str, Any]) -> str:
    """How sure its type is; of one that is unknown there is no telling."""
    return "" if line["probability"] is None else f"{line['probability']:.2f}"


def _load(path: Path) -> Recipe:
    from blemish.recipes.recipe import load

    found = load(path)
    if found.names is None or found.names.of != "pictures":
        raise BadInput(
            f"{path} {'names the defects that it finds' if found.names else 'names no defects'}: "
            f"use it by `blemish inspect --recipe {path}`, or classify by --examples"
        )
    return found


def _learn(
    chosen: DetectorOptions,
    root: Path | None,
    how: tuple[str, str | None],
    watch: ShowProgress,
    unreadable: list[Unreadable],
) -> Recipe:
    """how: the classifier, and the product in words."""
    from blemish import catalog, data
    from blemish.evaluation.labelled_types import pick_defects, require_types, take_several
    from blemish.recipes.types_of_pictures import freeze_types
    from blemish.types import GOOD

    assert root
    (classifier, product), arguments = how, arguments_of(chosen.arguments)
    with one_step(watch, "listing pictures"):
        every = data.every_sample(root)
        samples = require_types(pick_defects(every), root)
    arguments = take_several(samples) | arguments
    if count := sum(each.label == GOOD for each in every):
        notice("%s among the examples: good is no type of defect, and is left out", amount(count, "good part"))
    reads = "product" in catalog.classifier_card(classifier).words
    words: dict[str, Any] = {"product": product} if product and reads else {}
    if product and not reads:
        notice("%s reads no words, so --product changes nothing", classifier)
    return freeze_types(
        samples, chosen.load_encoder(), classifier, arguments | words, batch_size=chosen.batch_size, watch=watch,
        unreadable=unreadable,
    )  # fmt: skip


def _namer(made: Recipe, chosen: DetectorOptions) -> tuple[Namer, str]:
    """And what is to be said of its encoder."""
    from blemish import encoders
    from blemish.cli.options import recipe_encoders
    from blemish.recipes.detectors import misfits
    from blemish.recipes.naming import namer_of
    from blemish.recipes.recipe import ENCODER

    seer = recipe_encoders(made, chosen.encoder, chosen.device)[ENCODER]
    assert made.names
    with misfits(made):
        return namer_of(made.names, made.tensors, seer), encoders.note(seer)


def _names_sets(made: Recipe) -> bool:
    from blemish import catalog

    assert made.names
    return catalog.classifier_card(made.names.classifier).scores == "set"


def _see(
    namer: Namer,
    paths: list[Path],
    watch: ShowProgress,
    unreadable: list[Unreadable],
    batch_size: int,
    *,
    mirrored: bool,
) -> Iterator[Description]:
    from blemish.classification.describe import describe
    from blemish.types import Sample

    return describe(
        namer.classifier, [Sample(path) for path in paths], mirrored=mirrored, batch_size=batch_size,
        unreadable=unreadable, advance=watch("naming", len(paths)),
    )  # fmt: skip


def _name(namer: Namer, seen: Iterable[Description], *, together: bool) -> list[dict[str, Any]]:
    """Each as it is seen, so that memory is bounded, or all together where a classifier names a set."""
    import torch

    if together:
        notice("the pictures are named together: how often what each may be holds the right type is not promised")
    found = list[dict[str, Any]]()
    for part in filter(None, [[*seen]] if together else ([each] for each in seen)):
        named = namer.name(torch.stack([each.seen for each in part]))
        found += [{"path": str(each.sample.image), **name.as_json()} for each, name in zip(part, named, strict=True)]
    return found
