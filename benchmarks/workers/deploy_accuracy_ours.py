"""Image AUROC of a recipe and of its graphs on a labelled data set. argv: method, data, good parts, whether small."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from timing import report

from blemish import data
from blemish.data.sampling import shots
from blemish.encoders import load
from blemish.export.deploying import ExportPlan
from blemish.export.exporting import export_recipe
from blemish.recipes import update

VARIANTS = (("int8", "onnxruntime"), ("int8", "openvino"), ("bfloat16", "openvino"))
method, root, count, small = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1"
good = [each.image for each in shots(data.samples(root, split="train"), count)]
test = data.samples(root, split="test")[:: 10 if small else 1]
recipe = update.freeze(method, load("embedded", precision="float32"), good=good)
rows = []
with TemporaryDirectory() as folder:  # the check tells good pictures by the name of their folder
    shown = []
    for number, each in enumerate(test):
        link = Path(folder) / ("bad" if each.is_anomalous else "good") / f"{number}{each.image.suffix}"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(each.image.resolve())
        shown.append(link)
    for precision, backend in VARIANTS:
        plan = ExportPlan(precision, backend, good=tuple(good), check=tuple(shown))
        found = export_recipe(recipe, plan).parity
        apart = f"{found.auroc - found.auroc_before:+.4f}"
        both = f"{found.auroc:.4f}", f"{found.auroc_before:.4f}"
        rows.append((f"{backend}-{precision}", *both, apart, f"{found.score:.1e}"))
report(rows=rows)
