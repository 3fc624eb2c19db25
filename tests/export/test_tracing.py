"""Every method of the catalogue as a graph: what comes out is what torch gives, for any number of pictures."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from tests.contract.test_every_detector import GOOD, TEST, ready
from tests.support.exports import IN_ONE_PROCESS
from tests.support.learning import learn
from tests.support.quick import SIDE, quick
from torch import Tensor, nn
from torch.testing import assert_close

from blemish import catalog
from blemish.errors import BadInput
from blemish.export.tracing import require_any_count, share_numbers, trace, trace_detector
from blemish.recipes.deployed import Backend, Deployed
from blemish.runtime.graph import GraphDetector
from blemish.types import Prediction

pytestmark = IN_ONE_PROCESS
BACKENDS: tuple[Backend, ...] = get_args(Backend)
QUICKLY = ("tab",)
"""What the quick suite exports, beside a recipe of patchcore; the others take as long, and are left to the slow one."""


def names() -> list[object]:
    able = [name for name, card in catalog.METHODS.items() if not card.no_graph]
    return [pytest.param(name, marks=[] if name in QUICKLY else pytest.mark.slow) for name in able]


@pytest.mark.parametrize("name", names())
def test_a_graph_gives_what_the_detector_gives_for_any_number_of_pictures(name: str) -> None:
    detector = ready(name)
    found = trace_detector(detector, (SIDE, SIDE))
    model, hurt = found.model.SerializeToString(), TEST.clone()
    hurt[:, :, 20:40, 20:40] = 0.0
    images = torch.cat([TEST, hurt, TEST])[:8]
    expected = detector(images)
    for backend in BACKENDS:
        deployed = Deployed(detector.geometry, (SIDE, SIDE), found.outputs, backend=backend)
        require_same(GraphDetector(model, deployed), images, expected)


WITH = [(name, *each.split("=")) for name, card in catalog.METHODS.items() for each in card.graph_with]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "argument", "value"), WITH)
def test_a_method_has_a_graph_with_the_argument_that_its_card_names(name: str, argument: str, value: str) -> None:
    given = {**quick(name), argument: int(value) if value.isdigit() else value}
    detector: Any = catalog.method(name)("test-tiny", **given)
    if catalog.METHODS[name].trained:
        detector.updates.add()
        detector.train().eval()
    else:
        learn(detector, GOOD)
    score, anomaly_map, *_ = trace_detector(detector, (SIDE, SIDE)).program.module()(TEST)
    expected = detector(TEST)
    assert_close(score, expected.image_score, rtol=1e-4, atol=1e-5)
    assert_close(anomaly_map, expected.anomaly_map, rtol=1e-3, atol=1e-4)


def require_same(graph: GraphDetector, images: Tensor, expected: Prediction) -> None:
    largest = expected.anomaly_map.abs().max().item()
    for count in (1, 3, 8):
        given = graph.predict_arrays(images[:count].numpy())
        np.testing.assert_allclose(given.image_score, expected.image_score[:count].numpy(), rtol=1e-4, atol=1e-5)
        assert np.abs(given.anomaly_map - expected.anomaly_map[:count].numpy()).max() <= 1e-3 * max(largest, 1e-3)
    if expected.type_scores is not None:
        scores = graph.predict_arrays(images.numpy()).type_scores
        assert scores is not None
        np.testing.assert_allclose(scores, expected.type_scores.numpy(), rtol=1e-3, atol=1e-4)


class Fixed(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).sum(1) + len(images)  # a length is a number, which the graph would keep


def test_a_module_that_fixes_the_number_of_pictures_is_refused() -> None:
    with pytest.raises(BadInput, match="it has no graph as it is set up"):
        trace(Fixed(), {"images": torch.rand(2, 3, 8, 8)}, ["image_score"])


class Sums(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (images.flatten(1).sum(1),)


def test_a_graph_for_one_number_of_pictures_is_found_out() -> None:
    images = {"images": torch.rand(2, 3, 8, 8)}
    found = trace(Sums(), images, ["image_score"])
    axis = found.model.graph.input[0].type.tensor_type.shape.dim[0]
    axis.Clear()
    axis.dim_value = 2
    with pytest.raises(BadInput, match="its graph takes 2 pictures at once and no other"):
        require_any_count(found, Sums(), images)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        rows = torch.arange(800.0).view(10, 80)
        self.register_buffer("one", rows)
        self.register_buffer("other", rows.clone())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        flat = images.flatten(1)[:, :10]
        return ((flat @ self.get_buffer("one")).sum(1), (flat @ self.get_buffer("other") + 1).sum(1))


def test_equal_numbers_are_written_once_and_nothing_tells_where_they_came_from() -> None:
    found = trace(Twice(), {"images": torch.rand(2, 3, 8, 8)}, ["image_score", "anomaly_map"])
    large = [each for each in found.model.graph.initializer if len(each.raw_data) >= 3200]
    assert len(large) == 1
    share_numbers(found.model)
    assert len(found.model.graph.initializer) >= 1
    assert b".py" not in found.model.SerializeToString()
