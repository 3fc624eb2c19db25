"""Parts of a line whose pictures are kept, as the folder of a run, which `blemish report` makes a page of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import Connection, select

from blemish.errors import BadInput, BlemishError
from blemish.files import JsonLines, guard_write
from blemish.recipes.file import hash_of, header_of
from blemish.runs.note import RunNote
from blemish.runs.record import refuse_earlier
from blemish.serve.queries import Wanted, each_part, list_parts
from blemish.serve.schema import pictures
from blemish.serve.settings import LineSettings

WAY_OUT = "make room, and name another folder"


def write_run(folder: Path, line: LineSettings, connection: Connection, wanted: Wanted) -> int:
    """Of the recipe that judged the last part that is wanted; returns how many views it shows; raises BadInput."""
    last = next(iter(list_parts(connection, wanted, 1)), None)
    if last is None:
        raise BadInput("there is no such part: nothing was written")
    refuse_earlier(folder, resume=False)
    ring, recipe = (line.store.folder / "pictures").absolute(), str(last["recipe"])
    with guard_write(folder):
        (folder / "overlays").mkdir(parents=True, exist_ok=True)
    settings = {"recipe": recipe, "product": last["product"] or last["station"], **_of_recipe(line, recipe)}
    RunNote(settings, None, "", None).write(folder)
    count, chosen = 0, each_part(connection, wanted._replace(station=last["station"], recipe=recipe))
    views = ((part, view, said) for part in chosen for view, said in part["views"].items())
    with (
        JsonLines(folder / "results.jsonl", way_out=WAY_OUT) as results,
        JsonLines(folder / "unreadable.jsonl", way_out=WAY_OUT) as failures,
    ):
        for part, view, said in views:
            name = part["part"] if len(part["views"]) == 1 else f"{part['part']} {view}"
            if "error" in said:
                failures.add({"path": name, "error": said["error"]})
            elif said.get("score") is not None and (files := _files(connection, part, view)):
                results.add(_line(name, part, view, files, folder, ring))
                count += 1
    return count


def _of_recipe(line: LineSettings, recipe: str) -> dict[str, Any]:
    """What its file says, where that is still the line's."""
    for path in sorted({path for station in line.stations for path in station.recipes.values()}):
        with suppress(BlemishError, OSError):
            if hash_of(path) == recipe:
                header = header_of(path)
                return {"method": header["method"], "white": header["view"].get("white")}
    return {"method": "a recipe of before"}


def _files(connection: Connection, part: Mapping[str, Any], view: str) -> dict[str, str]:
    """By kind, of a view; none where its picture is gone."""
    where = (pictures.c.station == part["station"], pictures.c.part == part["part"], pictures.c.view == view)
    found = {row.kind: row.file for row in connection.execute(select(pictures).where(*where))}
    return found if "picture" in found else {}


def _line(
    name: str, part: Mapping[str, Any], view: str, files: Mapping[str, str], folder: Path, ring: Path
) -> dict[str, Any]:
    """Of results.jsonl; its heat map is laid over the picture."""
    said = part["views"][view]
    line = {
        "path": name, "file": str(ring / files["picture"]), "score": said["score"], "verdict": said["verdict"],
        "size": dict(zip(("width", "height"), said["size"], strict=True)), "types": list(part["types"]),
        "seconds": dict(part["seconds"]), "regions": list(_regions(part, view)),
    }  # fmt: skip
    target = f"overlays/{Path(files['picture']).stem}.webp"
    with suppress(OSError, KeyError):  # gone by now, or never made
        with Image.open(ring / files["shown"]) as shown, Image.open(ring / files["heat"]) as heat:
            base = shown.convert("RGBA")
            Image.alpha_composite(base, heat.convert("RGBA").resize(base.size)).convert("RGB").save(folder / target)
        line["overlay"] = target
    return line


def _regions(part: Mapping[str, Any], view: str) -> Iterator[dict[str, Any]]:
    for each in part["regions"]:
        if each.get("view") == view:
            yield {key: value for key, value in each.items() if key != "view"}
