"""Metrics of one data set in both precisions. argv: data set, checkpoint, method, shots."""

from __future__ import annotations

import sys
from pathlib import Path

from timing import report

from blemish import load_encoder
from blemish.evaluation.evaluate import Trial, run_trial

root, weights, method, shots = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
found = {}
for precision in ("float32", "bfloat16"):
    trial = Trial(root, None, None, method, load_encoder(weights, precision=precision), shots=shots)
    measured = run_trial(trial)
    found[precision] = {name: getattr(measured, name).value for name in ("image_auroc", "pixel_auroc", "aupro")}
report(**found)
