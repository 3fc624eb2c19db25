"""Inspects pictures one by one by a recipe, with torch or, if it is deployed, without. argv: recipe, pictures."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

start = time.perf_counter()

from timing import peak_mib, report  # noqa: E402

from blemish.images import find  # noqa: E402
from blemish.inspection import inspect  # noqa: E402
from blemish.recipes.recipe import load  # noqa: E402

recipe, paths = load(Path(sys.argv[1])), find([sys.argv[2]])
if recipe.deployed:
    from blemish.runtime.running import graph_detector

    made = graph_detector(recipe, threads=int(os.environ["OMP_NUM_THREADS"]))
else:
    from blemish.recipes.detectors import detector

    made = detector(recipe)
found = inspect(made, paths, view=recipe.view, batch_size=1)
next(found)
first = time.perf_counter() - start
seconds = [each.seconds for each in found][1:]
report(first=first, seconds=seconds, peak=peak_mib(), torch="torch" in sys.modules)
