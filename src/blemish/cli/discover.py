"""The command `blemish discover`: defects of no known type, in groups for a person to name."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blemish.cli.console import print_table, say, show_progress
from blemish.cli.options import FILE, NEW_FOLDER, PLACE, TOGETHER, device_option, leave, recipe_encoders
from blemish.errors import BadInput
from blemish.notices import amount

if TYPE_CHECKING:
    from blemish.images import Unreadable
    from blemish.runs.discovery import Found


@click.command()
@click.argument("images", nargs=-1, required=True, type=PLACE, metavar="IMAGES...")
@click.option("--recipe", type=FILE, required=True, metavar="FILE", help="What finds the defects.")
@click.option("--out", type=NEW_FOLDER, default="discovered", show_default=True, help="The folder to write.")
@click.option("--groups", type=click.IntRange(1), metavar="N", help="As many as there seem to be if left out.")
@click.option("--all", "every", is_flag=True, help="Defects of known types as well.")
@click.option("--encoder", metavar="PATH", type=PLACE, help="Where the recipe's encoder lies, if not where it was.")
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help=TOGETHER)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@device_option
def discover(
    images: tuple[str, ...],
    recipe: Path,
    out: Path,
    groups: int | None,
    every: bool,
    encoder: str | None,
    batch_size: int,
    as_json: bool,
    device: str,
) -> None:
    """Find defects of no known type, and put those that look alike in groups.

    Each group is a sheet of close-ups, OUT/group-1.png, and a folder with its pictures and masks; what is in it is
    taught under a name by `blemish teach RECIPE --defect NAME OUT/group-1/pictures --masks OUT/group-1/masks`. Of a
    calibrated recipe the regions of what it does not accept are looked at, of another the worst of each picture. Exit
    status: 0, or 3 when some pictures are unreadable; 1 failure; 2 wrong usage.
    """
    from blemish.files import alone_in
    from blemish.images import find
    from blemish.recipes.recipe import load

    paths, unreadable, found = find(images), list["Unreadable"](), load(recipe)
    if found.deployed:
        raise BadInput(
            f"{recipe} is deployed and cannot be taught what is found: discover by the recipe it was exported from"
        )
    from blemish.runs import discovery

    with alone_in(out), show_progress() as watch:
        if out.exists() and any(out.glob("group-*")):
            raise BadInput(f"{out} holds earlier groups: name another --out")
        made = discovery.discover(
            found, paths, encoder=recipe_encoders(found, encoder, device), count=groups, every=every,
            batch_size=batch_size, watch=watch, unreadable=unreadable,
        )  # fmt: skip
        lines = [_write(out, number, group) for number, group in enumerate(made, start=1)]
    if as_json:
        say(json.dumps({"groups": lines}))
    else:
        print_table(("group", "defects", "pictures", "sheet"), [tuple(map(str, line.values())) for line in lines])
        _say_what_next(recipe, out, len(paths) - len(unreadable), found=bool(lines), every=every)
    leave(unreadable, len(paths) - len(unreadable), "")


def _say_what_next(recipe: Path, out: Path, count: int, *, found: bool, every: bool) -> None:
    if found:
        group = shlex.join(["--defect", "NAME", f"{out}/group-1/pictures", "--masks", f"{out}/group-1/masks"])
        say(f"\nlook at the sheets, and teach a group under its name: blemish teach {shlex.quote(str(recipe))} {group}")
        say("where a sheet shows several kinds, or several sheets one, say how many there are: --groups N")
    elif every:
        say(f"no defect was found: the recipe accepts all of {amount(count, 'picture')}")
    else:
        say(f"no defect of an unknown type was found in {amount(count, 'picture')}: --all groups known ones too")


def _write(out: Path, number: int, group: list[Found]) -> dict[str, int | str]:
    """A sheet, and a folder of pictures and of masks that mark this group's defects."""
    import numpy as np

    from blemish.images import read, save_picture
    from blemish.report.contact_sheet import close_up, save_sheet

    folder, masks = out / f"group-{number}", dict[Path, np.ndarray]()
    for name in ("pictures", "masks"):
        (folder / name).mkdir(parents=True)
    for each in group:
        mask = masks.setdefault(each.picture, np.zeros(each.size, bool))
        x, y, width, height = each.inside.box
        mask[y : y + height, x : x + width] |= each.inside.pixels
    for place, (picture, mask) in enumerate(masks.items(), start=1):
        name = f"{place:04d}-{picture.stem}"
        shutil.copyfile(picture, folder / "pictures" / f"{name}{picture.suffix}")
        save_picture(folder / "masks" / f"{name}.png", np.repeat(mask[None], 3, 0).astype(np.float32))
    save_sheet(out / f"group-{number}.png", (close_up(read(each.picture), each.inside.box) for each in group))
    return {"group": number, "defects": len(group), "pictures": len(masks), "sheet": str(out / f"group-{number}.png")}
