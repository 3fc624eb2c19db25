"""TAB's heads and loss on the inputs of `methods/tab.safetensors`, against the authors' (see its PROVENANCE.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.testing import assert_close

from blemish.pretrain.objectives import TabObjective

DATA: dict[str, Tensor] = load_file(Path(__file__).parent / "methods" / "tab.safetensors")
WEIGHTS = {name.removeprefix("weights."): value for name, value in DATA.items() if name.startswith("weights.")}


class Kept(nn.Module):
    """Dropout of one half whose survivors are given."""

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, features: Tensor) -> Tensor:
        return 2 * self.kept * features


def objective() -> TabObjective:
    made = TabObjective(DATA["good"].shape[1], DATA["texts.normal"].shape[1]).double()
    made.load_state_dict(WEIGHTS)
    return made


def assert_same(found: Tensor | None, expected: str) -> None:
    assert found is not None
    assert_close(found, DATA[expected], rtol=0, atol=1e-10, msg=lambda reason: f"{expected}: {reason}")


def assert_agrees(tab: TabObjective, run: str, texts: str) -> None:
    """Embeddings, loss and every gradient of it."""
    good, flawed = DATA["good"].clone().requires_grad_(), DATA["flawed"].clone().requires_grad_()
    assert_same(tab.normal(good), f"{run}.normal")
    assert_same(tab.abnormal(flawed), f"{run}.abnormal")
    loss = tab(good, flawed, DATA[f"{texts}.normal"], DATA[f"{texts}.abnormal"], DATA["product"])
    assert_same(loss, f"{run}.loss")
    loss.backward()
    for name, value in (("good", good), ("flawed", flawed), *tab.named_parameters()):
        assert_same(value.grad, f"{run}.gradient.{name}")


@pytest.mark.parametrize(("run", "texts"), [("evaluation", "texts"), ("published", "table")])
def test_heads_loss_and_gradients_are_those_of_the_authors(run: str, texts: str) -> None:
    assert_agrees(objective().eval(), run, texts)


def test_the_dropout_of_training_is_that_of_the_authors() -> None:
    tab = objective()
    assert (tab.normal.dropout.p, tab.abnormal.dropout.p) == (0.5, 0.5)
    for side, head in (("normal", tab.normal), ("abnormal", tab.abnormal)):
        head.dropout = Kept(DATA[f"training.kept.{side}"])  # type: ignore[assignment]
    assert_agrees(tab, "training", "texts")


def test_the_scale_begins_where_that_of_the_authors_does() -> None:
    assert torch.equal(TabObjective(7, 10).scale.detach(), DATA["initial_scale"])
