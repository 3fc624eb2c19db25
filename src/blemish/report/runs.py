"""Pages of what `inspect` does and has done, and of what `evaluate` measures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.data.masks import read_ground_truth
from blemish.errors import BadData, BadImage, BadInput
from blemish.evaluation import evaluate as evaluation
from blemish.evaluation.evaluate import See, Trial
from blemish.evaluation.validate import Validation, validate
from blemish.fitting import Watch, unwatched
from blemish.images import decode, read
from blemish.inspection import WHOLE, Inspected, Unreadable, View
from blemish.recipes.recipe import Recipe
from blemish.report import pictures
from blemish.report.items import About, Encoded, Item
from blemish.report.similar_parts import GoodParts, read_good_parts
from blemish.report.writer import Writer
from blemish.runs.decision import decide
from blemish.types import GOOD, Detector, Sample

Results = Iterable[Inspected | Unreadable]
Judge = Callable[[Inspected], Mapping[str, Any]]
"""What a recipe decides: "verdict" and "regions", as a line of results.jsonl has them, or nothing."""
UNLISTED = ("product", "method", "encoder", "normal", "recipe")
"""Settings that a page shows in places of their own."""


def identity(recipe: Recipe) -> dict[str, Any]:
    """What tells it from others, what taught it and how it decides, as plain JSON values."""
    return {
        "hash": recipe.hash,
        "parent": recipe.parent,
        "created": recipe.created,
        "versions": dict(recipe.versions),
        "taught": [{"name": each.name, "kind": each.kind, "id": each.id} for each in recipe.taught],
        "calibration": recipe.calibration and recipe.calibration.as_json(),
    }


def unjudged(result: Inspected) -> Mapping[str, Any]:
    """Nothing is decided."""
    return {}


def reported(
    results: Results,
    path: Path,
    settings: Mapping[str, Any],
    *,
    view: View = WHOLE,
    earlier: Path | None = None,
    recipe: Mapping[str, Any] | None = None,
    judge: Judge = unjudged,
    note: str = "",
) -> Iterator[Inspected | Unreadable]:
    """The results as they come; when the last one has been taken, their page is written.

    settings: those of a `recording.Record`. earlier: its folder, where a resumed run goes on from the lines there are.
    recipe: {"hash", ...}, what identifies the recipe, with its "taught" and its "calibration".
    """
    with GoodParts() as goods, Writer(path, _about(settings, recipe, note), goods=goods) as writer:
        read_good_parts(goods, map(Path, settings.get("normal") or ()), view)
        if earlier is not None:
            _put_lines(writer, earlier, settings.get("white"), unwatched)
        for result in results:
            found = judge(result) if isinstance(result, Inspected) else {}
            regions = found.get("regions", ())
            writer.add(result, verdict=found.get("verdict", ""), regions=regions, type=_type(regions))
            yield result
        writer.finish()


def run(trial: Trial, path: Path, *, watch: Watch = unwatched, note: str = "") -> evaluation.Report:
    """As `evaluation.run`, with a page."""
    good = [sample.image for sample in evaluation.training_samples(trial)]
    encoder = trial.encoder if isinstance(trial.encoder, str) else trial.encoder.name
    about = About(
        title=trial.part,
        method=trial.method,
        encoder=encoder,
        settings={
            "data": str(trial.root),
            "product": trial.product,
            "good parts": len(good),
            "seed": trial.seed,
            "arguments": dict(trial.arguments),
            "tile": trial.view.tile,
        },
        taught=[{"name": str(each), "kind": GOOD} for each in good],
        note=note,
    )
    with _looking(about, path, good, trial.view) as (writer, see):
        report = evaluation.run_trial(trial, watch=watch, see=see)
        writer.finish(measures=report.as_json() | {"unreadable": None}, curves=report.curves)
    return report


def verified(
    recipe: Recipe,
    detector: Detector,
    samples: Sequence[Sample],
    path: Path,
    *,
    batch_size: int = 8,
    watch: Watch = unwatched,
    note: str = "",
) -> Validation:
    """As `verifying.verify`, with a page."""
    view, settings = recipe.view, {"product": recipe.product, "method": recipe.method, "encoder": recipe.encoder}
    about = _about(settings | {"tile": view.tile, "overlap": view.overlap}, identity(recipe), note)
    with _looking(about, path, (), view, decide(recipe, detector)) as (writer, see):
        found = validate(recipe, detector, samples, batch_size=batch_size, watch=watch, see=see)
        writer.finish(measures=found.report.as_json() | {"unreadable": None}, curves=found.report.curves)
    return found


def page_of(folder: Path, path: Path, *, recipe: Mapping[str, Any] | None = None, watch: Watch = unwatched) -> int:
    """Write the page of the run that a folder holds; returns how many pictures it shows.

    Pictures are read where they were inspected; of one that has gone, the heat map is shown alone. Raises BadData for
    a folder without a run, and BadInput for a recipe that is not the run's.
    """
    settings = _settings(folder)
    if recipe and recipe["hash"] != settings.get("recipe"):
        raise BadInput(f"{folder} was not made by this recipe: name the one that it was made by, or none")
    with GoodParts() as goods, Writer(path, _about(settings, recipe, ""), goods=goods) as writer:
        read_good_parts(goods, map(Path, settings.get("normal") or ()))
        shown = _put_lines(writer, folder, settings.get("white"), watch)
        for line in _lines(folder / "unreadable.jsonl", {"path", "error"}):
            writer.add(Unreadable(Path(line["path"]), line["error"]))
        writer.finish()
    return shown


@contextmanager
def _looking(
    about: About, path: Path, good: Iterable[Path], view: View, judge: Judge = unjudged
) -> Iterator[tuple[Writer, See]]:
    """A page, and what puts labelled results on it."""
    with GoodParts() as goods, Writer(path, about, goods=goods) as writer:
        read_good_parts(goods, good, view)

        def see(sample: Sample, result: Inspected | Unreadable) -> None:
            found = judge(result) if isinstance(result, Inspected) else {}
            regions = found.get("regions", ())
            verdict, kind = found.get("verdict", ""), _type(regions)
            mask = _mask(sample, result)
            writer.add(result, label=sample.label, mask=mask, verdict=verdict, regions=regions, type=kind)

        yield writer, see


def _mask(sample: Sample, result: Inspected | Unreadable) -> NDArray[np.bool_] | None:
    if isinstance(result, Unreadable) or sample.mask is None:
        return None
    height, width = result.anomaly_map.shape
    return read_ground_truth(sample.mask, size=(height, width))


def _settings(folder: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]
        return {"method": settings["method"], **settings}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"{folder} holds no run: name the folder that `blemish inspect --out` wrote") from error


def _about(settings: Mapping[str, Any], recipe: Mapping[str, Any] | None, note: str) -> About:
    """What a run's settings, and its recipe if there is one, say of it."""
    known = recipe or ({"hash": settings["recipe"]} if settings.get("recipe") else {})
    named = {key: value for key, value in known.items() if key not in ("taught", "calibration")}
    good = [{"name": path, "kind": GOOD} for path in settings.get("normal") or ()]
    return About(
        title=settings.get("product") or "object",
        method=settings.get("method") or "",
        encoder=settings.get("encoder") or "",
        settings={key: value for key, value in settings.items() if key not in UNLISTED},
        taught=known.get("taught") or good,
        recipe=named or None,
        calibration=known.get("calibration"),
        note=note,
    )


