"""A line without cameras: gears are drawn, a recipe is made of them, and new ones come to every station's folder.

The front process draws and computes nothing: both are done in processes of their own. Every door whose packages are
installed is open to this machine, and to no other.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blemish.errors import BadInput
from blemish.serve.demo_doors import open_doors
from blemish.serve.doors.options import letters_of
from blemish.serve.settings import FolderSettings, LineSettings, StationSettings

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE, MARGIN = 128, 2
GOOD, HELD_OUT = 12, 30
FLAWS = ("crack", "cut", "rust", "chip", "missing")
EVERY = 4
"""One part in so many has a flaw."""
PAUSE = 1.0
"""Seconds from one part to the next."""
PATTERN = re.compile(r"(?P<part>.+)_(?P<view>[^_]+)")
ABOUT = "# Written by `blemish serve --demo`, for the commands that read its records, its users and its audit."


def demo_line(settings: LineSettings, folder: Path) -> LineSettings:
    """The same line on drawn parts, all of it in a folder: its recipes are made, the first time, in a minute or so."""
    recipe = folder / "gear.blemish"
    if not recipe.is_file():
        _in_process(_make_recipe, folder)
    stations = tuple(_station(each, recipe, folder) for each in settings.stations)
    names = [each.name for each in stations]
    doors = open_doors(settings)
    store = replace(settings.store, folder=folder / "data", url="", letters=letters_of(doors, names))
    (folder / "line.toml").write_text(_file_of(settings), encoding="utf-8")
    return replace(settings, store=store, stations=stations, connectors=doors)


def _file_of(settings: LineSettings) -> str:
    """A line.toml of the demonstration."""
    lines = [ABOUT, "", f"name = {_text(settings.name)}", "", "[store]", 'folder = "data"']
    for each in settings.stations:
        recipes = ", ".join(f"{name} = {_text('gear.blemish')}" for name in each.recipes)
        views = ", ".join(map(_text, each.views))
        lines += ["", "[[stations]]", f"name = {_text(each.name)}", f"recipes = {{ {recipes} }}", f"views = [{views}]"]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """As TOML writes it, and JSON."""
    return json.dumps(value, ensure_ascii=False)


@contextmanager
def draw_parts(settings: LineSettings) -> Iterator[None]:
    """New parts come to every station until the end."""
    process = multiprocessing.get_context("spawn").Process(target=_feed, args=(settings.stations,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _station(settings: StationSettings, recipe: Path, folder: Path) -> StationSettings:
    source = FolderSettings(folder / settings.name, 100, PATTERN, None)
    recipes = dict.fromkeys(settings.recipes, recipe)
    shown = folder / "parts"
    quality = replace(settings.quality, sources={}, good=shown / "held_out", defects=shown / "flawed")
    quality = replace(quality, every_picture=True)  # of one design
    return replace(settings, recipes=recipes, folder=source, cameras=(), start=True, quality=quality)


def _in_process(target: Any, *given: Any) -> None:
    process = multiprocessing.get_context("spawn").Process(target=target, args=given, daemon=True)
    process.start()
    process.join()
    if process.exitcode:
        raise BadInput(f"the demonstration could not be prepared (exit status {process.exitcode}): see above")


def _make_recipe(folder: Path) -> None:
    """Of good parts, with thresholds by others and by flawed ones."""
    import numpy as np

    from blemish.calibration.thresholds import Goal
    from blemish.encoders import DEFAULT
    from blemish.recipes.calibrate import HoldoutScheme, calibrate
    from blemish.recipes.recipe import save
    from blemish.recipes.update import freeze

    rng = np.random.default_rng(0)

    def draw(name: str, count: int, flaws: tuple[str, ...] = ("",)) -> list[Path]:
        paths = [folder / "parts" / name / f"{number:02}.png" for number in range(count)]
        for number, path in enumerate(paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            _gear(rng, flaws[number % len(flaws)], number).save(path)
        return paths

    recipe = freeze("patchcore", DEFAULT, good=draw("good", GOOD), arguments={"image_size": SIDE})
    defects = {"flaw": draw("flawed", HELD_OUT, FLAWS)}
    goal, way = Goal(false_reject=0.1, escape=0.3, pixel=0.1, confidence=0.8), HoldoutScheme(every_picture=True)
    save(calibrate(recipe, draw("held_out", HELD_OUT), defects=defects, goal=goal, way=way), folder / "gear.blemish")


def _feed(stations: tuple[StationSettings, ...]) -> None:
    import numpy as np

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rng, number, start = np.random.default_rng(), 0, time.strftime("%H%M%S")
    line = multiprocessing.parent_process()
    while line and line.is_alive():
        number += 1
        flaw = FLAWS[number // EVERY % len(FLAWS)] if number % EVERY == 0 else ""
        for station in stations:
            for view in station.views:
                assert station.folder
                _leave(_gear(rng, flaw, number), station.folder.path / f"{start}-{number:05}_{view}.png")
        time.sleep(PAUSE)


def _leave(picture: Image, path: Path) -> None:
    """Whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}")
    with suppress(OSError):
        picture.save(hidden, "PNG")
        hidden.replace(path)


def _gear(rng: Any, flaw: str, number: int) -> Image:
    """A photograph of one design, as it comes; the flaw lies where its number says."""
    import numpy as np
    from PIL import Image as images

    from blemish.synth.drawn.flaws.flaws import FLAWS as KNOWN
    from blemish.synth.drawn.optics import Camera, Light, illuminate, meter, photograph
    from blemish.synth.drawn.parts.parts import PARTS

    scene = PARTS["gear"].draw(np.random.default_rng(0), SIDE + 2 * MARGIN)
    if flaw:
        with suppress(BadInput):  # there is no place for it: a good part
            KNOWN[flaw].apply(scene, np.random.default_rng(number))
    azimuth, exposure = 2.2 + rng.normal(0, 0.05), rng.uniform(0.97, 1.03)
    light = Light("dome", azimuth, 1.0, 0.6, 6.0, (1.0, 1.0, 1.0), 0.3, 0.2, 0.4, 0.0, (0.5, 0.5), 0.0, 1)
    seen = illuminate(scene.surface, light)
    camera = Camera(
        exposure, (1.0, 1.0, 1.0), 1.1, 1.0, 0.1, 0.4, 0.0, 0.0, 0.006, 0.003, 0.0, 100, False, int(rng.integers(2**31))
    )
    pixels = photograph(seen, meter(camera, seen))
    edge = tuple(pixels[2, 2].tolist())
    lying = images.fromarray(pixels).rotate(rng.uniform(-2, 2), images.Resampling.BICUBIC, fillcolor=edge)
    return lying.crop((MARGIN, MARGIN, MARGIN + SIDE, MARGIN + SIDE))
