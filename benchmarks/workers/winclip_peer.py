"""anomalib's WinClipModel: times, and its maps for the comparison. argv: folder, product."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from timing import report, seconds
from winclip_model import give_raw_patches, random_model

folder, product = Path(sys.argv[1]), sys.argv[2]
MEAN = torch.tensor((0.48145466, 0.4578275, 0.40821073)).view(3, 1, 1)
STD = torch.tensor((0.26862954, 0.26130258, 0.27577711)).view(3, 1, 1)
images = np.load(folder / "images.npz")
# Normalised here, as its pre-processor would; its own few-shot path leaves the references as they are.
image, references = ((torch.from_numpy(images[name]) - MEAN) / STD for name in ("image", "references"))

with torch.inference_mode():
    model = random_model(str(folder))
    words = seconds(lambda: model._collect_text_embeddings(product), repeats=1, warm=0)
    zero = seconds(lambda: model(image))
    recipe = seconds(lambda: model.setup(product, references), repeats=1, warm=0)
    few = seconds(lambda: model(image))
    give_raw_patches(model)
    model.k_shot = 0
    zero_shot = model(image)
    model.setup(reference_images=references)
    few_shot = model(image)
found = {"zero_map": zero_shot.anomaly_map, "zero_score": zero_shot.pred_score}
found |= {"few_map": few_shot.anomaly_map, "few_score": few_shot.pred_score}
np.savez(folder / "peer.npz", **{name: value.numpy() for name, value in found.items()})
report(words=words, zero=zero, recipe=recipe, few=few)
