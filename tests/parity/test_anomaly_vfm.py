"""AnomalyVFM on the arrays that the authors' code made, see methods/PROVENANCE.md."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from tests.parity.test_methods import HERE, assert_near, gradients, stored
from torch import Tensor

from blemish import encoders
from blemish.blocks.low_rank import LowRankForm, gather_updates
from blemish.detectors.anomaly_vfm import AnomalyVFM
from blemish.recipes.published import load_weights
from blemish.types import Batch

RUNS = ["dinov2.dora", "dino.dora", "dino.lora", "test-tiny.dora"]
every = pytest.mark.parametrize("run", RUNS)


def of(run: str) -> dict[str, Tensor]:
    """What was stored of a run, and what all have in common."""
    found = {name.removeprefix(f"{run}."): each for name, each in stored("anomaly_vfm").items()}
    return {name: each for name, each in found.items() if not name.startswith(tuple(RUNS))}


def detector(run: str, folder: Path) -> AnomalyVFM:
    tower, form = run.split(".")
    where = tower if tower == encoders.TINY else HERE / "encoders" / tower / f"{tower}.pth"
    encoder = encoders.load(where, precision="float32")
    found = AnomalyVFM(encoder, rank=4, form=cast(LowRankForm, form))
    prefix = "theirs."
    theirs = {name.removeprefix(prefix): each for name, each in of(run).items() if name.startswith(prefix)}
    tree: dict[str, dict[str, Tensor]] = {}
    for name, tensor in theirs.items():
        outer, _, inner = name.partition(".")
        tree.setdefault(outer, {})[inner] = tensor.float()
    torch.save(tree, folder / "model.pkl")
    load_weights(found, "anomaly-vfm", folder / "model.pkl")
    return found


def batch(run: str) -> Batch:
    """The pictures as they were shown: twice as large to the one that sees 64 pixels."""
    images, masks = of(run)["images"] / 255, of(run)["masks"]
    if run.startswith(encoders.TINY):
        images, masks = (each.repeat_interleave(2, -1).repeat_interleave(2, -2) for each in (images, masks))
    return Batch(images, masks)


@every
def test_it_makes_the_same_scores_and_maps(run: str, tmp_path: Path) -> None:
    data, found = of(run), detector(run, tmp_path)
    prediction = found(batch(run).images)
    assert_near(prediction.image_score, data["image_score"], rtol=1e-4)
    assert_near(prediction.anomaly_map, data["anomaly_map"], rtol=1e-4)


@every
def test_a_training_step_has_the_same_losses_and_gradients(run: str, tmp_path: Path) -> None:
    data, found = of(run), detector(run, tmp_path)
    (group,) = found.trained_parameters()
    for each in group.parameters:
        each.requires_grad_(True)
    losses = found.loss(batch(run))
    assert set(losses) == {"image", "map"}
    for name, loss in losses.items():
        assert_near(loss, data[f"loss.{name}"], rtol=1e-4)
    ours = gradients(found, losses, group.parameters)
    updates = dict(zip(dict(found.update.named_parameters()), ours, strict=False))
    for block in range(len(updates["factors"])):  # the authors' outer matrices come before the layer scales
        scale = data.get(f"theirs.model_state_dict.net.blocks.{block}.ls1.gamma", torch.ones(64))
        updates["factors"][block, 2, 1] *= scale
        if "lengths" in updates:
            updates["lengths"][block, 2] *= scale.abs()
    prefix = "gradient."
    expected = gather_updates({name.removeprefix(prefix): t for name, t in data.items() if name.startswith(prefix)})
    assert set(expected) == set(updates)
    for name, gradient in expected.items():
        assert_near(updates[name], gradient, rtol=1e-3, atol=1e-4)
    assert_near(torch.stack([each.norm() for each in ours]).norm(), data["gradient_norm"], rtol=1e-4)
