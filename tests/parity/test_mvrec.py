"""Zip-Adapter and the crops of MVREC on the inputs of `methods/mvrec.safetensors`, against the authors' code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

from blemish import encoders
from blemish.blocks.caches import even_values, fuse_views
from blemish.blocks.region_crops import box_of, crop_boxes, crop_sizes, cut_with_border
from blemish.classifiers.mvrec import MVREC
from blemish.types import TypedExamples

DATA: dict[str, Tensor] = load_file(Path(__file__).parent / "methods" / "mvrec.safetensors")
EXAMPLES = TypedExamples(DATA["support"], DATA["types"])


def fitted(steps: int, beta: float) -> MVREC:
    made = MVREC(encoders.load(encoders.TINY), types=["a", "b", "c"], steps=steps, beta=beta)
    return made.fit(EXAMPLES)


@pytest.mark.parametrize(
    ("run", "steps", "beta"), [("zip", 0, 32.0), ("zip_f.0", 0, 1.0), ("zip_f.1", 1, 1.0), ("zip_f.20", 20, 1.0)]
)
def test_logits_and_fused_views_are_those_of_the_authors(run: str, steps: int, beta: float) -> None:
    classifier = fitted(steps, beta)
    keys = classifier.cache.get_buffer("keys")
    phi = (classifier.phi.get_buffer("slope"), classifier.phi.get_buffer("offset")) if steps else None
    assert_close(classifier.logits(DATA["query"], keys, phi), DATA[f"{run}.logits"], rtol=1e-5, atol=1e-5)
    assert_close(classifier(DATA["query"]).exp(), DATA[f"{run}.fused"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 20])
def test_training_moves_keys_and_phi_as_theirs(steps: int) -> None:
    classifier = fitted(steps, 1.0)
    assert_close(classifier.cache.get_buffer("keys"), DATA[f"zip_f.{steps}.keys"], rtol=0, atol=1e-5)
    assert_close(classifier.phi.get_buffer("slope"), DATA[f"zip_f.{steps}.weight"], rtol=0, atol=1e-5)
    assert_close(classifier.phi.get_buffer("offset"), DATA[f"zip_f.{steps}.bias"], rtol=0, atol=1e-5)
    assert (classifier.phi.get_buffer("slope").abs() > 1e-5).all()


def test_crops_lie_where_theirs_do_and_are_black_beyond_the_picture() -> None:
    mask = DATA["mask"]
    boxes = crop_boxes(box_of(mask), crop_sizes(mask, (7, 10, 12)))
    assert [[box.x, box.y, box.x + box.width, box.y + box.height] for box in boxes] == DATA["boxes"].tolist()
    crops = [cut_with_border(DATA["picture"], box).permute(1, 2, 0).flatten() for box in boxes]
    assert torch.equal(torch.cat(crops), DATA["crops"])
    assert torch.equal(torch.cat([cut_with_border(mask, box).flatten() for box in boxes]), DATA["crop_masks"])


def test_a_picture_that_is_its_own_region_is_seen_in_parts_of_itself() -> None:
    region = torch.ones(30, 40, dtype=torch.bool)
    assert crop_sizes(region, (256, 384, 512)) == [(20, 15), (30, 22), (40, 30)]
    assert crop_sizes(region, (256,)) == [(40, 30)]


def test_views_that_say_nothing_count_alike() -> None:
    assert_close(fuse_views(torch.zeros(2, 5, 4)).exp(), torch.full((2, 4), 0.25))


def test_a_type_with_more_examples_counts_as_much_as_the_others() -> None:
    types = torch.tensor([[1, 0], [1, 0], [1, 0], [0, 1]], dtype=torch.bool)
    assert_close(even_values(types), torch.tensor([[2 / 3, 0], [2 / 3, 0], [2 / 3, 0], [0, 2]]))
    assert_close(even_values(DATA["types"]), DATA["types"].float())
