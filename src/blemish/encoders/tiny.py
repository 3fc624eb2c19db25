"""The encoder that tests run on: a real CLIP pair, small, random and always the same, made in milliseconds."""

from __future__ import annotations

import copy
from functools import cache

import torch
from torch import Tensor, nn

from blemish.encoders import TINY
from blemish.encoders.clip import CLIP
from blemish.encoders.config import TextConfig, ViTConfig
from blemish.encoders.text import TextTransformer
from blemish.encoders.tokenizer import build_tokenizer
from blemish.encoders.vit import VisionTransformer

VISION = ViTConfig(
    image_size=64,
    patch_size=8,
    width=64,
    depth=4,
    heads=4,
    hidden=128,
    output=32,
    norm_pre=True,
    resize="bicubic-antialias",
)
TEXT = TextConfig(vocabulary=514, context=77, width=64, depth=2, heads=4, hidden=128, output=32)


def tiny() -> CLIP:
    """A pair with seeded weights whose features still tell pictures apart; leaves the global random state alone."""
    return copy.deepcopy(_made())


@cache
@torch.inference_mode(False)
def _made() -> CLIP:
    """Made once, since a copy takes less than half the time."""
    with torch.device("meta"):  # initialising there draws no random numbers
        visual, text = VisionTransformer(VISION), TextTransformer(TEXT)
    generator = torch.Generator().manual_seed(0)
    for tower in (visual, text):
        tower.load_state_dict({name: _drawn(name, p, generator) for name, p in tower.named_parameters()}, assign=True)
    model = CLIP(visual, text, build_tokenizer([]))
    model.name = TINY
    return model.requires_grad_(False).eval()


def _drawn(name: str, parameter: nn.Parameter, generator: torch.Generator) -> Tensor:
    """Norms at 1, biases at 0, small positions, and matrices that keep the size of what passes through."""
    if "norm" in name or name.endswith("bias"):
        return torch.full(parameter.shape, float("norm" in name and name.endswith("weight")))
    scale = 0.02 if name in ("positions", "prefix") else parameter.shape[1:].numel() ** -0.5
    return torch.randn(parameter.shape, generator=generator) * scale
