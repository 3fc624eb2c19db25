"""Small arguments of every method, for tests: a row a method, and a test says which row is missing.

They leave the way in which a method learns as it is, and only make its work little.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

from blemish import catalog

SIDE = 64
QUICK: dict[str, dict[str, Any]] = {
    "aa-clip": {"image_size": SIDE, "layers": (2, 4)},
    "ada-clip": {"image_size": SIDE, "layers": (2, 4), "clusters": 4, "sigma": 2.0},
    "adapt-clip": {"image_size": SIDE, "tokens": 3, "sigma": 2.0},
    "af-clip": {"image_size": SIDE, "tokens": 3, "sizes": (1, 3), "sigma": 2.0},
    "anomaly-clip": {"image_size": SIDE, "tokens": 3, "deep_tokens": 2, "sigma": 2.0},
    "anomaly-dino": {"image_size": SIDE, "turns": 2, "layer": 3},
    "anomaly-vfm": {"image_size": SIDE, "rank": 4},
    "april-gan": {"image_size": SIDE, "layers": (2, 4)},
    "clip-ada": {"image_size": SIDE, "tokens": 3, "sigma": 2.0, "crops": 2},
    "clip-mdc": {"image_size": SIDE, "width": 32, "layers": [2, 3], "sigma": 2.0, "defects": ("hole", "scratch")},
    "dinomaly": {"image_size": SIDE, "layers": (1, 2, 3, 4), "blocks": 2, "dropout": 0.0, "map_size": 0},
    "found-ad": {"image_size": SIDE, "width": 24, "depth": 2, "heads": 3, "dropout": 0.0},
    "glass": {"image_size": SIDE, "layers": (2, 3), "hidden": 128, "ascent": 5},
    "leclip": {"image_size": SIDE, "tokens": 3, "deep_tokens": 2, "sigma": 2.0},
    "multi-ads": {"image_size": SIDE, "layers": (2, 4), "defects": ("scratch", "hole")},
    "musc": {"image_size": SIDE, "layers": (2, 3), "sizes": (1, 3)},
    "mvfa": {"image_size": SIDE, "layers": (2, 4)},
    "padim": {"image_size": SIDE, "channels": 20, "layers": [1, 2], "seed": 3},
    "patchcore": {"image_size": SIDE, "width": 32, "ratio": 0.25, "neighbours": 3, "layers": [2, 3]},
    "prompt-ad": {
        "image_size": SIDE,
        "prompts": 2,
        "anomalous": 2,
        "tokens": 2,
        "layers": (1, 3),
        "defects": ("hole",),
    },
    "rad": {"image_size": SIDE, "pictures": 5, "layers": [2, 4]},
    "rare-clip": {"image_size": SIDE, "layers": (2, 4), "text_layers": (3, 4)},
    "scf-ad": {"image_size": SIDE, "layers": (2, 4), "tokens": 3, "defects": ("hole",)},
    "subspace-ad": {"image_size": SIDE, "turns": 2, "layers": [2, 3]},
    "supersimplenet": {"image_size": SIDE, "width": 32, "layers": [2, 3]},
    "tab": {"image_size": SIDE, "few": 16, "defects": ("scratch", "hole"), "layers": (2, 3)},
    "uniadc": {"image_size": SIDE, "layers": (2, 4), "defects": ("hole", "scratch")},
    "uniadet": {"image_size": SIDE, "layers": (2, 4), "sigma": 2.0},
    "winclip": {"image_size": SIDE, "scales": (2, 3)},
    "dyc-clip": {"image_size": SIDE, "context": 1, "tokens": 2},
    "fe-clip": {"image_size": SIDE, "rank": 4, "tokens": 3},
    "fp-clip": {"image_size": SIDE, "tokens": 3},
    "genclip": {"image_size": SIDE, "tokens": 3},
    "hieclip": {"image_size": SIDE, "tokens": 3},
    "ia-clip": {"image_size": SIDE, "tokens": 2},
    "attribute-clip": {"image_size": SIDE, "tokens": 3, "components": 3},
    "code-clip": {"image_size": SIDE, "tokens": 3},
    "dcs": {"image_size": SIDE, "tokens": 3},
    "dma-sap": {"image_size": SIDE, "tokens": 3},
    "g-anomaly": {"image_size": SIDE, "tokens": 3, "neighbours": 4},
    "iad-clip": {"image_size": SIDE, "adapt_steps": 2},
    "normal-variation": {"image_size": SIDE, "tokens": 3},
    "scale-clip": {"image_size": SIDE, "tokens": 3},
    "text-adapted-medical": {"image_size": SIDE, "tokens": 3},
    "uniclip-ad": {"image_size": SIDE, "rank": 4, "tokens": 3},
    "adp": {"image_size": SIDE},
    "anomaly-nlp": {"image_size": SIDE, "tokens": 3},
    "clip-core": {"image_size": SIDE, "tokens": 3},
    "clip-dsa": {"image_size": SIDE, "noise": 0.1},
    "ftpa-dmm": {"image_size": SIDE},
    "ov-as": {"image_size": SIDE, "tokens": 3, "vocabulary": ("hole", "scratch"), "shots": 2},
    "ov-iad": {"image_size": SIDE, "tokens": 3, "vocabulary": ("hole", "scratch")},
    "pro-clip": {"image_size": SIDE, "tokens": 3},
    "sea-clip": {"image_size": SIDE},
    "semantic-splicing": {"image_size": SIDE},
    "tgrf-clip": {"image_size": SIDE},
}
QUICK = dict(sorted(QUICK.items()))


def quick(method: str, product: str = "metal cap") -> dict[str, Any]:
    """Its row, and the product's name where it reads that."""
    return QUICK[method] | ({"product": product} if "product" in catalog.card(method).words else {})


QUICK_CLASSIFIERS: dict[str, dict[str, Any]] = {
    "attributes": {"image_size": SIDE},
    "coop": {"image_size": SIDE, "tokens": 4, "steps": 6},
    "fine-to-coarse": {"image_size": SIDE},
    "gedt-opt": {"image_size": SIDE},
    "hot-rolled": {"image_size": SIDE},
    "linear-probe": {"image_size": SIDE, "steps": 50},
    "mvrec": {"image_size": SIDE, "sizes": (16, 24), "beta": 1.0, "steps": 3},
    "nearest": {"image_size": SIDE},
    "prompt-images": {"image_size": SIDE},
    "rebar": {"image_size": SIDE},
    "ridge": {"image_size": SIDE},
    "self-distilled": {"image_size": SIDE, "steps": 20, "metadata": {"line": "line 3", "id": "A17"}},
    "sem-clip": {"image_size": SIDE},
    "tip-adapter": {"image_size": SIDE, "steps": 3},
    "words": {"image_size": SIDE},
}


def slow_but(quickly: Collection[str], names: Iterable[str]) -> list[Any]:
    """Parameters of a test that asks the same of many: in the quick suite of those, in the slow one of the others."""
    return [pytest.param(name, marks=[] if name in quickly else pytest.mark.slow) for name in names]
