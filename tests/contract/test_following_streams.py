"""What every method promises that follows a stream: order matters, and nothing else about a run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.cli.test_evaluate import category
from tests.cli.test_inspect import lines, run
from tests.support.parts import good, part, spots
from tests.support.quick import quick
from tests.support.training import batch, ready
from torch import nn

from blemish import catalog
from blemish.errors import BadInput
from blemish.recipes import detectors, update
from blemish.recipes import recipe as recipes
from blemish.recipes.calibrate import calibrate
from blemish.types import Follower, Prediction

STREAMS = sorted(name for name, card in catalog.METHODS.items() if card.scores == "online")
every = pytest.mark.parametrize("method", STREAMS)
IMAGES = batch(50, 6).images


def fresh(method: str) -> Any:
    return copy.deepcopy(ready(method))


def frozen(method: str, **more: object) -> recipes.Recipe:
    detector = catalog.method(method)("test-tiny", **quick(method), **more)
    detector.load_state_dict(cast(nn.Module, ready(method)).state_dict())
    return update.freeze_detector(detector, method, arguments=quick(method) | more)


def followed(detector: Any, *parts: torch.Tensor) -> torch.Tensor:
    return torch.cat([detector.follow(each).image_score for each in parts])


def same(one: Prediction, other: Prediction) -> bool:
    return torch.equal(one.image_score, other.image_score) and torch.equal(one.anomaly_map, other.anomaly_map)


def test_there_is_one() -> None:
    assert STREAMS


@every
def test_it_says_that_it_follows(method: str) -> None:
    assert isinstance(fresh(method), Follower)
    assert fresh(method).online


@every
def test_batches_do_not_matter_and_order_does(method: str) -> None:
    whole = followed(fresh(method), IMAGES)
    torch.testing.assert_close(followed(fresh(method), *IMAGES.split(1)), whole, rtol=1e-4, atol=1e-5)
    back = followed(fresh(method), IMAGES.flip(0)).flip(0)
    assert not torch.allclose(back, whole, rtol=1e-3)


@every
def test_a_plain_call_remembers_nothing_and_scores_as_the_next_picture_of_the_stream(method: str) -> None:
    detector = fresh(method)
    detector.follow(IMAGES[:5])
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    detector(IMAGES[5:])
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())
    detector.follow(IMAGES[5:])
    assert any(not torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())


@every
def test_a_stream_begins_anew_when_it_is_forgotten(method: str) -> None:
    detector = fresh(method)
    first = detector.follow(IMAGES)
    detector.stream.forget()
    assert same(detector.follow(IMAGES), first)


@every
def test_memory_does_not_grow_with_the_stream(method: str) -> None:
    detector = catalog.method(method)("test-tiny", **quick(method), pictures=3, images=4)
    detector.load_state_dict(cast(nn.Module, ready(method)).state_dict())
    sizes = []
    for number in range(4):
        detector.follow(batch(60 + number).images)
        sizes.append(sum(tensor.numel() for tensor in detector.state_dict().values()))
    assert sizes[1] == sizes[2] == sizes[3]


@every
def test_a_recipe_holds_the_stream_bit_for_bit(method: str, tmp_path: Path) -> None:
    detector = fresh(method)
    detector.follow(IMAGES[:4])
    recipes.save(update.freeze_detector(detector, method, arguments=quick(method)), tmp_path / "a.blemish")
    again = detectors.detector(recipes.load(tmp_path / "a.blemish"))
    assert isinstance(again, Follower)
    assert same(again.follow(IMAGES[4:]), detector.follow(IMAGES[4:]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    good(tmp_path / "stream", 4)
    spots(tmp_path / "stream", 2)
    return tmp_path / "stream"


def scores(out: Path) -> dict[str, float]:
    return {Path(line["path"]).name: line["score"] for line in lines(out / "results.jsonl")}


@every
def test_the_command_follows_in_the_order_given_whatever_its_batches(method: str, folder: Path) -> None:
    recipe, paths = folder.parent / "a.blemish", sorted(folder.iterdir())
    recipes.save(frozen(method), recipe)
    found = []
    for number, (images, size) in enumerate([(paths, 8), (paths, 1), (paths[::-1], 8)]):
        out = folder.parent / f"out{number}"
        result = run("inspect", *images, "--recipe", recipe, "--out", out, "--batch-size", size)
        assert result.exit_code == 0, result.output
        found.append(scores(out))
    assert found[0] == found[1]
    assert found[2] != pytest.approx(found[0], rel=1e-3)


@every
def test_a_run_that_goes_on_ends_as_if_it_had_never_stopped(method: str, folder: Path) -> None:
    recipe, out = folder.parent / "a.blemish", folder.parent / "out"
    recipes.save(frozen(method), recipe)
    assert run("inspect", folder, "--recipe", recipe, "--out", out).exit_code == 0
    before = scores(out)
    rows = (out / "results.jsonl").read_text().splitlines(keepends=True)
    (out / "results.jsonl").write_text("".join(rows[:3]))
    result = run("inspect", folder, "--recipe", recipe, "--out", out, "--resume")
    assert result.exit_code == 0, result.output
    assert scores(out) == before
    assert len(lines(out / "results.jsonl")) == len(rows)


@every
def test_no_threshold_is_made_of_a_stream(method: str, tmp_path: Path) -> None:
    parts = good(tmp_path, 4)
    with pytest.raises(BadInput, match="no threshold holds for later ones: train it with --set online=false"):
        calibrate(frozen(method), parts)
    assert calibrate(frozen(method, online=False), parts).calibration


@every
def test_a_stream_with_known_defects_is_followed_too(method: str, tmp_path: Path) -> None:
    recipe = frozen(method)
    odd = part(tmp_path / "odd.png", 7, spot=(20, 20))
    made = detectors.detector(update.add_defects(recipe, "spot", [odd]))
    assert isinstance(made, Follower)
    assert made.online
    whole = made.follow(IMAGES)
    torch.testing.assert_close(
        whole.image_score[:1], detectors.detector(recipe)(IMAGES[:1]).image_score, rtol=1, atol=1
    )
    assert not torch.equal(made(IMAGES[:1]).image_score, whole.image_score[:1])


@every
def test_an_evaluation_draws_the_order_by_its_seed(method: str, tmp_path: Path) -> None:
    root = category(tmp_path / "plate")
    recipes.save(frozen(method), tmp_path / "a.blemish")
    result = run("evaluate", root, "--layout", "mvtec", "--recipe", tmp_path / "a.blemish", "--json")
    assert result.exit_code == 0, result.output
    assert "in an order of the pictures drawn by the seed 0" in result.output


@every
def test_a_stream_begins_with_the_good_parts_that_its_recipe_was_taught(method: str, tmp_path: Path) -> None:
    recipe, parts = frozen(method), good(tmp_path, 3)
    taught = update.add_good(recipe, parts)
    one, other = (cast(Follower, detectors.detector(each)) for each in (recipe, taught))
    assert not torch.allclose(other.follow(IMAGES[:1]).image_score, one.follow(IMAGES[:1]).image_score, rtol=1e-3)
    left = update.forget(taught, [taught.taught[1].id])
    never = update.add_good(recipe, [parts[0], parts[2]])
    gone = update.forget(taught, [each.id for each in taught.taught])
    pairs = [(left, never), (gone, recipe)]
    for each, expected in pairs:
        found, wanted = (cast(Follower, detectors.detector(made)).follow(IMAGES) for made in (each, expected))
        torch.testing.assert_close(found.image_score, wanted.image_score)
        torch.testing.assert_close(found.anomaly_map, wanted.anomaly_map)


@every
def test_a_taught_recipe_that_follows_nothing_is_calibrated_by_holding_out(method: str, tmp_path: Path) -> None:
    parts = good(tmp_path, 4)
    taught = update.add_good(frozen(method, online=False), parts)
    assert calibrate(taught, parts).calibration
    detector = detectors.detector(taught)
    torch.testing.assert_close(detector(IMAGES[:2]).image_score[1:], detector(IMAGES[1:2]).image_score)
