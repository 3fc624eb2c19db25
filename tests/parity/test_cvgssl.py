"""CVGSSL's loss on the inputs of `methods/cvgssl.safetensors`, against the authors' code."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.testing import assert_close

from blemish.encoders.cnn import ResNetConfig
from blemish.pretrain.guided import GuidedBatch, GuidedModel

DATA: dict[str, Tensor] = load_file(Path(__file__).parent / "methods" / "cvgssl.safetensors")
PARTS = {"projector": "base_encoder.fc", "predictor": "predictor", "adapter": "clip_projector"}
SMALL = ResNetConfig(stem=(4,), depths=(1,), hidden=(14,), widths=(14,), basic=True)


class Seen(NamedTuple):
    """What an encoder returns, so far as it is needed."""

    image: Tensor


class Body(nn.Module):
    """Their network was one linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(DATA["base_encoder.body.weight"])
        self.bias = nn.Parameter(DATA["base_encoder.body.bias"])

    def forward(self, x: Tensor) -> Seen:
        return Seen(torch.relu(nn.functional.linear(x, self.weight, self.bias)))


def test_the_loss_and_its_gradients_are_those_of_the_authors() -> None:
    model, body = GuidedModel(SMALL, 12, output=6, hidden=16, adapter=20), Body()
    model.student = body  # type: ignore[assignment]
    for ours, theirs in PARTS.items():
        state = model.get_submodule(ours).state_dict()
        given = {name: DATA.get(f"{theirs}.{name}", tensor) for name, tensor in state.items()}
        model.get_submodule(ours).load_state_dict(given)
    terms = model.train().loss(GuidedBatch(DATA["crops"], DATA["guides"]))
    loss = torch.stack(list(terms.values())).sum()
    assert_close(loss, DATA["loss"][0], rtol=1e-5, atol=1e-6)
    loss.backward()
    assert_close(body.weight.grad, DATA["gradient.base_encoder.body.weight"], rtol=1e-4, atol=1e-6)
    for ours, theirs in PARTS.items():
        for name, parameter in model.get_submodule(ours).named_parameters():
            assert_close(parameter.grad, DATA[f"gradient.{theirs}.{name}"], rtol=1e-4, atol=1e-6)
