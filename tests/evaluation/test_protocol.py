"""Scores scaled by the test set, as the authors of some methods measured, against their equations over whole arrays."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.parts import good, spots
from tests.support.training import begun, ready
from torch import Tensor

from blemish import catalog
from blemish.blocks.prompts import ensemble, type_prototypes
from blemish.encoders.inputs import as_tensor
from blemish.errors import BadInput
from blemish.evaluation.evaluate import evaluate
from blemish.evaluation.scaling import min_max
from blemish.fitting import remember
from blemish.images import Unreadable, read, unit
from blemish.notices import gather
from blemish.runs.decision import Decided
from blemish.types import GOOD, Batch, Sample

SCALED = sorted(name for name, card in catalog.METHODS.items() if card.scaled)
PLAUSIBLE = {"scratch": "scratch", "stain": "dark stain"}


class Found:
    """A sink that keeps scores and maps."""

    def __init__(self) -> None:
        self.scores, self.maps = list[float](), list[Tensor]()

    def add(self, found: Decided | Unreadable, sample: Sample | None = None) -> None:
        assert isinstance(found, Decided)
        self.scores.append(found.result.score)
        self.maps.append(as_tensor(found.result.anomaly_map))


def scale(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min())


def detector_of(method: str) -> Any:
    """Trained, its defects named anew if it takes such names."""
    made: Any = deepcopy(ready(method))
    if method == "multi-ads":
        made.texts, made.plausible, made.types = _plausible(made), PLAUSIBLE, tuple(PLAUSIBLE)
    return made


def _plausible(made: Any) -> Tensor:
    return type_prototypes(made.encoder, made.product, PLAUSIBLE, ensemble(made.words), normalize_sentences=True)


def taught(detector: Any, images: Tensor) -> Any:
    return remember(detector, [Batch(images)]) if hasattr(detector, "extract") else detector


def published(method: str, words: Any, detector: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and maps by the authors' equations; `words` is the detector before it was taught good parts."""
    with torch.inference_mode():
        found = detector(images)
        score, maps = found.image_score, found.anomaly_map
        highest = maps.flatten(1).amax(1)
        if method == "april-gan":
            whole = 2 * score - highest / (2 * len(detector.taps))
            return (whole + scale(highest)) / 2, maps
        if method == "aa-clip":
            picture = 2 * score - highest * detector.temperature / len(detector.taps)
            return (scale(maps).flatten(1).amax(1) + scale(picture)) / 2, maps
        if method == "mvfa":
            text = words(images).anomaly_map
            maps = (scale(text) + scale(2 * maps - text)) / 2
            return maps.flatten(1).amax(1), maps
        embedding = torch.nn.functional.normalize(detector.frozen(images).image, dim=-1)
        likely = (embedding @ detector.texts.T / detector.temperature).softmax(1)[:, 1:].sum(1)
        return (likely + scale(highest)) / 2, maps


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return [Sample(path, GOOD) for path in good(tmp_path / "good", 4, first=50)] + [
        Sample(path, "spot") for path in spots(tmp_path / "spot", 3)
    ]


def images_of(samples: Sequence[Sample]) -> Tensor:
    return torch.stack([as_tensor(unit(read(sample.image))) for sample in samples])


@pytest.mark.parametrize(
    ("values", "lowest", "highest", "expected"),
    [([1.0, 2.0, 5.0], 1, 5, [0.0, 0.25, 1.0]), ([3.0, 3.0], 3, 3, [0.0, 0.0]), ([-1.0], -2, 0, [0.5])],
)
def test_the_range_of_a_set_becomes_0_to_1(
    values: list[float], lowest: float, highest: float, expected: list[float]
) -> None:
    assert min_max(torch.tensor(values), lowest, highest).tolist() == expected


@pytest.mark.parametrize("method", SCALED)
def test_published_scores_are_those_of_the_authors_equations(method: str, samples: list[Sample]) -> None:
    words, images = detector_of(method), images_of(samples)
    detector = taught(deepcopy(words), images[:2])
    expected, maps = published(method, words, detector, images)
    found, alone = Found(), Found()
    with gather() as notices:
        report = evaluate(detector, samples, batch_size=3, sinks=[found], protocol="published")
    torch.testing.assert_close(torch.tensor(found.scores), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.stack(found.maps), maps, rtol=1e-4, atol=1e-5)
    assert report.protocol == report.as_json()["protocol"] == "published"
    assert [line for line in notices.lines() if "scaled by the test set itself" in line]
    assert evaluate(detector, samples, sinks=[alone]).protocol == "standard"
    assert alone.scores == pytest.approx(detector(images).image_score.tolist(), rel=1e-4)
    assert alone.scores != pytest.approx(found.scores, rel=1e-2)


@pytest.mark.parametrize("method", sorted(catalog.METHODS))
def test_a_card_says_whether_its_authors_scale(method: str) -> None:
    assert bool(catalog.card(method).scaled) == ("scale" in signature(catalog.method(method).forward).parameters)


@pytest.mark.parametrize("method", sorted(set(SCALED) - {"aa-clip"}))
def test_where_the_authors_do_not_scale_either_it_is_refused(method: str, samples: list[Sample]) -> None:
    with pytest.raises(BadInput, match=f"the authors of {method} scale scores by the test set only where "):
        evaluate(ready(method), samples, protocol="published")


def test_methods_whose_authors_never_scale_name_those_whose_do(samples: list[Sample]) -> None:
    with pytest.raises(BadInput) as refused:
        evaluate(begun("uniadet"), samples, protocol="published")
    assert str(refused.value) == (
        "the authors of uniadet do not scale scores by the test set, so the protocol published would measure the same: "
        "leave it out; it is for aa-clip (always), april-gan (where good parts were taught), multi-ads (where "
        "`plausible` names defects, or by `global_score`), mvfa (where good parts were taught)"
    )


def test_several_products_are_not_scaled_together(samples: list[Sample]) -> None:
    mixed = [Sample(each.image, each.label, category=f"cap {at % 2}") for at, each in enumerate(samples)]
    with pytest.raises(BadInput, match="by pictures of one product: choose one by --category"):
        evaluate(ready("aa-clip"), mixed, protocol="published")
