"""Visual inspection with words and a few good parts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from blemish.catalog import METHODS
from blemish.errors import require_torch
from blemish.version import VERSION

if TYPE_CHECKING:
    # tables: names
    from blemish.calibration.thresholds import Goal
    from blemish.classification.names import defect_types
    from blemish.detectors.aa_clip import AACLIP
    from blemish.detectors.ada_clip import AdaCLIP
    from blemish.detectors.adapt_clip import AdaptCLIP
    from blemish.detectors.adp import ADP
    from blemish.detectors.af_clip import AFCLIP
    from blemish.detectors.anomaly_clip import AnomalyCLIP
    from blemish.detectors.anomaly_dino import AnomalyDINO
    from blemish.detectors.anomaly_nlp import AnomalyNLP
    from blemish.detectors.anomaly_vfm import AnomalyVFM
    from blemish.detectors.april_gan import APRILGAN
    from blemish.detectors.attribute_clip import AttributeCLIP
    from blemish.detectors.clip_ada import CLIPADA
    from blemish.detectors.clip_core import CLIPCore
    from blemish.detectors.clip_dsa import CLIPDSA
    from blemish.detectors.clip_mdc import CLIPMDC
    from blemish.detectors.code_clip import CoDeCLIP
    from blemish.detectors.dcs import DCS
    from blemish.detectors.dinomaly import Dinomaly
    from blemish.detectors.dma_sap import DMASAP
    from blemish.detectors.dyc_clip import DyCCLIP
    from blemish.detectors.fe_clip import FECLIP
    from blemish.detectors.found_ad import FoundAD
    from blemish.detectors.fp_clip import FPCLIP
    from blemish.detectors.ftpa_dmm import FTPADMM
    from blemish.detectors.g_anomaly import GAnomaly
    from blemish.detectors.genclip import GenCLIP
    from blemish.detectors.glass import GLASS
    from blemish.detectors.hieclip import HieCLIP
    from blemish.detectors.ia_clip import IACLIP
    from blemish.detectors.iad_clip import IADCLIP
    from blemish.detectors.leclip import LECLIP
    from blemish.detectors.multi_ads import MultiADS
    from blemish.detectors.musc import MuSc
    from blemish.detectors.mvfa import MVFA
    from blemish.detectors.normal_variation import NormalVariation
    from blemish.detectors.ov_as import OVAS
    from blemish.detectors.ov_iad import OVIAD
    from blemish.detectors.padim import PaDiM
    from blemish.detectors.patchcore import PatchCore
    from blemish.detectors.pro_clip import ProCLIP
    from blemish.detectors.prompt_ad import PromptAD
    from blemish.detectors.rad import RAD
    from blemish.detectors.rare_clip import RareCLIP
    from blemish.detectors.scale_clip import ScaleCLIP
    from blemish.detectors.scf_ad import SCFAD
    from blemish.detectors.sea_clip import SeaCLIP
    from blemish.detectors.semantic_splicing import SemanticSplicing
    from blemish.detectors.subspace_ad import SubspaceAD
    from blemish.detectors.supersimplenet import SuperSimpleNet
    from blemish.detectors.tab import TAB
    from blemish.detectors.text_adapted_medical import TextAdaptedMedical
    from blemish.detectors.tgrf_clip import TGRFCLIP
    from blemish.detectors.uniadc import UniADC
    from blemish.detectors.uniadet import UniADet
    from blemish.detectors.uniclip_ad import UniCLIPAD
    from blemish.detectors.winclip import WinCLIP
    from blemish.encoders import load as load_encoder
    from blemish.errors import BlemishError
    from blemish.estimator import InspectionEstimator
    from blemish.evaluation.evaluate import evaluate
    from blemish.evaluation.validate import validate
    from blemish.fitting import good_parts, remember
    from blemish.inspection import inspect
    from blemish.recipes.calibrate import calibrate
    from blemish.recipes.detectors import detector as recipe_detector
    from blemish.recipes.fit import TrainingSettings, fit
    from blemish.recipes.recipe import Recipe, undo
    from blemish.recipes.recipe import load as load_recipe
    from blemish.recipes.recipe import save as save_recipe
    from blemish.recipes.train import Training, find_examples
    from blemish.recipes.types_taught import name_types
    from blemish.recipes.update import add_defects, add_good, forget, freeze
    from blemish.runs.decision import decision
    from blemish.runs.discovery import discover
    from blemish.tuning.search import Tuning, tune
    from blemish.types import Batch, Features, Geometry, Prediction, Sample
    # tables: end

__version__ = VERSION

_WHERE = {
    "BlemishError": "blemish.errors:BlemishError",
    "Batch": "blemish.types:Batch",
    "Features": "blemish.types:Features",
    "Geometry": "blemish.types:Geometry",
    "Goal": "blemish.calibration.thresholds:Goal",
    "InspectionEstimator": "blemish.estimator:InspectionEstimator",
    "Prediction": "blemish.types:Prediction",
    "Recipe": "blemish.recipes.recipe:Recipe",
    "Sample": "blemish.types:Sample",
    "Tuning": "blemish.tuning.search:Tuning",
    "Training": "blemish.recipes.train:Training",
    "TrainingSettings": "blemish.recipes.fit:TrainingSettings",
    "add_defects": "blemish.recipes.update:add_defects",
    "add_good": "blemish.recipes.update:add_good",
    "calibrate": "blemish.recipes.calibrate:calibrate",
    "decision": "blemish.runs.decision:decision",
    "defect_types": "blemish.classification.names:defect_types",
    "discover": "blemish.runs.discovery:discover",
    "evaluate": "blemish.evaluation.evaluate:evaluate",
    "find_examples": "blemish.recipes.train:find_examples",
    "fit": "blemish.recipes.fit:fit",
    "forget": "blemish.recipes.update:forget",
    "freeze": "blemish.recipes.update:freeze",
    "good_parts": "blemish.fitting:good_parts",
    "inspect": "blemish.inspection:inspect",
    "load_encoder": "blemish.encoders:load",
    "load_recipe": "blemish.recipes.recipe:load",
    "name_types": "blemish.recipes.types_taught:name_types",
    "recipe_detector": "blemish.recipes.detectors:detector",
    "remember": "blemish.fitting:remember",
    "save_recipe": "blemish.recipes.recipe:save",
    "tune": "blemish.tuning.search:tune",
    "undo": "blemish.recipes.recipe:undo",
    "validate": "blemish.evaluation.validate:validate",
} | {card.where.partition(":")[2]: card.where for card in METHODS.values()}
"""Public name -> "module:name"; all else about names is made from it by `make tables`."""

# tables: exports
__all__ = [
    "AACLIP",
    "ADP",
    "AFCLIP",
    "APRILGAN",
    "CLIPADA",
    "CLIPDSA",
    "CLIPMDC",
    "DCS",
    "DMASAP",
    "FECLIP",
    "FPCLIP",
    "FTPADMM",
    "GLASS",
    "IACLIP",
    "IADCLIP",
    "LECLIP",
    "MVFA",
    "OVAS",
    "OVIAD",
    "RAD",
    "SCFAD",
    "TAB",
    "TGRFCLIP",
    "AdaCLIP",
    "AdaptCLIP",
    "AnomalyCLIP",
    "AnomalyDINO",
    "AnomalyNLP",
    "AnomalyVFM",
    "AttributeCLIP",
    "Batch",
    "BlemishError",
    "CLIPCore",
    "CoDeCLIP",
    "Dinomaly",
    "DyCCLIP",
    "Features",
    "FoundAD",
    "GAnomaly",
    "GenCLIP",
    "Geometry",
    "Goal",
    "HieCLIP",
    "InspectionEstimator",
    "MuSc",
    "MultiADS",
    "NormalVariation",
    "PaDiM",
    "PatchCore",
    "Prediction",
    "ProCLIP",
    "PromptAD",
    "RareCLIP",
    "Recipe",
    "Sample",
    "ScaleCLIP",
    "SeaCLIP",
    "SemanticSplicing",
    "SubspaceAD",
    "SuperSimpleNet",
    "TextAdaptedMedical",
    "Training",
    "TrainingSettings",
    "Tuning",
    "UniADC",
    "UniADet",
    "UniCLIPAD",
    "WinCLIP",
    "add_defects",
    "add_good",
    "calibrate",
    "decision",
    "defect_types",
    "discover",
    "evaluate",
    "find_examples",
    "fit",
    "forget",
    "freeze",
    "good_parts",
    "inspect",
    "load_encoder",
    "load_recipe",
    "name_types",
    "recipe_detector",
    "remember",
    "save_recipe",
    "tune",
    "undo",
    "validate",
]
# tables: end


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import blemish` alone does not import torch."""
    if name not in _WHERE:
        raise AttributeError(f"module 'blemish' has no attribute {name!r}")
    module, _, there = _WHERE[name].partition(":")
    with require_torch():
        value = getattr(import_module(module), there)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What is offered, imported yet or not."""
    return sorted({*globals(), *__all__})
