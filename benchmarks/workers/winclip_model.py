"""anomalib's WinCLIP without its download: the same seeded random weights every time."""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from anomalib.models.image.winclip import torch_model


def random_model(folder: str | None = None) -> Any:
    """Random weights, or those that an earlier call left in the folder."""
    made = open_clip.create_model_and_transforms
    torch.manual_seed(0)
    torch_model.open_clip.create_model_and_transforms = lambda name, pretrained: made(name)
    model = torch_model.WinClipModel()
    if folder:
        model.clip.load_state_dict(torch.load(f"{folder}/open_clip_pytorch_model.bin", weights_only=True))
    return model.eval()


def give_raw_patches(model: Any) -> None:
    """Let `encode_image` return patch tokens as they leave the last block; anomalib's have passed the last norm."""
    encode = model.encode_image

    def encode_image(batch: torch.Tensor) -> tuple[Any, ...]:
        entering: list[torch.Tensor] = []
        handle = model.clip.visual.ln_post.register_forward_pre_hook(lambda _, inputs: entering.append(inputs[0]))
        image, windows, _ = encode(batch)
        handle.remove()
        return image, windows, entering[0][:, 1:]  # the whole picture is the first to arrive

    model.encode_image = encode_image
