"""Visual inspection with words and a few good parts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blemish.calibration.thresholds import Goal
    from blemish.detectors.anomaly_dino import AnomalyDINO
    from blemish.detectors.padim import PaDiM
    from blemish.detectors.patchcore import PatchCore
    from blemish.detectors.subspace_ad import SubspaceAD
    from blemish.detectors.tab import TAB
    from blemish.detectors.winclip import WinCLIP
    from blemish.encoders import load as load_encoder
    from blemish.errors import BlemishError
    from blemish.evaluation.evaluate import evaluate
    from blemish.evaluation.validate import validate
    from blemish.fitting import good_parts
    from blemish.inspection import inspect
    from blemish.recipes.calibrate import calibrate
    from blemish.recipes.recipe import Recipe
    from blemish.recipes.recipe import detector as recipe_detector
    from blemish.recipes.recipe import load as load_recipe
    from blemish.recipes.recipe import save as save_recipe
    from blemish.recipes.update import add_defects, add_good, forget, freeze, undo
    from blemish.types import Features, Geometry, Prediction, Sample

__version__ = "0.1.0"

_WHERE = {
    "AnomalyDINO": "blemish.detectors.anomaly_dino",
    "BlemishError": "blemish.errors",
    "Features": "blemish.types",
    "Geometry": "blemish.types",
    "Goal": "blemish.calibration.thresholds",
    "PaDiM": "blemish.detectors.padim",
    "PatchCore": "blemish.detectors.patchcore",
    "Prediction": "blemish.types",
    "Recipe": "blemish.recipes.recipe",
    "Sample": "blemish.types",
    "SubspaceAD": "blemish.detectors.subspace_ad",
    "TAB": "blemish.detectors.tab",
    "WinCLIP": "blemish.detectors.winclip",
    "add_defects": "blemish.recipes.update",
    "add_good": "blemish.recipes.update",
    "calibrate": "blemish.recipes.calibrate",
    "evaluate": "blemish.evaluation.evaluate",
    "forget": "blemish.recipes.update",
    "freeze": "blemish.recipes.update",
    "good_parts": "blemish.fitting",
    "inspect": "blemish.inspection",
    "load_encoder": "blemish.encoders",
    "load_recipe": "blemish.recipes.recipe",
    "recipe_detector": "blemish.recipes.recipe",
    "save_recipe": "blemish.recipes.recipe",
    "undo": "blemish.recipes.update",
    "validate": "blemish.evaluation.validate",
}
_THERE = {"load_encoder": "load", "load_recipe": "load", "recipe_detector": "detector", "save_recipe": "save"}
"""What is called otherwise in its own module."""

__all__ = [
    "TAB",
    "AnomalyDINO",
    "BlemishError",
    "Features",
    "Geometry",
    "Goal",
    "PaDiM",
    "PatchCore",
    "Prediction",
    "Recipe",
    "Sample",
    "SubspaceAD",
    "WinCLIP",
    "add_defects",
    "add_good",
    "calibrate",
    "evaluate",
    "forget",
    "freeze",
    "good_parts",
    "inspect",
    "load_encoder",
    "load_recipe",
    "recipe_detector",
    "save_recipe",
    "undo",
    "validate",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import blemish` alone does not import torch."""
    if name not in _WHERE:
        raise AttributeError(f"module 'blemish' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), _THERE.get(name, name))
    globals()[name] = value
    return value
