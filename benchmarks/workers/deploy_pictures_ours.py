"""Good parts of one drawn product, and pictures of others of it, half of them flawed. argv: counts, two folders."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from timing import report

from blemish.synth.drawn.specimens import specimen

good, shown = int(sys.argv[1]), int(sys.argv[2])
folders = [Path(each) for each in sys.argv[3:5]]
drawn, rng = specimen(0, 1, 384), np.random.default_rng(0)


def write(pixels: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noisy = np.asarray(pixels).astype(np.int16) + rng.integers(-6, 7, (384, 384, 3))
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(path)


for number in range(good):
    write(drawn.good, folders[0] / f"{number:02}.png")
for number in range(shown):
    kind, pixels = ("good", drawn.good) if number % 2 else ("flawed", drawn.flawed)
    write(pixels, folders[1] / kind / f"{number:02}.png")
report(pictures=good + shown)
