"""Visual inspection with words and a few good parts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blemish.calibrating import calibrate
    from blemish.calibration import Goal
    from blemish.detectors.anomaly_dino import AnomalyDINO
    from blemish.detectors.padim import PaDiM
    from blemish.detectors.patchcore import PatchCore
    from blemish.detectors.subspace_ad import SubspaceAD
    from blemish.detectors.tab import TAB
    from blemish.detectors.winclip import WinCLIP
    from blemish.encoders import load as load_encoder
    from blemish.errors import BlemishError
    from blemish.evaluation import evaluate
    from blemish.inspection import inspect
    from blemish.learning import good_parts
    from blemish.recipe import Recipe
    from blemish.recipe import detector as recipe_detector
    from blemish.recipe import load as load_recipe
    from blemish.recipe import save as save_recipe
    from blemish.teaching import add_defects, add_good, forget, freeze, undo
    from blemish.types import Features, Geometry, Prediction, Sample
    from blemish.verifying import verify

__version__ = "0.1.0"

_WHERE = {
    "AnomalyDINO": "blemish.detectors.anomaly_dino",
    "BlemishError": "blemish.errors",
    "Features": "blemish.types",
    "Geometry": "blemish.types",
    "Goal": "blemish.calibration",
    "PaDiM": "blemish.detectors.padim",
    "PatchCore": "blemish.detectors.patchcore",
    "Prediction": "blemish.types",
    "Recipe": "blemish.recipe",
    "Sample": "blemish.types",
    "SubspaceAD": "blemish.detectors.subspace_ad",
    "TAB": "blemish.detectors.tab",
    "WinCLIP": "blemish.detectors.winclip",
    "add_defects": "blemish.teaching",
    "add_good": "blemish.teaching",
    "calibrate": "blemish.calibrating",
    "evaluate": "blemish.evaluation",
    "forget": "blemish.teaching",
    "freeze": "blemish.teaching",
    "good_parts": "blemish.learning",
    "inspect": "blemish.inspection",
    "load_encoder": "blemish.encoders",
    "load_recipe": "blemish.recipe",
    "recipe_detector": "blemish.recipe",
    "save_recipe": "blemish.recipe",
    "undo": "blemish.teaching",
    "verify": "blemish.verifying",
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
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import blemish` alone does not import torch."""
    if name not in _WHERE:
        raise AttributeError(f"module 'blemish' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), _THERE.get(name, name))
    globals()[name] = value
    return value
