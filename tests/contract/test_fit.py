"""One call by which everything in the catalogue learns from pictures, and so does a method of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.support.parts import good, mask, part
from tests.support.training import arguments
from torch import Tensor, nn

from blemish import Batch, Geometry, Prediction, Sample, TrainingSettings, catalog, encoders, fit
from blemish.catalog import Card
from blemish.errors import BadImage, BadInput
from blemish.images import Unreadable
from blemish.training.schedule import Schedule
from blemish.training.trainable import ParameterGroup

QUICKLY = TrainingSettings(steps=2, batch_size=4, rate=1e-3, device="cpu")


def made(name: str) -> Any:
    return catalog.method(name)(encoders.load("test-tiny"), **arguments(name))


def settings_of(name: str) -> TrainingSettings:
    return QUICKLY if catalog.card(name).trained else TrainingSettings(batch_size=4)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Path | Sample]:
    """Good parts by their paths alone, and two with a defect and its mask."""
    folder = tmp_path_factory.mktemp("examples")
    spots = [(8, 40), (30, 12)]
    bad = [
        Sample(part(folder / f"bad{at}.png", 50 + at, spot=spot), "hole", (mask(folder / f"mask{at}.png", spot),))
        for at, spot in enumerate(spots)
    ]
    return [*good(folder / "good", 4), *bad]


@pytest.mark.parametrize("name", sorted(catalog.METHODS))
def test_one_call_teaches_every_method(name: str, examples: list[Path | Sample]) -> None:
    detector = made(name)
    before = {key: tensor.clone() for key, tensor in cast(nn.Module, detector).state_dict().items()}
    assert fit(detector, iter(examples), settings_of(name)) is detector
    after = cast(nn.Module, detector).state_dict()
    assert {key for key, each in after.items() if key not in before or not torch.equal(each, before[key])}
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = detector(images)
    assert found.anomaly_map.shape == (2, 64, 64)
    assert found.image_score.isfinite().all()
    again = fit(made(name), examples, settings_of(name))
    assert torch.equal(again(images).anomaly_map, found.anomaly_map)


class Darkness(nn.Module):
    """A method of one's own that is trained: how dark a place is, by a weight that begins at 0."""

    def __init__(self, encoder: Any = "test-tiny", *, side: int = 64) -> None:
        super().__init__()
        self.encoder, self.geometry = encoders.load(encoder), Geometry(side)
        self.weight = nn.Parameter(torch.zeros(1))
        self.requires_grad_(False).eval()

    schedule = Schedule(steps=3, rate=0.1, batch_size=4)

    def trained_parameters(self) -> list[ParameterGroup]:
        return [ParameterGroup([self.weight])]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.masks is not None
        return {"far": (self._map(batch.images) - batch.masks.float()).square().mean()}

    def forward(self, images: Tensor) -> Prediction:
        found = self._map(images)
        return Prediction(found.flatten(1).amax(1), found)

    def _map(self, images: Tensor) -> Tensor:
        return self.weight * (1 - images.mean(1))


def test_a_method_of_ones_own_is_fitted_by_the_same_call(examples: list[Path | Sample], tmp_path: Path) -> None:
    assert fit(Darkness(), examples, QUICKLY).weight > 0
    interrupted = fit(Darkness(), examples, QUICKLY, folder=tmp_path / "run")
    again = fit(Darkness(), examples, QUICKLY, folder=tmp_path / "run")  # which goes on with nothing
    assert torch.equal(again.weight, interrupted.weight)
    with pytest.raises(BadInput, match="was begun with other rate: say the same again"):
        fit(Darkness(), examples, TrainingSettings(steps=2, batch_size=4, device="cpu"), folder=tmp_path / "run")


def test_a_folder_is_of_good_parts(examples: list[Path | Sample]) -> None:
    paths = [each for each in examples if isinstance(each, Path)]
    one, other = (fit(made("padim"), given) for given in (paths[0].parent, sorted(paths)))
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(one(images).anomaly_map, other(images).anomaly_map)


def test_a_card_of_ones_own_says_how_a_method_learns(examples: list[Path | Sample]) -> None:
    class Auxiliary(Darkness):
        card = Card("", "", "how dark it is", labelled="required", trained=True, auxiliary=True)

    name, card = catalog.identify(Auxiliary())
    assert name.endswith("Auxiliary")
    assert card.auxiliary
    with pytest.raises(BadInput, match="learns from defects whose place is known"):
        fit(Auxiliary(), [each for each in examples if isinstance(each, Path)], QUICKLY)
    assert fit(Auxiliary(), examples, QUICKLY).weight > 0


def test_an_interrupted_call_goes_on_where_it_stopped(
    examples: list[Path | Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, asked = Darkness.loss, list[int]()

    def broken(self: Darkness, batch: Batch) -> dict[str, Tensor]:
        asked.append(0)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return usual(self, batch)

    longer = TrainingSettings(steps=4, batch_size=4, rate=1e-3, device="cpu")
    monkeypatch.setattr(Darkness, "schedule", Schedule(save_every=2))
    expected = fit(Darkness(), examples, longer)
    monkeypatch.setattr(Darkness, "loss", broken)
    with pytest.raises(KeyboardInterrupt):
        fit(Darkness(), examples, longer, folder=tmp_path)
    found = fit(Darkness(), examples, longer, folder=tmp_path)
    assert torch.equal(found.weight, expected.weight)
    assert len(asked) == 5  # two steps before, one that failed, two after


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("patchcore", TrainingSettings(steps=3), "patchcore is there already, and steps would change nothing of it"),
        (
            "supersimplenet",
            TrainingSettings(product="gear"),
            "is there already, and product would change nothing",
        ),
        ("supersimplenet", TrainingSettings(pool=3), "a pool is of defects that are made"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(
    name: str, settings: TrainingSettings, said: str, examples: list[Path | Sample]
) -> None:
    with pytest.raises(BadInput, match=said):
        fit(made(name), examples, settings)


@pytest.mark.parametrize("name", ["patchcore", "supersimplenet"])
def test_what_cannot_be_read_is_raised_or_named(name: str, examples: list[Path | Sample], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no picture")
    with pytest.raises(BadImage, match=r"damaged\.png"):
        fit(made(name), [*examples, damaged], settings_of(name))
    unreadable = list[Unreadable]()
    fit(made(name), [*examples, damaged], settings_of(name), unreadable=unreadable)
    assert {Path(each.id).name for each in unreadable} == {"damaged.png"}


def test_what_is_trained_on_other_products_needs_defects(examples: list[Path | Sample]) -> None:
    with pytest.raises(BadInput, match="april-gan learns from defects whose place is known"):
        fit(made("april-gan"), [each for each in examples if isinstance(each, Path)], QUICKLY)
