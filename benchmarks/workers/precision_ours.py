"""Scores of the same pictures in bfloat16 and float32. argv: number of pictures."""

from __future__ import annotations

import sys

import numpy as np
import torch
from pictures import defective, texture
from scipy.stats import spearmanr
from timing import report

from blemish import AnomalyDINO, Batch, PatchCore, WinCLIP, remember
from blemish.encoders.clip import CLIP
from blemish.encoders.config import TextConfig, ViTConfig
from blemish.encoders.text import TextTransformer
from blemish.encoders.tokenizer import build_tokenizer
from blemish.encoders.vit import VisionTransformer

count = int(sys.argv[1])
random = np.random.default_rng(0)


def stacked(pictures: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


good = stacked([texture(random, 240) for _ in range(4)])
pictures = stacked([(defective if n % 2 else texture)(random, 240) for n in range(count)])


def encoder(dtype: torch.dtype) -> CLIP:
    """ViT-B-16-plus-240 with seeded random weights of a trained network's size, and a tokenizer of bytes."""
    torch.manual_seed(0)
    visual = VisionTransformer(ViTConfig(240, 16, 896, 12, heads=14, hidden=3584, output=640, norm_pre=True))
    text = TextTransformer(TextConfig(width=640, heads=10, hidden=2560, output=640))
    made = CLIP(visual, text, build_tokenizer([])).requires_grad_(False).eval()
    made.name = "random"
    for name, parameter in made.named_parameters():
        if any(each in name for each in ("positions", "prefix", "tokens")):
            torch.nn.init.normal_(parameter, std=0.02)
        parameter.data = parameter.data.to(dtype)
    return made


def predictions(dtype: torch.dtype) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    model, found = encoder(dtype), {}
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
