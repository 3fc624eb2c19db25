"""GLASS on the layers of `methods/glass.safetensors`, against what anomalib made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import pytest
import torch
from safetensors.torch import load_file
from tests.parity.test_methods import Playback, numbered
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.detectors.glass import GLASS
from blemish.types import Batch, Encoder

STORED: dict[str, Tensor] = load_file(Path(__file__).parent / "methods" / "glass.safetensors")
SIZE = (32, 32)
Surface = Literal["manifold", "hypersphere"]
surfaces = pytest.mark.parametrize("surface", ["manifold", "hypersphere"])


def detector(surface: Surface = "manifold") -> GLASS:
    layers = {n: STORED[f"given.layer{n}"] for n in (2, 3)}
    player = Playback({1: torch.zeros(6, 1, 1, 1), **layers}, patch_size=4)
    made = GLASS(cast(Encoder, player), layers=(2, 3), hidden=16, surface=surface)
    own = [name for name in made.state_dict() if name.startswith(("projection", "judge"))]
    made.load_state_dict({name: STORED[f"weights.{name}"] for name in own}, strict=False)
    return made


def test_it_scores_and_maps_alike() -> None:
    made = detector()
    made.updates.add()
    found = made(numbered(0, 2, *SIZE))
    assert_close(found.image_score, STORED["test.image_score"].flatten(), rtol=1e-4, atol=1e-6)
    assert_close(found.anomaly_map, STORED["test.anomaly_map"], rtol=1e-4, atol=1e-6)


@surfaces
def test_a_step_of_training_has_the_same_losses_and_gradients(surface: Surface) -> None:
    made = detector(surface).train().requires_grad_()
    described = made.describe(made.frozen(numbered(0, 6, *SIZE)).patches)
    assert_close(described[:2], STORED["test.described"])
    patches, noise = made.projection(described), STORED[f"{surface}.noise"]
    truth = F.adaptive_max_pool2d(STORED["masks"].float(), [8, 8])
    losses = made.losses(patches[:3], patches[3:], truth, noise, STORED["centre"], 1.0)
    for name in ("good", "global", "local"):
        assert_close(losses[name].detach(), STORED[f"{surface}.{name}"], rtol=1e-4, atol=1e-6)
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None
        norm = float(STORED[f"{surface}.gradient.{name}"])
        assert float(parameter.grad.norm()) == pytest.approx(norm, rel=1e-4, abs=1e-6), name


def test_masks_reach_the_grid_where_they_touch_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = detector(), list[Tensor]()

    def keep(good: Tensor, made: Tensor, truth: Tensor, *others: object) -> dict[str, Tensor]:
        seen.append(truth)
        return {}

    monkeypatch.setattr(made, "losses", keep)
    labels = torch.arange(6) >= 3
    with torch.random.fork_rng(devices=[]):
        made.loss(Batch(numbered(0, 6, *SIZE), torch.cat([torch.zeros(3, *SIZE) > 0, STORED["masks"]]), labels))
    expected = STORED["masks"].unflatten(1, (8, 4)).unflatten(3, (8, 4)).any(4).any(2)
    assert torch.equal(seen[0] > 0, expected)
