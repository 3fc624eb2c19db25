"""Exports again what was taught more, both ways. argv: method, good, pictures, how many first, 1 for float32 alone."""

from __future__ import annotations

import sys
import time

import numpy as np
from timing import report

from blemish.encoders import load
from blemish.errors import BadInput
from blemish.export import exporting
from blemish.export.deploying import ExportPlan, graph_bytes
from blemish.export.lessons import learned_of
from blemish.images import find
from blemish.recipes import update
from blemish.runtime.graph import open_model

VARIANTS = (("float32", "onnxruntime"), ("int8", "openvino"))
method, good, pictures, first, small = *sys.argv[1:4], *map(int, sys.argv[4:6])
parts, shown = find([good]), find([pictures])
recipe = update.freeze(method, load("embedded", precision="float32"), good=parts[:first])
taught = update.add_good(recipe, parts[first:])
lengths = [f"{max((len(each) for each in learned_of(every).values() if each.ndim), default=0):,}"
           for every in (recipe, taught)]  # fmt: skip


def timed(before):
    start = time.perf_counter()
    found = exporting.export_recipe(taught, plan, before=before)
    return found, time.perf_counter() - start


def picture_ms(found) -> str:
    deployed = found.recipe.deployed
    model = open_model(graph_bytes(found.recipe), deployed.backend, deployed.precision, "the graph")
    images = np.random.default_rng(0).random((1, 3, *deployed.size), dtype=np.float32)
    seconds = []
    for _ in range(12):
        start = time.perf_counter()
        model.run({"images": images})
        seconds.append(time.perf_counter() - start)
    return f"{1e3 * sorted(seconds[2:])[5]:.1f}"


def refuse(*_):
    raise BadInput("a new graph is needed")


rows, anew = [], exporting.graphs_of
for precision, backend in VARIANTS[:1] if small else VARIANTS:
    plan = ExportPlan(precision, backend, good=tuple(parts), check=tuple(shown))
    old = exporting.export_recipe(recipe, plan).recipe
    new, taken = timed(None)
    row = [f"{backend}-{precision}", *lengths, f"{taken:.1f}", "", "", picture_ms(new), ""]
    exporting.graphs_of = refuse
    try:
        renewed, took = timed(old)
        row[4:6], row[7] = [f"{took:.1f}", f"{renewed.parity.score:.1e}"], picture_ms(renewed)
    except BadInput:
        pass
    exporting.graphs_of = anew
    rows.append(row)
report(rows=rows)
