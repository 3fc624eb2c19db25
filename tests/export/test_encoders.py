"""Every kind of encoder in a graph, at its own size and at another, for which its positions are resized."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.contract.test_every_encoder import MAKE, made, pictures, sizes
from tests.support.exports import IN_ONE_PROCESS
from torch import Tensor, nn

from blemish.export.tracing import arrays_of, trace
from blemish.runtime.graph import open_model
from blemish.types import Encoder

pytestmark = IN_ONE_PROCESS
QUICKLY = ("vit",)


class Layers(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        seen = self.encoder(images, layers=range(1, self.encoder.depth + 1))
        return (seen.image, *seen.patches)


def cases() -> list[object]:
    found = [(name, at) for name in MAKE for at in (0, 3)]  # of the others nothing in a graph is different
    return [
        pytest.param(*each, marks=[] if each[0] in QUICKLY and each[1] == 3 else pytest.mark.slow) for each in found
    ]


@pytest.mark.parametrize(("name", "at"), cases())
def test_a_graph_sees_what_the_encoder_sees(name: str, at: int) -> None:
    encoder = made(name)
    images = {"images": pictures(*sizes(encoder)[at])}
    outputs = ["image", *(f"layer{number}" for number in range(encoder.depth))]
    model = trace(Layers(encoder), images, outputs).model
    assert all(each.op_type != "Resize" or "embedded" in name for each in model.graph.node)
    found = open_model(model.SerializeToString(), "onnxruntime", "float32", "the graph").run(arrays_of(images))
    for given, expected in zip(found, Layers(encoder)(images["images"]), strict=True):
        np.testing.assert_allclose(given, expected.detach().numpy(), rtol=1e-3, atol=1e-5)
    assert torch.is_grad_enabled()
