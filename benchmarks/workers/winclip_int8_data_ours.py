"""Image AUROC of WinCLIP with a trained tower, in float32 and int8. argv: data set, checkpoint, whether small."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import numpy as np
import torch
from random_clip import with_words
from timing import report

from blemish import Batch, WinCLIP, data, load_encoder, remember
from blemish.data.sampling import shots
from blemish.encoders.vit import VisionTransformer
from blemish.export.deploying import arrays_of_inputs
from blemish.export.quantizing import quantize
from blemish.export.tracing import Deployable, trace_detector
from blemish.images import WHOLE
from blemish.metrics.image import auroc
from blemish.runtime.graph import open_model

root, small = Path(sys.argv[1]), sys.argv[3] == "1"
torch.manual_seed(0)
visual = cast(VisionTransformer, load_encoder(sys.argv[2], precision="float32"))
detector = WinCLIP(with_words(visual, visual.width)).eval()
good = [each.image for each in shots(data.samples(root, split="train"), 8)]
test = data.samples(root, split="test")[:: 10 if small else 1]
parts, shown = (
    arrays_of_inputs(paths, detector.geometry, WHOLE, len(paths)) for paths in (good, [each.image for each in test])
)
remember(detector, [Batch(torch.from_numpy(np.concatenate(parts[:4])))])
labels = [each.is_anomalous for each in test]
with torch.inference_mode():
    scores = {"float32": [float(detector(torch.from_numpy(image)).image_score) for image in shown]}
size = (shown[0].shape[2], shown[0].shape[3])
model = trace_detector(detector, size).model
for backend in ("onnxruntime", "openvino"):
    made = quantize(model, Deployable(detector), parts[4:], backend)
    run = open_model(made, backend, "int8", "the graph").run
    scores[backend] = [float(run({"images": image})[0][0]) for image in shown]
report(**{name: auroc(np.array(found), labels) for name, found in scores.items()})