def _put_lines(writer: Writer, folder: Path, white: float | None, watch: Watch) -> int:
    """Put every picture of results.jsonl; returns how many there are."""

    def lines() -> Iterator[dict[str, Any]]:
        return _lines(folder / "results.jsonl", {"path", "score", "size"})

    count = sum(1 for _ in lines())
    advance = watch("reading pictures", count)
    originals = decode((Path(line["path"]) for line in lines()), lambda path: pictures.reduced(read(path, white=white)))
    for line, (_, original) in zip(lines(), originals, strict=True):
        writer.put(_recorded(line, folder, None if isinstance(original, BadImage) else original, writer))
        advance()
    return count


def _recorded(line: Mapping[str, Any], folder: Path, original: Image.Image | None, writer: Writer) -> Item:
    """The item of a line: the heat map is laid over the original, or stands in its place."""
    try:
        tinted = pictures.reduced(read(folder / line["overlay"])) if "overlay" in line else None
    except BadImage:
        tinted = None
    picture, over = (original, tinted) if original is not None else (tinted, None)
    is_large = picture is not None and writer.kept.wants(line["score"], is_defect=False)
    peak = line.get("peak")
    return Item(
        path=line["path"],
        score=line["score"],
        size=(line["size"]["width"], line["size"]["height"]),
        type=_type(line.get("regions") or ()),
        verdict=line.get("verdict") or "",
        seconds=line.get("seconds", {}).get("detect"),
        peak=(peak["x"], peak["y"]) if peak else None,
        regions=line.get("regions") or (),
        nearest=writer.goods.nearest(original) if writer.goods and original is not None else None,
        small=_encoded(pictures.small, picture, over),
        large=_encoded(pictures.large, picture, over) if is_large else None,
    )


def _type(regions: Sequence[Mapping[str, Any]]) -> str:
    """Of the worst region that has one."""
    return next((region["type"] for region in regions if region.get("type")), "")


def _encoded(how: Callable[[Image.Image], bytes], picture: Image.Image | None, over: Image.Image | None) -> Encoded:
    return Encoded(how(picture) if picture else b"", how(over) if over else b"")


def _lines(path: Path, needed: set[str]) -> Iterator[dict[str, Any]]:
    """The lines of a file of JSON, none if it is missing; raises BadData for one that is damaged.

    A last line that was cut off, where the run was stopped, is left out.
    """
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if not text.endswith("\n"):
                return
            line = _read_line(text)
            if not isinstance(line, dict) or not needed <= line.keys():
                raise BadData(f"{path}, line {number} is damaged: remove it")
            yield line


def _read_line(text: str) -> Any:
    """A line's value, None where it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None
