"""A deployed recipe of PaDiM. argv: encoder, good parts, file."""

from __future__ import annotations

import sys
from pathlib import Path

from timing import report

from blemish.encoders import load
from blemish.export.deploying import ExportPlan
from blemish.export.exporting import export_recipe
from blemish.images import find
from blemish.recipes import update
from blemish.recipes.recipe import save

encoder, good, file = sys.argv[1:4]
recipe = update.freeze("padim", load(encoder, precision="float32"), good=find([good]))
made = export_recipe(recipe, ExportPlan(check=tuple(find([good])[:1])))
save(made.recipe, Path(file))
report(made=True)
