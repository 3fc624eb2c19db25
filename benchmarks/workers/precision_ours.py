"""Scores of the same pictures in bfloat16 and float32. argv: number of pictures."""

from __future__ import annotations

import sys

import numpy as np
import torch
from pictures import defective, texture
from random_clip import random_clip, stacked
from scipy.stats import spearmanr
from timing import report

from blemish import AnomalyDINO, Batch, PatchCore, WinCLIP, remember

count = int(sys.argv[1])
random = np.random.default_rng(0)
good = stacked([texture(random, 240) for _ in range(4)])
pictures = stacked([(defective if n % 2 else texture)(random, 240) for n in range(count)])


def predictions(dtype: torch.dtype) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    model, found = random_clip(dtype), {}
    detectors = {
        "WinCLIP, zero-shot": WinCLIP(model),
        "WinCLIP, 4 references": remember(WinCLIP(model), [Batch(good)]),
        "AnomalyDINO, 4 references": remember(AnomalyDINO(model), [Batch(good)]),
        "PatchCore, 4 references": remember(PatchCore(model), [Batch(good)]),
    }
    for name, detector in detectors.items():
        parts = [detector(part) for part in pictures.split(4)]
        score, maps = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
        found[name] = (score, maps)
    return found


with torch.inference_mode():
    exact, fast = predictions(torch.float32), predictions(torch.bfloat16)
rows = {}
for name, (score, maps) in exact.items():
    other, others = fast[name]
    rows[name] = {
        "images": float(spearmanr(score, other).statistic),
        "pixels": float(spearmanr(maps.ravel(), others.ravel()).statistic),
        "score": float(np.abs(score - other).max()),
        "score_range": float(np.ptp(score)),
        "map": float(np.abs(maps - others).max()),
        "map_range": float(np.ptp(maps)),
    }
report(rows=rows)
