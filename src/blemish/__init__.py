"""Visual inspection with words and a few good parts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from blemish.types import Features, Geometry, Prediction, Sample

__version__ = "0.1.0"

_WHERE = {
    "AnomalyDINO": "blemish.detectors.anomaly_dino",
    "BlemishError": "blemish.errors",
    "Features": "blemish.types",
    "Geometry": "blemish.types",
    "PaDiM": "blemish.detectors.padim",
    "PatchCore": "blemish.detectors.patchcore",
    "Prediction": "blemish.types",
    "Sample": "blemish.types",
    "SubspaceAD": "blemish.detectors.subspace_ad",
    "TAB": "blemish.detectors.tab",
    "WinCLIP": "blemish.detectors.winclip",
    "evaluate": "blemish.evaluation",
    "good_parts": "blemish.learning",
    "inspect": "blemish.inspection",
    "load_encoder": "blemish.encoders",
}

__all__ = [
    "TAB",
    "AnomalyDINO",
    "BlemishError",
    "Features",
    "Geometry",
    "PaDiM",
    "PatchCore",
    "Prediction",
    "Sample",
    "SubspaceAD",
    "WinCLIP",
    "evaluate",
    "good_parts",
    "inspect",
    "load_encoder",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import blemish` alone does not import torch."""
    if name not in _WHERE:
        raise AttributeError(f"module 'blemish' has no attribute {name!r}")
    attribute = "load" if name == "load_encoder" else name
    value = getattr(import_module(_WHERE[name]), attribute)
    globals()[name] = value
    return value
