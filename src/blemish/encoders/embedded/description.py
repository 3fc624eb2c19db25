"""How a checkpoint of the pair says its shape and its words, and the network that they describe."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from blemish.encoders.embedded.network import LAYERS, Embedded, EmbeddedConfig
from blemish.encoders.embedded.words import WordsConfig
from blemish.errors import BadWeights

ABOUT = "about"
"""The tensor of a checkpoint that holds its configuration and vocabulary, as bytes of JSON."""


def describe(model: Embedded) -> Tensor:
    """Configuration and vocabulary as the bytes of a tensor that goes into the checkpoint under `ABOUT`."""
    text = json.dumps({"config": asdict(model.config), "vocabulary": model.words.vocabulary}, ensure_ascii=False)
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def build_network(tensors: dict[str, Tensor], source: str) -> tuple[Embedded, dict[str, Tensor]]:
    """An empty network of the shape a checkpoint states, and the tensors that fill it, as float32."""
    try:
        about: dict[str, Any] = json.loads(bytes(tensors[ABOUT].tolist()))
        vocabulary, config = _words(about["vocabulary"]), _config(dict(about["config"]))
    except (ValueError, TypeError, KeyError) as error:
        raise BadWeights(f"{source} does not say its shape ({error}): it is damaged, or of a newer blemish") from error
    with torch.device("meta"):
        model = Embedded(vocabulary, config)
    return model, {name: tensor.float() for name, tensor in tensors.items() if name != ABOUT}


def _words(stated: Any) -> list[str]:
    if not isinstance(stated, list) or not all(isinstance(word, str) for word in stated):
        raise TypeError("the vocabulary is no list of words")
    return stated


def _config(stated: dict[str, Any]) -> EmbeddedConfig:
    """The shape of a description; raises ValueError, TypeError or KeyError where it describes none."""
    shape: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stated.items()
    }  # fmt: skip
    c = EmbeddedConfig(**shape | {"words": WordsConfig(**stated["words"])})
    w = c.words
    sizes = (c.image_size, c.stem, *c.widths, *c.depths, c.neck, c.output, w.width, w.heads, w.buckets, w.output)
    if not all(isinstance(size, int) and size > 0 for size in (*sizes, w.depth + 1)):
        raise ValueError("its sizes are not all whole numbers above 0")
    if not len(c.widths) == len(c.depths) == LAYERS - 1 or w.width % w.heads:
        raise ValueError(f"it needs {LAYERS - 1} stages, and words as wide as whole heads")
    return c
