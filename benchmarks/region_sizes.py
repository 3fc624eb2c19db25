"""How large the regions of defects are beside the masks that people, or the program that drew them, made of them.

    python benchmarks/region_sizes.py --data drawn --data DIR [--encoder FILE] [--methods tab patchcore anomaly-dino]
    python benchmarks/region_sizes.py --data drawn --shares 0.3 0.35 0.4 0.45 0.5

Some good parts teach, others set the threshold of pixels, which is just above their highest. Of each defective
picture the worst region that meets the mask is compared with the pieces of the mask that it meets: its longer side and
its area, as shares of theirs. `drawn`: parts of six kinds with flaws, of this project's own generator. `--shares`: of
the height above the map's median at which a region ends, by the same maps. Every row is printed and added to
`region_sizes.jsonl`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from harness import HERE, Options, table
from numpy.typing import NDArray
from PIL import Image

from blemish import encoders
from blemish.blocks.defect_regions import SHARE, regions
from blemish.classification.regions import inside_region
from blemish.data.masks import read_ground_truth
from blemish.data.sampling import shuffle
from blemish.errors import BadInput
from blemish.evaluation.evaluate import Trial, test_samples, training_samples
from blemish.fitting import fit_detector
from blemish.images import Inspected, components, crop
from blemish.inspection import inspect
from blemish.synth.drawn.flaws.flaws import add_flaw
from blemish.synth.drawn.optics import Camera, Light, draw_camera, draw_light, illuminate, meter, photograph
from blemish.synth.drawn.parts.parts import PARTS
from blemish.synth.drawn.scene import Scene
from blemish.synth.drawn.specimens import visible
from blemish.types import Encoder, Sample

RAW = HERE / "region_sizes.jsonl"
LEARNED, HELD, MOST = 8, 8, 40
"""Good parts that teach, others that set the threshold, and defective pictures of a set, at most."""
SMALLEST = 20
"""Pixels of a mask, at least, whose size is compared."""
KINDS, FLAWS = 6, 8
"""Drawn parts, and flaws of each."""
HEAD = ("set", "encoder", "method", "share", "pictures", "longer side", "area", "by the threshold alone", "area")


class Size(NamedTuple):
    """Of a region, as shares of what it meets of a mask."""

    longer: float
    area: float


def draw_parts(root: Path) -> list[Path]:
    """A folder of `good`, `defect` and `masks` for each of some kinds of parts, all good ones of one design."""
    names = ["gear", *sorted({*PARTS} - {"gear"})][:KINDS]
    for name in names:
        for each in ("good", "defect", "masks"):
            (root / name / each).mkdir(parents=True)
        design, rng = PARTS[name].draw(np.random.default_rng(0), 256), np.random.default_rng(1)
        light, camera = draw_light(rng), draw_camera(rng)
        for number in range(LEARNED + HELD):
            shot, angle = _photograph(design, light, camera, number)
            _turn(shot, angle).save(root / name / "good" / f"{number:02}.png")
        for number, (flawed, family, where) in zip(range(FLAWS), _flaws(design), strict=False):
            good, angle = _photograph(design, light, camera, 100 + number)
            shot, _ = _photograph(flawed, light, camera, 100 + number)
            _turn(shot, angle).save(root / name / "defect" / f"{family}_{number}.png")
            mask = visible(good, shot, where)
            _turn(np.uint8(255) * mask, angle).save(root / name / "masks" / f"{family}_{number}.png")
    return [root / name for name in names]


def _flaws(design: Scene) -> Iterator[tuple[Scene, str, NDArray[np.bool_]]]:
    for seed in range(40):
        flawed = design.copy()
        try:
            family, where = add_flaw(flawed, np.random.default_rng((3, seed)))
        except BadInput:
            continue
        yield flawed, family, where


def _photograph(scene: Scene, light: Light, camera: Camera, number: int) -> tuple[NDArray[np.uint8], float]:
    """As it lies when its picture of that number is taken, and by how many degrees it is turned."""
    rng = np.random.default_rng((2, number))
    light = replace(light, azimuth=light.azimuth + rng.normal(0, 0.05), seed=int(rng.integers(2**31)))
    seen = illuminate(scene.surface, light)
    camera = replace(camera, exposure=camera.exposure * rng.uniform(0.97, 1.03), seed=int(rng.integers(2**31)))
    return photograph(seen, meter(camera, seen)), rng.uniform(-3, 3)


def _turn(pixels: NDArray[np.uint8], angle: float) -> Image.Image:
    corner = pixels[2, 2].tolist()
    how = Image.Resampling.BICUBIC if pixels.ndim == 3 else Image.Resampling.NEAREST
    return Image.fromarray(pixels).rotate(angle, how, fillcolor=tuple(corner) if pixels.ndim == 3 else 0)


def samples_of(root: Path) -> tuple[list[Sample], list[Sample]]:
    """Good parts, and defects with masks, in an order drawn by a fixed seed."""
    plain = Trial(root, None, None, "tab", "")
    good = {each.image: each for each in [*training_samples(plain), *test_samples(plain)] if not each.is_anomalous}
    defects = [each for each in test_samples(plain) if each.is_anomalous and each.masks]
    return shuffle([*good.values()], seed=0), shuffle(defects, seed=0)[:MOST]


def measure(root: Path, encoder: Encoder, method: str, shares: Sequence[float]) -> list[list[tuple[Size, Size]]]:
    """By each share, of each picture of which a region meets the mask: of that region, and of all that the threshold
    reaches there.
    """
    good, defects = samples_of(root)
    learned = min(LEARNED, len(good) // 2)
    detector = fit_detector(method, encoder, product=root.name, good=[each.image for each in good[:learned]])
    held = [each.image for each in good[learned : learned + HELD]]
    peaks = [float(np.nanmax(each.anomaly_map)) for each in inspect(detector, held) if isinstance(each, Inspected)]
    threshold = math.nextafter(max(peaks), math.inf)
    found: list[list[tuple[Size, Size]]] = [[] for _ in shares]
    for sample, result in zip(defects, inspect(detector, [each.image for each in defects]), strict=True):
        assert isinstance(result, Inspected)
        values = np.asarray(result.anomaly_map)
        marked, _ = components(read_ground_truth(sample.masks, sample.image, size=values.shape))
        for sizes, share in zip(found, shares, strict=True):
            sizes += compare(values, threshold, marked, share)
    return found


def compare(
    values: NDArray[np.float32], threshold: float, marked: NDArray[np.int32], share: float
) -> list[tuple[Size, Size]]:
    """Of the worst region that meets what is marked by numbers from 1 on; none or one."""
    for each in regions(values, threshold, share=share):
        inside = inside_region(values, each).pixels
        met = set(crop(marked, each.box)[inside].tolist()) - {0}
        wanted = np.isin(marked, sorted(met))
        if wanted.sum() >= SMALLEST:
            reached, _ = components(values >= threshold)
            y, x = np.argwhere(inside)[0] + (each.box.y, each.box.x)
            alone = reached == reached[y, x]
            return [(_size(each.box.width, each.box.height, each.area, wanted), _size(*_extent(alone), wanted))]
    return []


def _extent(inside: NDArray[np.bool_]) -> tuple[int, int, int]:
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1, int(inside.sum())


def _size(width: int, height: int, area: int, wanted: NDArray[np.bool_]) -> Size:
    wide, high, all_of_it = _extent(wanted)
    return Size(max(width, height) / max(wide, high), area / all_of_it)


def main() -> None:
    """Measure what the options say."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", action="append", default=[], help="a data set with masks, or drawn; repeatable")
    made.add_argument("--encoder", default=encoders.DEFAULT, help="a name or a checkpoint (default: %(default)s)")
    made.add_argument("--methods", nargs="+", default=["tab", "patchcore", "anomaly-dino"])
    made.add_argument("--shares", nargs="+", type=float, default=[SHARE], help="(default: %(default)s)")
    made.add_argument("--threads", type=int, default=2, help="(default: 2)")
    given = made.parse_args()
    torch.set_num_threads(given.threads)
    encoder = encoders.load(given.encoder)
    with tempfile.TemporaryDirectory() as folder:
        for name in given.data:
            roots = draw_parts(Path(folder)) if name == "drawn" else [Path(name)]
            for method in given.methods:
                about = {"set": Path(name).name, "encoder": Path(encoder.name).stem, "method": method}
                found = [measure(root, encoder, method, given.shares) for root in roots]
                for share, each in zip(given.shares, zip(*found, strict=True), strict=True):
                    _write({**about, "share": share}, np.array([pair for part in each for pair in part]))  # (N, 2, 2)


