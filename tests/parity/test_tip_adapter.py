"""Tip-Adapter and Tip-Adapter-F on the features of `methods/tip_adapter.safetensors`, against the authors' code."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

from blemish import encoders
from blemish.classifiers.tip_adapter import TipAdapter
from blemish.types import TextEncoder, TypedExamples

DATA: dict[str, Tensor] = load_file(Path(__file__).parent / "methods" / "tip_adapter.safetensors")


def fitted(*, steps: int = 0, alpha: float = 1.17, beta: float = 1.0) -> TipAdapter:
    encoder = cast(TextEncoder, encoders.load(encoders.TINY))
    made = TipAdapter(encoder, types=["a", "b", "c"], steps=steps, alpha=alpha, beta=beta)
    made.texts = DATA["texts"]
    return made.fit(TypedExamples(DATA["support"], DATA["types"]))


def test_the_cache_is_that_of_the_authors() -> None:
    cache = fitted().cache
    assert_close(cache.get_buffer("keys"), DATA["keys"], rtol=0, atol=1e-6)
    assert_close(cache.get_buffer("values"), DATA["values"], rtol=0, atol=0)


@pytest.mark.parametrize(("run", "alpha", "beta"), [("clip", 0.0, 1.0), ("tip", 1.17, 1.0), ("other", 2.0, 5.5)])
def test_logits_are_those_of_the_authors(run: str, alpha: float, beta: float) -> None:
    found = fitted(alpha=alpha, beta=beta)(DATA["query"][:, None])
    assert_close(found, DATA[run], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 10])
def test_trained_keys_give_the_logits_of_the_authors(steps: int) -> None:
    found = fitted(steps=steps)(DATA["query"][:, None])
    assert_close(found, DATA[f"f.{steps}.logits"], rtol=1e-6, atol=1e-5)
    assert not torch.allclose(found, DATA["tip"], rtol=0, atol=1e-3)
