"""The memory of `blemish inspect` as pictures become more and larger, and of learning many types of defects."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import HERE, Options, options, ours, parser, table
from PIL import Image

sys.path.append(str(HERE / "workers"))
from pictures import defective, texture

SIDE, DISTINCT = 512, 20
LARGE = 11585
"""Pixels of a side of the largest picture that is read."""
TILES = ("--tile", str(SIDE))


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    counts = (5, 20, 60) if given.small else (50, 500, 2000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good, originals = _drawn(folder / "good", 4, defects=False), _drawn(folder / "drawn", DISTINCT, defects=True)
        found = []
        for count in counts:
            pictures = folder / f"pictures{count}"
            pictures.mkdir()
            for number in range(count):
                original = originals[number % DISTINCT]
                shutil.copy(original, pictures / f"{number:05}{original.suffix}")
            found.append(ours("inspect_ours", pictures, good[0].parent, folder / f"out{count}", given=given))
            shutil.rmtree(pictures)
            shutil.rmtree(folder / f"out{count}")
    rows = [
        (count, f"{row['late']:.0f}", f"{row['peak']:.0f}", f"{row['seconds']:.0f}")
        for count, row in zip(counts, found, strict=True)
    ]
    return "\n\n".join([
        "## Memory of `inspect`",
        f"Generated pictures of {SIDE} px, half of them with a defect, 4 good parts, PatchCore with the built-in "
        "`test-tiny` encoder, heat maps written. Resident at the end is the median of the last quarter of the run; "
        "wanted: it does not grow with the number of pictures.",
        table(("pictures", "resident at the end, MiB", "at most, MiB", "seconds"), rows),
    ])  # fmt: skip


def large_section(given: Options) -> str:
    """The section of RESULTS.md on large pictures that are inspected in tiles."""
    sides = (1024, 2048) if given.small else (LARGE // 4, LARGE // 2, LARGE)
    rows = list[tuple[object, ...]]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = _drawn(folder / "good", 4, defects=False)[0].parent
        many = [(side, ".png", 1) for side in sides] + [(sides[-1], ".jpg", 1), (sides[-1], ".png", 3)]
        for side, ending, count in many:
            pictures = folder / f"pictures{len(rows)}"
            pictures.mkdir()
            for number in range(count):
                _large(pictures / f"{number}{ending}", side)
            found = ours("inspect_ours", pictures, good, folder / f"out{len(rows)}", *TILES, given=given)
            kind, pixels = "PNG" if ending == ".png" else "JPEG", side**2 / 1e6
            rows.append(
                (count, f"{side} px, {kind}", f"{pixels:.0f}", f"{found['peak']:.0f}", f"{found['seconds']:.0f}")
            )
            shutil.rmtree(pictures)
    return "\n\n".join([
        "## Memory of large pictures",
        f"Grey pictures, {SIDE} px tiles, otherwise as above: the picture itself takes 3 bytes a pixel, its map 4 and "
        "the joining of tiles 4 more. Of several pictures two for each core are decoded ahead, each of which is held.",
        table(("pictures", "side", "megapixels each", "memory at most, MiB", "seconds"), rows),
    ])  # fmt: skip


def _large(path: Path, side: int) -> None:
    """A grey picture of that side: one texture again and again."""
    piece = (texture(np.random.default_rng(side), SIDE).mean(2) * 255).astype(np.uint8)
    times = -(-side // SIDE)
    Image.fromarray(np.tile(piece, (times, times))[:side, :side]).save(path)


def types_section(given: Options) -> str:
    """The section of RESULTS.md on how many examples of types of defects fit in memory."""
    counts = (100, 1_000) if given.small else (1_000, 10_000, 100_000)
    found = [(count, ours("types_ours", str(count), "10", "ridge", given=given)) for count in counts]
    rows = [
        (f"{count:,}", f"{row['kept']:,}", f"{row['peak'] - row['before']:.0f}", f"{row['seconds']:.0f}")
        for count, row in found
    ]
    return "\n\n".join([
        "## Memory of learning types of defects",
        f"`ridge` learns drawn examples of 10 types, {found[0][1]['length']} numbers each as the embedded encoder "
        "describes a picture, and finds how sure it is by examples held out in turn. Kept are those for which memory "
        "was set aside; beyond what the program itself takes.",
        table(("examples", "kept", "memory at most, MiB", "seconds"), rows),
    ])  # fmt: skip


def _drawn(folder: Path, count: int, *, defects: bool) -> list[Path]:
    """PNG files of generated parts; with `defects`, every second one has one."""
    random = np.random.default_rng(len(folder.name))
    folder.mkdir()
    paths = []
    for number in range(count):
        picture = (defective if defects and number % 2 else texture)(random, SIDE)
        paths.append(folder / f"{number}.png")
        Image.fromarray((picture * 255).astype(np.uint8)).save(paths[-1])
    return paths


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