def _write(row: dict[str, Any], sizes: NDArray[np.float64]) -> None:
    """Median, and the shares that 10 and 90 % do not exceed, of each size."""
    shares = np.quantile(sizes, [0.5, 0.1, 0.9], axis=0).round(3).reshape(3, 4).T.tolist()
    row |= {"pictures": len(sizes), **dict(zip(("longer", "area", "longer_alone", "area_alone"), shares, strict=True))}
    row |= {"measured": str(datetime.datetime.now(tz=datetime.UTC).date())}
    with RAW.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def section(options: Options) -> str:
    """The table of what has been measured."""
    rows = [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.exists() else []
    lines = [
        (row["set"], row["encoder"], row["method"], f"{row['share']:g}", row["pictures"],
         *(_cell(row[name]) for name in ("longer", "area", "longer_alone", "area_alone")))
        for row in sorted(rows, key=lambda row: (row["set"], row["encoder"], row["method"], row["share"]))
    ]  # fmt: skip
    return "\n\n".join((
        "## Sizes of regions",
        "By `benchmarks/region_sizes.py`: longer side and area of the worst region of each picture, as shares of those "
        "of the mask that it meets: the median, and the range of 10 to 90 %. Beside it those of all that the threshold "
        "of pixels reaches there, which is just above the highest pixel of 8 good parts. A region ends at a share of "
        "its height above the median of the map. 0.5 was chosen on drawn parts and paper (PIPED), whose specks are "
        "smaller than a patch, among 0.2 to 0.6 of the height above the median, above the threshold, and above that of "
        "good parts, before `mvtec_bottle` was measured: 0.6 overlapped the masks a little more, and made drawn "
        "defects shorter still. Below 0.5 drawn defects come nearer to their length, and specks of paper grow farther "
        "beyond theirs, by more.",
        table(HEAD, lines),
    ))  # fmt: skip


def _cell(shares: Sequence[float]) -> str:
    return f"{shares[0]:.2f} ({shares[1]:.2f} to {shares[2]:.2f})"


if __name__ == "__main__":
    main()
