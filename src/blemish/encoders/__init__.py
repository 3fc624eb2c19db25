"""Encoders: `load` is the only door. Nothing heavy is imported before it is called."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

    from blemish.encoders.config import Activation, Normalization, Resize
    from blemish.types import Capability, Encoder

DEFAULT = "embedded"
"""The model that ships with the package."""
TINY = "test-tiny"
"""The one that tests run on: random weights."""
Precision = Literal["auto", "float32", "bfloat16"]


def load(
    name_or_path: str | Path | Encoder,
    *,
    needs: Collection[Capability] = (),
    precision: Precision = "float32",
    heads: int | None = None,
    activation: Activation | None = None,
    normalization: Normalization | None = None,
    resize: Resize | None = None,
    tokenizer: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> Encoder:
    """The encoder of a name, of a checkpoint or of its folder, frozen; an encoder is returned as it is.

    needs: what it must be able to do, see `blemish.types`.
    precision: "float32" gives the same scores on every processor. "bfloat16" rounds the matrices of transformer blocks
        and what they multiply, nothing in between, and the maps of convolutional networks; "auto" does so on a GPU and
        where the processor gains by it, which convolutions do by AMX alone. "test-tiny" under "auto" and outputs are
        float32 in any case.
    heads, activation, normalization, resize: what a bare file does not say; each wins over the files beside it. Without
        either, heads are 64 wide; the activation is gelu, or quick_gelu for OpenAI's archives and for names with
        "quickgelu" or "openai"; pixels of a ViT in timm's layout are normalised by 0.5, or as ImageNet where the file's
        name contains "dino" or "deit" or its tensors show it.
    tokenizer: a tokenizer file, or its folder, instead of the one beside the checkpoint.
    device: where the weights go, as torch names it.
    Raises UnknownName for a name that is not in the table, BadWeights for a file that cannot be read, and BadInput for
    an encoder that cannot do what is needed, or an object that is none.
    """
    from blemish.encoders.capabilities import require

    if not isinstance(name_or_path, (str, Path)):
        return require(name_or_path, needs)
    from blemish.encoders.checkpoints.loading import Choices, load_encoder

    choices = Choices(
        heads=heads, activation=activation, normalization=normalization, resize=resize, tokenizer=tokenizer
    )
    return require(load_encoder(name_or_path, choices, precision=precision, device=device), needs)


def note(encoder: Encoder) -> str:
    """What a reader of this encoder's scores must know, or nothing."""
    if encoder.name != TINY:
        return ""
    return f"{TINY} has random weights: its scores show that the program runs, and nothing about the pictures"
