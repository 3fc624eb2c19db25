from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from tests.support.device import DEVICE, narrow_device, second_device
from tests.support.parts import good, mask, part, spots
from tests.support.quick import quick, slow_but
from torch import nn

from blemish import catalog, encoders
from blemish.devices import device_of_name, place_model
from blemish.encoders.inputs import device_of
from blemish.errors import BadInput
from blemish.fitting import fit_detector
from blemish.images import Inspected
from blemish.inspection import inspect
from blemish.recipes import detectors, update
from blemish.recipes import recipe as recipes
from blemish.types import Detector, Encoder

METHODS = sorted(name for name in catalog.METHODS if not hasattr(catalog.method(name), "loss"))
LEARNERS = sorted(name for name in METHODS if catalog.card(name).normal != "none")


def elsewhere() -> Encoder:
    return place_model(encoders.load("test-tiny", precision="float32"), DEVICE)


def scores(detector: Detector, path: Path) -> Inspected:
    (found,) = inspect(detector, [path])
    assert isinstance(found, Inspected)
    return found


def agrees(one: Inspected, other: Inspected) -> bool:
    return one.score == pytest.approx(other.score, rel=1e-4) and np.allclose(
        one.anomaly_map, other.anomaly_map, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_and_inspects_where_its_encoder_lies(method: str, tmp_path: Path) -> None:
    paths, picture = good(tmp_path, 3), part(tmp_path / "new.png", 40, spot=(20, 30))
    paths = paths if catalog.card(method).normal != "none" else []
    here = scores(fit_detector(method, "test-tiny", good=paths, arguments=quick(method)), picture)
    with second_device():
        detector = fit_detector(method, elsewhere(), good=paths, arguments=quick(method))
        found = scores(detector, picture)
        assert device_of(detector) == DEVICE
        module = cast(nn.Module, detector)
        assert {each.device for each in (*module.parameters(), *module.buffers())} == {DEVICE}
    assert agrees(found, here)


@pytest.mark.parametrize("method", slow_but({"padim", "patchcore", "tab"}, LEARNERS))
def test_a_recipe_is_taught_and_used_there_and_holds_what_one_from_here_holds(method: str, tmp_path: Path) -> None:
    first, second, picture = good(tmp_path, 3), good(tmp_path, 2, first=3), part(tmp_path / "n.png", 40, spot=(20, 30))
    spot = spots(tmp_path, 1)
    masks = {spot[0]: mask(tmp_path / "m.png", (8, 44))}

    def taught(encoder: Encoder | str) -> recipes.Recipe:
        made = update.freeze(method, encoder, good=first, arguments=quick(method))
        made = update.add_good(made, second, encoder=encoder)
        made = update.add_defects(made, "spot", spot, masks=masks, encoder=encoder)
        return update.forget(made, [made.taught[0].id], encoder=encoder)

    here = taught("test-tiny")
    with second_device():
        there = taught(elsewhere())
        assert {tensor.device.type for tensor in there.tensors.values()} == {"cpu"}
        found = scores(detectors.detector(there, elsewhere()), picture)
    assert {name: tensor.shape for name, tensor in there.tensors.items()} == {
        name: tensor.shape for name, tensor in here.tensors.items()
    }
    assert agrees(found, scores(detectors.detector(here), picture))


@pytest.mark.parametrize("method", slow_but({"padim", "patchcore", "subspace-ad"}, LEARNERS))
def test_a_device_without_float64_learns_and_inspects_the_same(method: str, tmp_path: Path) -> None:
    paths, picture = good(tmp_path, 4), part(tmp_path / "new.png", 40, spot=(20, 30))
    recipe = update.freeze(method, "test-tiny", good=paths[:3], arguments=quick(method))
    grown = scores(detectors.detector(update.add_good(recipe, paths[3:])), picture)
    here = scores(fit_detector(method, "test-tiny", good=paths, arguments=quick(method)), picture)
    with narrow_device():
        detector = fit_detector(method, elsewhere(), good=paths, arguments=quick(method))
        buffers = cast(nn.Module, detector).buffers()
        assert {each.device for each in buffers if each.dtype != torch.float64} == {DEVICE}
        found = scores(detector, picture)
        there = update.add_good(recipe, paths[3:], encoder=elsewhere())
        again = scores(detectors.detector(there, elsewhere()), picture)
    assert agrees(found, here)
    assert agrees(again, grown)


def test_the_second_device_refuses_what_lies_in_two_places() -> None:
    with second_device():
        model = nn.Linear(3, 2).to(DEVICE)
        assert model(torch.ones(1, 3).to(DEVICE)).cpu().device.type == "cpu"
        with pytest.raises(AssertionError, match="lie on the processor"):
            model(torch.ones(1, 3))


def test_a_device_has_a_name() -> None:
    assert device_of_name("cpu") == torch.device("cpu")
    assert device_of_name("auto").type in ("cuda", "mps", "cpu")
    for wrong in ("gpu", "cuda:99", "meta", ""):
        with pytest.raises(BadInput, match="there is no device"):
            device_of_name(wrong)
