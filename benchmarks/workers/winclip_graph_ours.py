"""One of those graphs, or WinCLIP with torch: seconds a picture, and how far it is.

argv: folder, variant, good parts, and anything to compare all pictures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pictures import texture
from random_clip import SIDE, random_clip, stacked
from scipy.stats import spearmanr
from timing import report, seconds

from blemish import Batch, WinCLIP, remember
from blemish.runtime.graph import open_model

folder, variant, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
expected = np.load(folder / "expected.npz")


def by_torch() -> Callable[[np.ndarray], Any]:
    random = np.random.default_rng(0)
    detector = WinCLIP(random_clip())
    if count:
        remember(detector, [Batch(stacked([texture(random, SIDE) for _ in range(count)]))])
    return lambda image: [each.numpy() for each in detector(torch.from_numpy(image))[:2]]


def by_graph() -> Callable[[np.ndarray], Any]:
    backend, _, precision = variant.partition("-")
    file = f"{backend}.int8.onnx" if precision == "int8" else "float32.onnx"
    threads = int(os.environ["OMP_NUM_THREADS"])
    model = (folder / file).read_bytes()
    run = open_model(model, backend, precision, file, threads=threads).run
    return lambda image: run({"images": image})[:2]


with torch.inference_mode():
    call = by_torch() if variant == "torch" else by_graph()
    images = [each[None] for each in expected["images"]]
    taken = [each for image in images[:3] for each in seconds(lambda image=image: call(image), repeats=1, warm=0)]
    found = [call(image) for image in images] if sys.argv[4:] else []
if found:
    scores, maps = (np.concatenate([each[at] for each in found]) for at in (0, 1))
    report(
        seconds=taken[1:],
        images=float(spearmanr(scores, expected["scores"]).statistic),
        pixels=float(spearmanr(maps.ravel(), expected["maps"].ravel()).statistic),
    )
else:
    report(seconds=taken[1:])
