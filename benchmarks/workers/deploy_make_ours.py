"""Freezes a recipe and exports it in every precision. argv: method, good parts, pictures, folder."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from timing import report

from blemish.encoders import load
from blemish.export.deploying import ExportPlan
from blemish.export.exporting import export_recipe
from blemish.images import find
from blemish.recipes import update
from blemish.recipes.recipe import save

VARIANTS = {
    "onnxruntime-float32": ("float32", "onnxruntime"),
    "onnxruntime-int8": ("int8", "onnxruntime"),
    "openvino-float32": ("float32", "openvino"),
    "openvino-bfloat16": ("bfloat16", "openvino"),
    "openvino-int8": ("int8", "openvino"),
}
method, good, pictures, folder = sys.argv[1:5]
parts, shown = find([good]), find([pictures])
recipe = update.freeze(method, load("embedded", precision="float32"), good=parts)
save(recipe, Path(folder) / "torch.blemish")
taken, found = {}, {}
for name, (precision, backend) in VARIANTS.items():
    start = time.perf_counter()
    made = export_recipe(recipe, ExportPlan(precision, backend, good=tuple(parts), check=tuple(shown)))
    taken[name] = time.perf_counter() - start
    found[name] = made.parity.as_json()
    save(made.recipe, Path(folder) / f"{name}.blemish")
report(export=taken, parity=found)
