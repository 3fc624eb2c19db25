"""blemish's WinCLIP: times with `--precision auto` and in float32. argv: folder, product."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from timing import report, seconds

from blemish import Batch, WinCLIP, load_encoder, remember

folder, product = Path(sys.argv[1]), sys.argv[2]
images = np.load(folder / "images.npz")
image, references = (torch.from_numpy(images[name]) for name in ("image", "references"))


def measured(precision: str) -> dict[str, list[float]]:
    encoder = load_encoder(folder, precision=precision)
    words = seconds(lambda: WinCLIP(encoder, product=product))
    detector = WinCLIP(encoder, product=product)
    zero = seconds(lambda: detector(image))
    recipe = seconds(lambda: remember(WinCLIP(encoder, product=product), [Batch(references)]), repeats=1, warm=0)
    remember(detector, [Batch(references)])
    return {"words": words, "zero": zero, "recipe": recipe, "few": seconds(lambda: detector(image))}


with torch.inference_mode():
    default, exact = measured("auto"), measured("float32")
report(**default, **{f"{name}32": taken for name, taken in exact.items()})
