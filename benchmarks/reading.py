"""From a picture's file to a detector's input: what reading and resizing take, beside torch's own resizing.

    python benchmarks/reading.py

Each number is the best of several runs in one process, the ways in turn, one thread each: reading alone; reading and
resizing as blemish does; and resizing by torch.nn.functional.interpolate(antialias=True) instead, in bytes, which
rounds twice, and in floats, which agrees with ours to 1e-5.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

from blemish.images import read, resize

SIZES = ((700, 700), (1024, 1024), (3000, 4000))
SIDE = (224, 224)


def best(ways: Sequence[Callable[[], object]], repeats: int = 9) -> list[float]:
    """Milliseconds of each."""
    times = [[1000 * seconds(way) for way in ways] for _ in range(repeats)]
    return [min(column) for column in zip(*times, strict=True)]


def seconds(way: Callable[[], object]) -> float:
    begun = time.perf_counter()
    way()
    return time.perf_counter() - begun


def by_torch(picture: NDArray[np.uint8], *, floats: bool) -> torch.Tensor:
    found = torch.from_numpy(picture.copy("K"))[None]
    small = interpolate(found.float() / 255 if floats else found, SIDE, mode="bicubic", antialias=True)
    return small.clamp_(0, 1) if floats else small.float() / 255


def main() -> None:
    torch.set_num_threads(1)
    print("| picture | file | reading ms | ours ms | torch bytes ms | torch floats ms | ours / bytes | ours / floats |")
    print("|---|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for height, width in SIZES:
            coarse = Image.fromarray(rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8))
            for kind in ("jpg", "png"):
                path = Path(folder, f"{height}.{kind}")
                coarse.resize((width, height), Image.Resampling.BICUBIC).save(path)
                ways = (
                    lambda path=path: read(path),
                    lambda path=path: resize(read(path), SIDE),
                    lambda path=path: by_torch(read(path), floats=False),
                    lambda path=path: by_torch(read(path), floats=True),
                )
                alone, ours, in_bytes, in_floats = best(ways)
                print(
                    f"| {width} x {height} | {kind} | {alone:.1f} | {ours:.1f} | {in_bytes:.1f} | {in_floats:.1f} | "
                    f"{ours / in_bytes:.2f} | {ours / in_floats:.2f} |"
                )


if __name__ == "__main__":
    main()
