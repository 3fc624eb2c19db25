"""Pictures and their patches in the space of sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.blocks.heads import quarters
from blemish.errors import BadInput
from blemish.types import Attention, Encoder, Features, SeamEncoder, TextEncoder


def comparable_layers(encoder: Encoder, layers: Sequence[int] | None) -> tuple[int, ...]:
    """Layers whose patches the encoder projects into its space of words, by default four of a transformer, or the last.

    Raises BadInput for layers of a residual network that are of another width than its projection takes.
    """
    if "seams" in encoder.can:
        return tuple(layers or quarters(encoder.depth))
    if layers and tuple(layers) != (encoder.depth,):
        raise BadInput(f"layers={tuple(layers)}: only layer {encoder.depth} of {encoder.name} is compared with words")
    return (encoder.depth,)


@torch.no_grad()
def read_in_words(
    encoder: TextEncoder,
    images: Tensor,
    layers: Sequence[int],
    *,
    attention: Attention = "vv",
    last: int | None = None,
    normed: bool = False,
) -> Features:
    """Image embedding (N, D), and the layers' patches in its space (N, h, w, D).

    Of a transformer patches are read from a second stream through the last `last` blocks, by default 19 of 24 and of
    other depths the same share, and the embedding without the last norm (AnomalyCLIP); a residual network has neither.
    """
    if "seams" not in encoder.can:
        image, patches = encoder(images, layers=comparable_layers(encoder, layers))
        return Features(image, tuple(map(encoder.project, patches)))
    last = round(encoder.depth * 19 / 24) if last is None else last
    tower = cast(SeamEncoder, encoder)
    return tower(images, layers=layers, projected=True, attention=attention, last=last, normed=normed)


def defect_logits(seen: Features, texts: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """By how much the logit of the second text exceeds that of the first, unit (2, D): of pictures (N,), and of the
    last layer's places (N, h, w). Their sigmoid is the `anomaly_probability`.
    """
    toward = (texts[1] - texts[0]) / temperature
    return F.normalize(seen.image, dim=-1) @ toward, F.normalize(seen.patches[-1], dim=-1) @ toward
