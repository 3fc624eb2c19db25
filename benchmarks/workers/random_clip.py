"""A CLIP of the shape of ViT-B-16-plus-240 with seeded random weights, and pictures as tensors."""

from __future__ import annotations

import numpy as np
import torch

from blemish.encoders.clip import CLIP
from blemish.encoders.config import TextConfig, ViTConfig
from blemish.encoders.text import TextTransformer
from blemish.encoders.tokenizer import build_tokenizer
from blemish.encoders.vit import VisionTransformer

SIDE = 240


def stacked(pictures: list[np.ndarray]) -> torch.Tensor:
    """Pictures (H, W, 3) as (N, 3, H, W)."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def with_words(visual: VisionTransformer, output: int) -> CLIP:
    """A random text tower beside a tower of images, and a tokenizer of bytes."""
    text = TextTransformer(TextConfig(width=640, heads=10, hidden=2560, output=output))
    made = CLIP(visual, text, build_tokenizer([])).requires_grad_(False).eval()
    made.name = "random"
    for name, parameter in made.text.named_parameters():
        if any(each in name for each in ("positions", "tokens")):
            torch.nn.init.normal_(parameter, std=0.02)
    return made


def random_clip(dtype: torch.dtype = torch.float32) -> CLIP:
    """Of a trained network's size."""
    torch.manual_seed(0)
    visual = VisionTransformer(ViTConfig(SIDE, 16, 896, 12, heads=14, hidden=3584, output=640, norm_pre=True))
    made = with_words(visual, 640)
    for name, parameter in made.visual.named_parameters():
        if any(each in name for each in ("positions", "prefix")):
            torch.nn.init.normal_(parameter, std=0.02)
    for parameter in made.parameters():
        parameter.data = parameter.data.to(dtype)
    return made
