"""The command `blemish export`: a recipe -> one that runs without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from blemish.cli.console import print_table, say, show_progress
from blemish.cli.options import FILE, PLACE, hold_new
from blemish.errors import BadInput

if TYPE_CHECKING:
    from blemish.export.exporting import Exported
    from blemish.recipes.recipe import Recipe


@click.command()
@click.argument("recipe", type=FILE)
@click.option("--out", type=FILE, required=True, metavar="NEW", help="The deployed recipe to write.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "int8"]),
    default="float32",
    show_default=True,
    help="In what the graph is computed; what is not float32 moves scores.",
)
@click.option(
    "--backend",
    type=click.Choice(["onnxruntime", "openvino"]),
    default="onnxruntime",
    show_default=True,
    help="What runs the graph.",
)
@click.option("--check", multiple=True, metavar="PATH", help="Pictures to compare by; drawn ones if left out.")
@click.option(
    "--good", multiple=True, metavar="DIR", type=PLACE, help="Good parts that taught nothing, to calibrate by."
)
@click.option("--before", type=FILE, metavar="OLD", help="Deployed before it was taught more; its graph is taken.")
@click.option("--onnx", type=FILE, metavar="FILE", help="Write the bare ONNX model too, for programs of your own.")
@click.option("--encoder", metavar="PATH", type=PLACE, help="Where the recipe's encoder lies, if not where it was.")
def export(
    recipe: Path,
    out: Path,
    precision: str,
    backend: str,
    check: tuple[str, ...],
    good: tuple[str, ...],
    before: Path | None,
    onnx: Path | None,
    encoder: str | None,
) -> None:
    """Write a recipe as a graph that scores alike and runs without torch and without its encoder.

    The graph is compared with the recipe before anything is written: scores, maps, regions and verdicts, of pictures
    from file to verdict. In float32 a difference is an error. bfloat16 needs --backend openvino, int8 needs --good.
    Both move scores, so thresholds are set again by --good; without, the file gives no verdicts until it is calibrated.

    A recipe that was taught more good parts takes the graph of --before, with what it learned since, and is compared as
    ever; where that does not do a new graph is made.

    Thresholds, region, tiles and words stay outside the graph: calibrate, recipe show, diff and undo work as ever.
    """
    from blemish.export.deploying import ExportPlan
    from blemish.export.exporting import export_recipe
    from blemish.images import find
    from blemish.recipes import recipe as recipes

    hold_new(out, "")
    if onnx is not None and onnx.exists():
        raise BadInput(f"{onnx} exists: name another file")
    plan = ExportPlan(
        cast(Any, precision), cast(Any, backend), tuple(find(good) if good else ()), tuple(find(check) if check else ())
    )
    old = None if before is None else recipes.load(before)
    with show_progress() as watch:
        found = export_recipe(recipes.load(recipe), plan, encoder=encoder, before=old, watch=watch)
    recipes.save(found.recipe, out)
    if onnx is not None:
        _write_plain(found.recipe, onnx)
    _print(found, out, onnx)


def _write_plain(recipe: Recipe, onnx: Path) -> None:
    from blemish.export.deploying import graph_bytes, plain_model
    from blemish.files import write
    from blemish.recipes.recipe import content_of

    write(onnx, plain_model(recipe, content_of(recipe).header, graph_bytes(recipe)))


def _print(found: Exported, out: Path, onnx: Path | None) -> None:
    from blemish.export.check import as_rows

    print_table(("compared", "found"), as_rows(found.parity))
    say(f"{out}: {found.recipe.hash}")
    if onnx is not None:
        say(f"{onnx}: the graph alone, with the recipe's header in its metadata")
    if found.note:
        say(f"note: no verdicts, {found.note}", err=True)
