"""WinCLIP on random weights as graphs in float32 and int8, and what torch finds. argv: folder, good parts, pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from pictures import defective, texture
from random_clip import SIDE, random_clip, stacked
from timing import report

from blemish import Batch, WinCLIP, remember
from blemish.export.quantizing import quantize
from blemish.export.tracing import Deployable, trace_detector

folder, count, shown = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
random = np.random.default_rng(0)
good = stacked([texture(random, SIDE) for _ in range(4)])
images = stacked([(defective if n % 2 else texture)(random, SIDE) for n in range(shown)])
detector = WinCLIP(random_clip()).eval()
if count:
    remember(detector, [Batch(good[:count])])
with torch.inference_mode():
    found = [detector(image[None]) for image in images]
scores, maps = (np.concatenate([each[at].numpy() for each in found]) for at in (0, 1))
np.savez(folder / "expected.npz", images=images.numpy(), scores=scores, maps=maps)
model = trace_detector(detector, (SIDE, SIDE)).model
(folder / "float32.onnx").write_bytes(model.SerializeToString())
inputs = [each[None].numpy() for each in good]
for backend in ("onnxruntime", "openvino"):
    (folder / f"{backend}.int8.onnx").write_bytes(quantize(model, Deployable(detector), inputs, backend))
report(made=1)
