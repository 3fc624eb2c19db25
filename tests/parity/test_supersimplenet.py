"""SuperSimpleNet on the layers of `methods/supersimplenet.safetensors`, against what anomalib made of them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file
from tests.parity.test_methods import Playback, numbered
from torch import Tensor
from torch.testing import assert_close

from blemish.detectors.supersimplenet import SuperSimpleNet
from blemish.synth.published.feature_noise import Noise
from blemish.types import Batch, Encoder

STORED: dict[str, Tensor] = load_file(Path(__file__).parent / "methods" / "supersimplenet.safetensors")
NAMES = {
    "adapter": "adaptor.projection",
    "map_head": "segdec.seg_head",
    "score_head.mix": "segdec.cls_conv",
    "score_head.decide": "segdec.cls_fc",
}
SIZE = (36, 64)

regimes = pytest.mark.parametrize("regime", ["alone", "labelled"])


def theirs(name: str) -> str:
    """anomalib's name of one of our parameters."""
    ours = next(start for start in NAMES if name.startswith(f"{start}."))
    return NAMES[ours] + name.removeprefix(ours)


def detector(regime: str, split: str) -> SuperSimpleNet:
    layers = {n: STORED[f"{split}.layer{n}"].permute(0, 2, 3, 1) for n in (2, 3)}
    player = Playback({1: torch.zeros(2, 1, 1, 1), **layers}, patch_size=4)
    made = SuperSimpleNet(
        cast(Encoder, player),
        layers=(2, 3),
        supervised=regime == "labelled",
        score_from="raw" if regime == "labelled" else "adapted",
    )
    own = [name for name in made.state_dict() if name.startswith(tuple(NAMES))]
    made.load_state_dict({name: STORED[f"weights.{theirs(name)}"] for name in own}, strict=False)
    made.updates.store({"count": torch.tensor([1])})
    return made


@regimes
def test_it_scores_and_maps_alike(regime: str) -> None:
    made, images = detector(regime, "test"), numbered(0, 2, *SIZE)
    assert_close(made.join(made.frozen(images)), STORED[f"{regime}.features"], rtol=1e-5, atol=1e-5)
    found = made(images)
    assert_close(found.image_score.sigmoid(), STORED[f"{regime}.image_score"], rtol=1e-4, atol=1e-5)
    assert_close(found.anomaly_map.sigmoid(), STORED[f"{regime}.anomaly_map"], rtol=1e-4, atol=1e-5)


@regimes
def test_a_step_of_training_has_the_same_loss_and_gradients(regime: str) -> None:
    """In float64, since torch's batch norm is less exact where channels are last in memory, which is its fast one."""
    made, given = detector(regime, "train").train().requires_grad_().double(), {
        name: STORED[f"{regime}.step.{name}"].double() for name in ("noise", "truth", "labels", "loss")
    }  # fmt: skip
    spots = (given["noise"] != 0).any(1)
    noise = Noise(given["noise"].permute(0, 2, 3, 1)[spots], spots)
    raw = made.join(made.frozen(numbered(0, 2, *SIZE))).double()
    losses = made.losses(raw, noise, given["truth"], given["labels"])
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert_close(total.detach(), given["loss"], rtol=1e-5, atol=1e-6)
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None
        norm = STORED[f"{regime}.step.gradient.{theirs(name)}"]
        assert float(parameter.grad.norm()) == pytest.approx(float(norm), rel=1e-4, abs=1e-5), name


def test_masks_are_brought_to_the_grid_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made, seen = detector("labelled", "train"), dict[str, Tensor]()

    def keep(raw: Tensor, noise: Noise, truth: Tensor, labels: Tensor) -> dict[str, Tensor]:
        seen.update(noise=noise.dense(), truth=truth, labels=labels)
        return {}

    monkeypatch.setattr(made, "losses", keep)
    with torch.random.fork_rng(devices=[]):
        made.loss(Batch(numbered(0, 2, *SIZE), STORED["masks"], STORED["defective"]))
    real = (STORED["labelled.step.truth"] == 1) & (STORED["labelled.step.noise"] == 0).all(1, keepdim=True)
    assert real[1].any()
    assert (seen["truth"][real] == 1).all()
    assert (seen["noise"] == 0).all(1, keepdim=True)[real].all()
    assert seen["labels"].tolist()[1::2] == [1.0, 1.0]
