"""Gather the photographs that `embedded.py` learns from: git clones of their sources in, a folder for each source out.

    git clone --bare https://github.com/Shenggan/BCCD_Dataset CLONES/Shenggan+BCCD_Dataset
    python benchmarks/photographs.py --clones CLONES --out DIR [--held] [--most 200]

--held: instead, others that it does not learn flaws from, for `choices.py --held`. --most: of each source, evenly
taken. The clones are called owner+name.
Where the pictures come from, and what their licences are, is in photographs.md.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TypeVar

from PIL import Image, ImageChops

T = TypeVar("T")
SHORTER = 512
"""Pixels of the shorter side, at most."""
SWATCH, ACROSS, DOWN, LEAST = 128, 144, 176, 114
"""Of a preview sheet, in pixels: a swatch's side, the distance to the next one, the smallest swatch that is kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """The pictures of a repository whose paths match, at most so many, evenly taken from all."""

    folder: str
    clone: str
    commit: str
    matching: str
    most: int = 10_000


SHEETS = Source("ambientcg-previews", "fabien-michel+sweethome3d-textures-ambientcg", "1a47509", r"previews/.*\.webp")
SOURCES = (
    Source("clothing-dataset", "alexeygrigorev+clothing-dataset", "7ed86a9", r"images/.*\.jpg", 1500),
    Source(
        "grocery-store", "marcusklasson+GroceryStoreDataset", "fc80ba9", r"dataset/(train|val|test)/.*\.jpg", 1500
    ),
    Source("bccd-blood-cells", "Shenggan+BCCD_Dataset", "d272fb1", r"BCCD/JPEGImages/.*\.jpg"),
    Source(
        "screws-aaronzink", "aaronzink+tensorflow-visual-inspection", "21f7b2c",
        r"datasets/screws/(train_val|test)_set/.*\.jpg",
    ),
    Source(
        "azure-custom-vision", "Azure-Samples+cognitive-services-sample-data-files", "65af3b9",
        r"CustomVision/ObjectDetection/Images/(fork|scissors)/.*\.jpg",
    ),
    Source("wulpus-boards", "pulp-bio+wulpus", "48a913c", r"docs/images/v1_./.*\.jpg"),
    Source("polyhaven-wirehouse", "N8python+wirehouse", "5f1bc69", r"assets/.*_diff_1k\.jpg"),
    Source("ambientcg-simonwadsack", "SimonWadsack+SimonWadsack.github.io", "9525c39", r"textures/\w+/albedo\.jpg"),
)  # fmt: skip
HELD = (
    Source("clothing", SOURCES[0].clone, SOURCES[0].commit, SOURCES[0].matching, 60),
    Source("groceries", SOURCES[1].clone, SOURCES[1].commit, SOURCES[1].matching, 60),
    Source(
        "materials", "osrf+gazebo_models", "8163eb4",
        r"(?!nist_(elevated|maze|stairs)|collapsed_(fire|ind)|pine_tree|robonaut)\w+/materials/textures/"
        r"(_*(wood|carpet|brushedmetal|metal_stripped|metal_ripped|plywood|bark_|rubble_d|concrete|grass)|\w+_wood_d)"
        r"[^/]*\.(png|jpg)",
    ),
)  # fmt: skip


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--clones", type=Path, required=True)
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--held", action="store_true")
    made.add_argument("--most", type=int, default=10_000)
    given = made.parse_args()
    learned = [files(given.clones / source.clone, source) for source in SOURCES] if given.held else []
    with ThreadPoolExecutor(4) as pool:
        for source in HELD if given.held else SOURCES:
            into = given.out / source.folder
            into.mkdir(parents=True, exist_ok=True)
            found = files(given.clones / source.clone, source, frozenset(chain.from_iterable(learned)))
            found = evenly(found, given.most)

            def keep(path: str, source: Source = source, into: Path = into) -> None:
                picture = small(contents(given.clones / source.clone, source.commit, path))
                picture.save(into / (PurePosixPath(path).with_suffix(".png").as_posix().replace("/", "_")))

            list(pool.map(keep, found))
            print(f"{source.folder}: {len(found)}", flush=True)
    if given.held:
        return
    into = given.out / SHEETS.folder
    into.mkdir(parents=True, exist_ok=True)
    cut = []
    for path in files(given.clones / SHEETS.clone, SHEETS):
        sheet = contents(given.clones / SHEETS.clone, SHEETS.commit, path)
        cut += [(f"{PurePosixPath(path).stem}_{row:02d}_{column}.png", each) for row, column, each in swatches(sheet)]
    cut = evenly(cut, given.most)
    for name, swatch in cut:
        swatch.save(into / name)
    print(f"{SHEETS.folder}: {len(cut)}")


def files(clone: Path, source: Source, without: frozenset[str] = frozenset()) -> list[str]:
    listed = git(clone, "ls-tree", "-r", "--name-only", "-z", source.commit).decode().split("\0")
    found = sorted(path for path in listed if re.fullmatch(source.matching, path, re.IGNORECASE))
    return evenly([path for path in found if path not in without], source.most)


def evenly(found: list[T], most: int) -> list[T]:
    """At most so many, evenly taken."""
    return found if len(found) <= most else [found[n * len(found) // most] for n in range(most)]


def contents(clone: Path, commit: str, path: str) -> Image.Image:
    return Image.open(BytesIO(git(clone, "show", f"{commit}:{path}"))).convert("RGB")


def git(clone: Path, *words: str) -> bytes:
    return subprocess.run(["git", "--git-dir", clone, *words], check=True, stdout=subprocess.PIPE).stdout


def small(picture: Image.Image) -> Image.Image:
    scale = SHORTER / min(picture.size)
    if scale >= 1:
        return picture
    width, height = (round(length * scale) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def swatches(sheet: Image.Image) -> Iterator[tuple[int, int, Image.Image]]:
    """Row, column and picture of each swatch of a sheet that is large enough, without the white around it."""
    margin = ACROSS - SWATCH
    white = Image.new("RGB", (SWATCH, SWATCH), "white")
    for row in range((sheet.height - margin) // DOWN + 1):
        for column in range((sheet.width - margin) // ACROSS):
            left, top = margin + column * ACROSS, margin + row * DOWN
            swatch = sheet.crop((left, top, left + SWATCH, top + SWATCH))
            box = ImageChops.difference(swatch, white).convert("L").point(lambda level: 255 * (level > 12)).getbbox()
            if box and min(box[2] - box[0], box[3] - box[1]) >= LEAST:
                yield row, column, swatch.crop(box)


if __name__ == "__main__":
    main()
