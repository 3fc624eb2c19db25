"""Time and memory of `blemish convert`, for 10,000 and 100,000 regions: to each format, and from those it reads."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from harness import Options, options, ours, parser, table
from PIL import Image

WIDTH, HEIGHT, A_PICTURE, CORNERS = 320, 240, 20, 24
TYPES = ("crack", "dent", "rust", "scratch")
LABELS = {"coco": "annotations.json", "labelstudio": "tasks.json", "cvat": "annotations.xml", "yolo": "."}
WRITTEN = ("coco", "yolo", "labelstudio", "cvat", "fiftyone", "supervision")


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    counts = (1_000, 10_000) if given.small else (10_000, 100_000)
    rows = list[tuple[object, ...]]()
    with tempfile.TemporaryDirectory() as name:
        runs = [_run(Path(name, str(count)), count) for count in counts]
        for target in WRITTEN:
            rows.append((f"to {target}", *_measure(runs, [["--to", target]] * 2, target, given)))
        for origin, file in LABELS.items():
            labels = [run.parent / origin / file for run in runs]
            images = [run.parent / "parts" for run in runs]
            words = [["--from", origin, *([] if origin == "yolo" else ["--images", str(folder)])] for folder in images]
            rows.append((f"from {origin}", *_measure(labels, words, f"of-{origin}", given)))
    small, large = (f"{count:,} regions" for count in counts)
    return "\n\n".join([
        "## `blemish convert`",
        f"Runs of {A_PICTURE} regions of {CORNERS} corners a picture of {WIDTH} x {HEIGHT}, four types. To YOLO "
        "pictures are copied; from other formats they are copied and masks are written. Wanted: 100,000 regions "
        "in 20 s, and memory that does not grow.",
        table(("", f"{small}, s", f"{large}, s", f"{small}, MiB", f"{large}, MiB"), rows),
    ])  # fmt: skip


def _measure(sources: Sequence[Path], words: Sequence[Sequence[str]], name: str, given: Options) -> tuple[str, ...]:
    """Seconds of both, then MiB of both at most."""
    found = [
        ours("convert_ours", source, *options, "--out", _home(source) / name, given=given)
        for source, options in zip(sources, words, strict=True)
    ]
    return *(f"{each['seconds']:.1f}" for each in found), *(f"{each['peak']:.0f}" for each in found)


def _home(source: Path) -> Path:
    return next(parent for parent in (source, *source.parents) if (parent / "parts").is_dir())


def _run(home: Path, regions: int) -> Path:
    """The folder of a run, with its pictures beside it in `parts`."""
    (home / "parts").mkdir(parents=True)
    (home / "run").mkdir()
    drawn = home / "drawn.png"
    Image.new("L", (WIDTH, HEIGHT), 128).save(drawn)
    rng = np.random.default_rng(0)
    with (home / "run" / "results.jsonl").open("w", encoding="utf-8") as file:
        for number in range(regions // A_PICTURE):
            path = home / "parts" / f"{number:06}.png"
            os.link(drawn, path)
            line = {"path": str(path), "score": 0.5, "size": {"width": WIDTH, "height": HEIGHT}, "verdict": "reject"}
            file.write(json.dumps(line | {"regions": [_region(rng) for _ in range(A_PICTURE)]}) + "\n")
    return home / "run"


def _region(rng: np.random.Generator) -> dict[str, object]:
    """A star about a place."""
    turns = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    reach = rng.uniform(5, 15, CORNERS)
    centre = rng.uniform((20, 20), (WIDTH - 20, HEIGHT - 20))
    points = np.rint(centre + reach[:, None] * np.stack([np.cos(turns), np.sin(turns)], 1)).astype(int)
    (x, y), (right, down) = points.min(0).tolist(), points.max(0).tolist()
    box = {"x": x, "y": y, "width": right - x, "height": down - y}
    return {"box": box, "score": 0.75, "contour": points.tolist(), "type": TYPES[rng.integers(len(TYPES))]}


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
