"""What pages say of a run, of a trial and of a recipe, and the page of a run that is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from blemish.calibration.suggestions import sentence_of
from blemish.calibration.thresholds import Calibration
from blemish.classification.names import Names
from blemish.errors import BadData, BadImage, BadInput
from blemish.files import json_lines
from blemish.images import WHOLE, Unreadable, View, read, read_source
from blemish.inspection import read_each
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.recipe import Recipe
from blemish.report import pictures
from blemish.report.items import About, Encoded, Item, types_on_tile
from blemish.report.similar_parts import GoodParts, read_good_parts
from blemish.report.writer import Writer
from blemish.runs.note import NAME, read_note
from blemish.types import GOOD

UNLISTED = ("product", "method", "encoder", "normal", "recipe")
"""Settings that a page shows in places of their own."""


def identity(recipe: Recipe) -> dict[str, Any]:
    """What tells it from others, what taught it and how it names and decides, as plain JSON values."""
    return {
        "hash": recipe.hash,
        "parent": recipe.parent,
        "created": recipe.created,
        "versions": dict(recipe.versions),
        **_names(recipe.names),
        "taught": [{"name": each.name, "kind": each.kind, "id": each.id} for each in recipe.taught],
        "calibration": recipe.calibration and recipe.calibration.as_json(),
    }


def _names(names: Names | None) -> dict[str, Any]:
    """The types, what names them, and what follows from those that have a rule."""
    if names is None:
        return {}
    rules = {name: str(rule) for name, rule in names.severities().items()}
    return {"types_of_defects": list(names.known), "named_by": names.classifier} | ({"rules": rules} if rules else {})


@contextmanager
def page(
    path: Path, about: About, *, good: Iterable[Path] = (), view: View = WHOLE, earlier: Path | None = None
) -> Iterator[Writer]:
    """A page to be written, a sink of what is decided; `finish` it when the last picture has been taken.

    earlier: the folder of a run that is gone on with, whose pictures are put on it first.
    """
    with GoodParts() as goods, Writer(path, about, goods=goods) as writer:
        read_good_parts(goods, good, view)
        if earlier is not None:
            _put_lines(writer, earlier, about.settings.get("white"), no_progress)
        yield writer


def page_of(
    folder: Path, path: Path, *, recipe: Mapping[str, Any] | None = None, watch: ShowProgress = no_progress
) -> int:
    """Write the page of the run that a folder holds; returns how many pictures it shows.

    Pictures are read where they were inspected; of one that has gone, the heat map is shown alone. Raises BadData for
    a folder without a run, and BadInput for a recipe that is not the run's.
    """
    settings, suggested = _run(folder)
    if recipe and recipe["hash"] != settings.get("recipe"):
        raise BadInput(f"{folder} was not made by this recipe: name the one that it was made by, or none")
    about = about_run(settings, recipe, suggested=suggested, note=sentence_of(suggested) if suggested else "")
    with GoodParts() as goods, Writer(path, about, goods=goods) as writer:
        read_good_parts(goods, map(Path, settings.get("normal") or ()))
        shown = _put_lines(writer, folder, settings.get("white"), watch)
        for line in json_lines(folder / "unreadable.jsonl", {"path", "error"}):
            writer.add(Unreadable(line["path"], line["error"]))
        writer.finish()
    return shown


def _run(folder: Path) -> tuple[dict[str, Any], Calibration | None]:
    """Its settings, and the threshold that was suggested in it."""
    way_out = "name the folder that `blemish inspect --out` wrote"
    if not (folder / NAME).exists():
        raise BadData(f"{folder} holds no run: {way_out}")
    note = read_note(folder, way_out)
    if "method" not in note.settings:
        raise BadData(f"{folder / NAME}: settings.method: this key is needed: {way_out}")
    return note.settings, note.suggested


def about_run(
    settings: Mapping[str, Any],
    recipe: Mapping[str, Any] | None = None,
    *,
    suggested: Calibration | None = None,
    note: str = "",
) -> About:
    """What a run's settings, and its recipe's `identity` if there is one, say of it."""
    known = recipe or ({"hash": settings["recipe"]} if settings.get("recipe") else {})
    named = {key: value for key, value in known.items() if key not in ("taught", "calibration")}
    good = [{"name": path, "kind": GOOD} for path in settings.get("normal") or ()]
    return About(
        title=settings.get("product") or "object",
        method=settings.get("method") or "",
        encoder=settings.get("encoder") or "",
        settings={key: value for key, value in settings.items() if key not in UNLISTED} | _defects(settings),
        taught=known.get("taught") or good,
        recipe=named or None,
        calibration=known.get("calibration"),
        suggested=suggested.as_json() if suggested else None,
        note=note,
    )


def _defects(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """The types that words name, each with what is said of it and what follows from it: "stain (brown; review)"."""
    found = [(name, "; ".join(filter(None, said))) for name, *said in settings.get("defects") or ()]
    return {"defects": [f"{name} ({said})" if said else name for name, said in found]} if found else {}


def _put_lines(writer: Writer, folder: Path, white: float | None, watch: ShowProgress) -> int:
    """Put every picture of results.jsonl; returns how many there are."""

    def lines() -> Iterator[dict[str, Any]]:
        return json_lines(folder / "results.jsonl", {"path", "score", "size"})

    count = sum(1 for _ in lines())
    advance = watch("reading pictures", count)
    files = (Path(line.get("file") or line["path"]) for line in lines())
    originals = read_each(files, lambda source: pictures.shrink(read_source(source, white=white)), advance=advance)
    for line, (_, original) in zip(lines(), originals, strict=True):
        writer.put(_recorded(line, folder, None if isinstance(original, Unreadable) else original, writer))
    return count


def _recorded(line: Mapping[str, Any], folder: Path, original: Image.Image | None, writer: Writer) -> Item:
    """The item of a line: the heat map is laid over the original, or stands in its place."""
    try:
        tinted = pictures.shrink(read(folder / line["overlay"])) if "overlay" in line else None
    except BadImage:
        tinted = None
    picture, over = (original, tinted) if original is not None else (tinted, None)
    is_large = picture is not None and writer.selection.wants(line["score"], is_defect=False)
    peak, size = line.get("peak"), (line["size"]["width"], line["size"]["height"])
    nearest = writer.goods.nearest(original) if writer.goods and original is not None else None
    regions = line.get("regions") or ()
    return Item(
        path=line["path"],
        score=line["score"],
        size=size,
        type=types_on_tile(line.get("types") or (), regions),
        verdict=line.get("verdict") or "",
        seconds=line.get("seconds", {}).get("detect"),
        peak=(peak["x"], peak["y"]) if peak else None,
        regions=regions if original is None else writer.compare_regions(regions, original, nearest, size),
        nearest=nearest,
        small=_encoded(pictures.small, picture, over),
        large=_encoded(pictures.large, picture, over) if is_large else None,
    )


def _encoded(how: Callable[[Image.Image], bytes], picture: Image.Image | None, over: Image.Image | None) -> Encoded:
    return Encoded(how(picture) if picture else b"", how(over) if over else b"")
