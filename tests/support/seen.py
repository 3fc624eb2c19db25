"""What the embedded encoder has looked at: the same pictures come in many examples of the documentation."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

import pytest
import torch
from torch import Tensor

from blemish.encoders.embedded.network import Embedded, Outputs

MOST = 100
"""Batches that are remembered: one of eight pictures of 224 px takes 15 MB, most are of one."""


def remember_pictures(patch: pytest.MonkeyPatch) -> None:
    """The same batch is looked at once by the same frozen weights, for as long as the patch lasts."""
    look, known = Embedded.outputs, OrderedDict[tuple[object, ...], Outputs]()

    def outputs(self: Embedded, images: Tensor) -> Outputs:
        if type(images) is not Tensor or not images.is_cpu or torch.is_grad_enabled() or not self.sha256:
            return look(self, images)
        weights = ((each.dtype, each._version) for each in self.parameters())  # in the file, and changed since
        key = (torch.is_inference_mode_enabled(), _mark(images), self.sha256, *weights)
        if key not in known:
            known[key] = look(self, images)
        known.move_to_end(key)
        while len(known) > MOST:
            known.popitem(last=False)
        stages, *others = known[key]
        return Outputs(tuple(each.clone() for each in stages), *(each.clone() for each in others))

    patch.setattr(Embedded, "outputs", outputs)


def _mark(images: Tensor) -> tuple[object, ...]:
    data = images.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    return images.dtype, images.shape, images.stride(), sha256(data).digest()
