"""How a training draws its pictures, by what its method says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from tests.support.parts import good, mask, spots
from tests.support.quick import quick

from blemish import encoders
from blemish.progress import no_progress
from blemish.recipes.fit import TrainingSettings
from blemish.recipes.train import Training
from blemish.types import GOOD, Sample


@pytest.mark.parametrize(("method", "even"), [("clip-mdc", True), ("multi-ads", False)])
def test_types_are_drawn_equally_often_where_they_are_of_one_product(method: str, even: bool, tmp_path: Path) -> None:
    masks = [mask(tmp_path / f"masks/{at}.png", (8 + 8 * at, 44 - 8 * at)) for at in range(3)]
    bad = [Sample(path, "spot", masks=(own,)) for path, own in zip(spots(tmp_path, 3), masks, strict=True)]
    samples = [*(Sample(path, GOOD) for path in good(tmp_path, 3)), *bad]
    settings = TrainingSettings(arguments=quick(method), device="cpu", augmentation="none")
    training = Training(method, "test-tiny", {"set": samples}, settings, watch=no_progress)
    assert training.examples.settings.even is even


@pytest.mark.parametrize(
    ("tower", "asked", "used"),
    [("float32", None, "32-true"), ("bfloat16", None, "bf16-mixed"), ("bfloat16", "32-true", "32-true")],
)
def test_a_training_has_the_precision_of_its_tower(
    tower: Literal["float32", "bfloat16"], asked: str | None, used: str, tmp_path: Path
) -> None:
    encoder = encoders.load("embedded", precision=tower)
    samples = [Sample(path, GOOD) for path in good(tmp_path, 2)]
    settings = TrainingSettings(arguments={"width": 8}, device="cpu", precision=asked)
    training = Training("supersimplenet", encoder, {"set": samples}, settings, watch=no_progress)
    assert training.schedule.precision == used


@pytest.mark.parametrize(("named", "is_said"), [("dent", True), ("spot", False)])
def test_a_vocabulary_that_names_no_type_of_the_examples_is_noticed(
    named: str, is_said: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [
        Sample(path, "spot", masks=(mask(tmp_path / f"masks/{at}.png", (8, 44)),))
        for at, path in enumerate(spots(tmp_path, 2))
    ]
    samples = [*(Sample(path, GOOD) for path in good(tmp_path, 2)), *bad]
    settings = TrainingSettings(arguments=quick("ov-iad") | {"vocabulary": (named,)}, device="cpu")
    Training("ov-iad", "test-tiny", {"set": samples}, settings, watch=no_progress)
    assert ("names none of the types of these defects (spot)" in caplog.text) is is_said
