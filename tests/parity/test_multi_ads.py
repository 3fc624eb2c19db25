"""MultiADS on the arrays that the authors' code made, see methods/PROVENANCE.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.parity.test_methods import assert_near, gradients, published, stored, training_batch
from tests.support.learning import learn
from torch import Tensor

from blemish.detectors.multi_ads import MultiADS
from blemish.recipes.published import load_weights
from blemish.types import GOOD, Batch

TYPES = (
    "bent", "broken", "color", "combined", "contamination", "crack", "cut", "fabric", "faulty imprint", "glue", "hole",
    "missing", "poke", "rough", "scratch", "squeeze", "thread", "liquid", "misplaced", "damaged",
)  # fmt: skip
OF_A_BOTTLE = ("broken", "contamination")


@pytest.fixture
def seen() -> dict[str, Tensor]:
    """The tower, its heads and the pictures."""
    return stored("april_gan")


@pytest.fixture
def data() -> dict[str, Tensor]:
    return stored("multi_ads")


def detector(folder: Path, plausible: tuple[str, ...] = ()) -> MultiADS:
    text = {"context_length": 77, "vocab_size": 514, "width": 24, "heads": 3, "layers": 2}
    image = {"image_size": 64, "layers": 12, "width": 32, "head_width": 8, "patch_size": 8}
    encoder = published("april_gan", folder, image=image, text=text, quick_gelu=False, resize="bicubic-antialias")
    found = MultiADS(encoder, product="bottle", defects=TYPES, plausible=plausible)
    heads = {name: t.float() for name, t in stored("april_gan").items() if name.startswith("heads.")}
    theirs = {name.replace("heads.heads", "trainable_linearlayer.fc"): each for name, each in heads.items()}
    torch.save(theirs, folder / "theirs.pth")
    load_weights(found, "multi-ads", folder / "theirs.pth")
    for product in ("bottle", "metal_nut"):  # in the authors' phrases
        found.read.known[product] = stored("multi_ads")[f"texts.{product}"]
    rows = [0, *(1 + TYPES.index(each) for each in found.types)]
    found.texts = found.read.known["bottle"][rows]
    return found


def test_it_makes_the_same_scores_and_maps(seen: dict[str, Tensor], data: dict[str, Tensor], tmp_path: Path) -> None:
    found = detector(tmp_path)(seen["images"] / 255)
    assert_near(found.image_score, data["image_score"], rtol=1e-4, atol=1e-4)
    assert_near(found.anomaly_map, data["anomaly_map"], rtol=1e-4, atol=1e-4)


def test_good_parts_are_added_alike(seen: dict[str, Tensor], data: dict[str, Tensor], tmp_path: Path) -> None:
    found = learn(detector(tmp_path), (seen["good"] / 255).split(1))(seen["images"] / 255)
    assert_near(found.image_score, data["few_shot.image_score"], rtol=1e-4, atol=1e-4)
    assert_near(found.anomaly_map, data["few_shot.anomaly_map"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("quantile", [0.0001, 0.02])
def test_unlabelled_pictures_are_added_alike(
    seen: dict[str, Tensor], data: dict[str, Tensor], tmp_path: Path, quantile: float
) -> None:
    found = learn(detector(tmp_path), (seen["images"] / 255).split(1))
    found.quantile = quantile
    whole = found(seen["images"] / 255)
    assert_near(whole.anomaly_map, data[f"unlabelled{quantile}.anomaly_map"], rtol=1e-4, atol=1e-4)


def test_the_types_of_a_product_alone_make_the_same_masks(
    seen: dict[str, Tensor], data: dict[str, Tensor], tmp_path: Path
) -> None:
    made, images = detector(tmp_path, OF_A_BOTTLE), seen["images"][1::2] / 255
    found = made(images)
    classes = data["plausible.classes"]  # (2, 3, H, W), summed over the layers
    assert_near(found.anomaly_map, classes[:, 1:].sum(1), rtol=1e-4, atol=1e-4)
    assert found.type_scores is not None
    assert found.type_map is not None
    highest = found.anomaly_map.flatten(1).topk(3).values  # (2, 3)
    assert_near(found.type_scores.sum(1), highest.mean(1), rtol=1e-4, atol=1e-4)
    embedding = torch.nn.functional.normalize(made.frozen(images).image, dim=-1)
    whole = (embedding @ made.texts.T / made.temperature).softmax(1)[:, 1:].sum(1)
    assert_near(found.image_score, (whole + highest[:, 0] / len(made.taps)) / 2, rtol=1e-4, atol=1e-4)
    sure = classes.topk(2, dim=1).values.diff(dim=1)[:, 0].abs() > 1e-3
    assert sure.float().mean() > 0.99
    assert torch.equal(found.type_map[sure], classes.argmax(1)[sure] - 1)


def test_a_training_step_has_the_same_losses_and_gradients(
    seen: dict[str, Tensor], data: dict[str, Tensor], tmp_path: Path
) -> None:
    found, batch = detector(tmp_path), _batch(seen)
    (group,) = found.trained_parameters()
    found.heads.requires_grad_(True)
    losses = found.loss(batch)
    for name, loss in losses.items():
        assert_near(loss, data[f"loss.{name}"], rtol=1e-4, atol=1e-5)
    norms = gradients(found, losses, group.parameters)
    assert_near(torch.stack([each.norm() for each in norms]).norm(), data["gradient_norm"], rtol=1e-4, atol=1e-4)
    for (name, _), gradient in zip(found.heads.named_parameters(), norms, strict=True):
        if name.endswith("bias"):
            assert_near(gradient, data[f"gradient.{name}"], rtol=1e-3, atol=1e-4)


def test_cached_features_give_the_same_loss(seen: dict[str, Tensor], tmp_path: Path) -> None:
    found, batch = detector(tmp_path), _batch(seen)
    cached = found.loss(replace(batch, images=batch.images * 0, features=found.frozen(batch.images)))
    assert {name: float(loss) for name, loss in found.loss(batch).items()} == {n: float(x) for n, x in cached.items()}


def _batch(seen: dict[str, Tensor]) -> Batch:
    batch = training_batch(seen, ("bottle", "bottle", "metal_nut", "metal_nut"))
    return replace(batch, types=(GOOD, "hole", GOOD, "scratch"))
