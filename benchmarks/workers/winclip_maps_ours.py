"""How far blemish's float32 WinCLIP is from the maps that anomalib's worker left. argv: folder, product."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from timing import report
from torch.nn import functional as F

from blemish import Batch, Prediction, WinCLIP, load_encoder, remember

folder, product = Path(sys.argv[1]), sys.argv[2]
images, theirs = np.load(folder / "images.npz"), np.load(folder / "peer.npz")
image, references = (torch.from_numpy(images[name]) for name in ("image", "references"))
groups = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))


def far(prediction: Prediction, kind: str) -> dict[str, float]:
    """Greatest absolute difference of score and map."""
    named = {"score": prediction.image_score, "map": prediction.anomaly_map}
    return {
        f"{kind}_{name}": float(np.abs(found.numpy() - theirs[f"{kind}_{name}"]).max()) for name, found in named.items()
    }


with torch.inference_mode():
    encoder = load_encoder(folder, precision="float32")
    detector = WinCLIP(encoder, product=product)
    # Its sentences repeat one of the paper's templates and leave one out.
    detector.texts = F.normalize(torch.stack([encoder.encode_text(group).mean(0) for group in groups]), dim=-1)
    zero = far(detector(image), "zero")
    few = far(remember(detector, [Batch(references)])(image), "few")
report(**zero, **few)
