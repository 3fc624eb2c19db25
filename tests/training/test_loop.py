"""The loop with a model of its own: a frozen part that normalises, and a trained one that draws random numbers."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.told import Told
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.learned import Learned
from blemish.errors import BadInput, MissingExtra
from blemish.training import loop
from blemish.training.loop import train
from blemish.training.schedule import Schedule, Stage
from blemish.training.trainable import ParameterGroup
from blemish.types import Batch

PLAN = Schedule(steps=6, rate=0.05, save_every=2, device="cpu")


class Model(nn.Module):
    """Whether a picture is bright, from its pixels; `steps` is empty before training."""

    def __init__(self, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.seen = Learned("steps: 1", dtype=torch.int64)
        generator = torch.Generator().manual_seed(1)
        for parameter in self.parameters():
            parameter.data.normal_(generator=generator)
        self.requires_grad_(False).eval()

    def trained_parameters(self) -> list[ParameterGroup]:
        matrix = self.head.get_parameter("2.weight")
        rest = [each for each in self.head.parameters() if each is not matrix]
        return [ParameterGroup([matrix], decay=0.1), ParameterGroup(rest, rate=0.5)]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.labels is not None
        assert not self.encoder[1].training
        assert self.head[0].training
        self.seen.store({"steps": torch.tensor([1]) if not self.seen.fitted else self.seen.get_buffer("steps") + 1})
        logits = self.head(self.encoder(batch.images.flatten(1)))[:, 0]
        return {
            "right": F.binary_cross_entropy_with_logits(logits, batch.labels.float()),
            "small": 0.01 * logits.norm(),
        }


def batches(number: int) -> Batch:
    images = torch.rand(8, 3, 2, 2, generator=torch.Generator().manual_seed(number))
    return Batch(images, labels=images.mean((1, 2, 3)) > 0.5)


def trained(folder: Path, plan: Schedule = PLAN, told: Told | None = None, **more: Any) -> Model:
    with torch.random.fork_rng(devices=[]):
        model = Model()
    train(model, batches, plan, folder, watch=told or Told(), **more)
    return model


def assert_same(one: nn.Module, other: nn.Module) -> None:
    theirs = other.state_dict()
    assert {name for name, tensor in one.state_dict().items() if not torch.equal(tensor, theirs[name])} == set()


def differs(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return any(not torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


@contextmanager
def left_alone() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


def test_the_loss_falls_and_only_what_is_trained_changes(tmp_path: Path) -> None:
    told, before = Told(), Model().state_dict()
    with left_alone():
        model = trained(tmp_path, replace(PLAN, steps=60), told)
    totals = [losses["total"] for losses in told.losses]
    assert len(totals) == 60
    assert sum(totals[-10:]) < 0.8 * sum(totals[:10])
    assert all(losses["total"] == pytest.approx(losses["right"] + losses["small"]) for losses in told.losses)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"seen.steps", *(name for name in before if name.startswith("head."))}
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("average", [0.0, 0.5])
@pytest.mark.parametrize("at", [1, 3, 6])
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does_bit_for_bit(
    tmp_path: Path, at: int, average: float
) -> None:
    plan, whole, rest = replace(PLAN, average=average), Told(), Told()
    expected = trained(tmp_path / "whole", plan, whole)
    with pytest.raises(KeyboardInterrupt), left_alone():
        trained(tmp_path / "cut", plan, Told(at))
    found = trained(tmp_path / "cut", plan, rest)
    assert rest.losses == whole.losses[{1: 0, 3: 2, 6: 4}[at] :]
    assert_same(found, expected)


def test_an_interruption_leaves_a_model_that_asks_for_no_gradients(tmp_path: Path) -> None:
    model = Model()
    with pytest.raises(KeyboardInterrupt):
        train(model, batches, PLAN, tmp_path, watch=Told(1))
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_seed_gives_the_same_weights_twice_and_another_seed_others(tmp_path: Path) -> None:
    one, two, other = (
        trained(tmp_path / name, replace(PLAN, seed=seed)) for name, seed in (("1", 3), ("2", 3), ("3", 4))
    )
    assert_same(one, two)
    assert differs(one, other)


def test_it_trains_as_a_plain_loop_does(tmp_path: Path) -> None:
    plan = replace(PLAN, warmup=2, floor=1.0, clip=0.1, accumulate=2, average=0.5, betas=(0.8, 0.9), seed=5)
    found, model = trained(tmp_path, plan), Model()
    matrix, rest = (list(group.parameters) for group in model.trained_parameters())
    groups = [{"params": matrix, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.8, 0.9))
    model.head.train().requires_grad_()
    mean = {name: tensor.clone() for name, tensor in model.head.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        for step in range(6):
            rate = 0.05 * min(1, (step + 1) / 2)
            optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = rate, rate / 2
            optimizer.zero_grad()
            for number in (2 * step, 2 * step + 1):
                (sum(model.loss(batches(number)).values(), torch.tensor(0.0)) / 2).backward()
            nn.utils.clip_grad_norm_(model.head.parameters(), 0.1)
            optimizer.step()
            keep = min(0.5, (1 + step) / (10 + step))
            for name, tensor in model.head.state_dict().items():
                mean[name] = mean[name].lerp(tensor, 1 - keep) if tensor.is_floating_point() else tensor.clone()
    for name, tensor in found.head.state_dict().items():
        assert_close(tensor, mean[name], rtol=1e-6, atol=1e-7)
    assert found.seen.get_buffer("steps").tolist() == [12]


def test_without_an_average_the_last_weights_are_kept(tmp_path: Path) -> None:
    found = trained(tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    assert "encoder.0.weight" not in state  # what stays as it is, is not written
    assert_close({name: found.state_dict()[name] for name in state}, state, rtol=0, atol=0)


def test_each_step_is_announced_with_the_mean(tmp_path: Path) -> None:
    numbers = list[int]()

    def before(step: int, mean: Mapping[str, Tensor]) -> None:
        assert "head.2.weight" in mean
        numbers.append(step)

    trained(tmp_path, before=before)
    assert numbers == [0, 1, 2, 3, 4, 5]


def test_mixed_precision_trains_the_same_weights_roughly(tmp_path: Path) -> None:
    told, mixed = Told(), Told()
    one = trained(tmp_path / "32", told=told)
    other = trained(tmp_path / "16", replace(PLAN, precision="bf16-mixed"), mixed)
    assert differs(one, other)
    assert all(
        tensor.dtype == torch.float32 for tensor in other.head.state_dict().values() if tensor.is_floating_point()
    )
    assert [losses["total"] for losses in mixed.losses] == pytest.approx(
        [each["total"] for each in told.losses], rel=0.1
    )


def test_out_of_time_it_stops_with_a_checkpoint(tmp_path: Path) -> None:
    model, told = Model(), Told()
    assert not train(model, batches, PLAN, tmp_path, watch=told, stop=lambda: True)
    assert told.losses == []
    assert_same(model, Model())
    assert train(model, batches, PLAN, tmp_path, watch=told)
    assert_same(model, trained(tmp_path / "whole"))


def test_a_checkpoint_is_written_after_a_while_however_few_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, whole = replace(PLAN, save_every=100), trained(tmp_path / "whole")
    monkeypatch.setattr(loop, "UNSAVED", -1.0)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", plan, Told(3))
    assert torch.load(tmp_path / "cut/checkpoint.pt", weights_only=True)["step"] == 2
    assert_same(trained(tmp_path / "cut", plan), whole)


def test_how_far_it_is_counts_what_was_done_before(tmp_path: Path) -> None:
    trained(tmp_path, replace(PLAN, steps=4))
    told = Told()
    trained(tmp_path, told=told)
    assert told.stages == [("training", 6, 5), ("training", 6, 6)]


def test_a_loss_that_is_no_number_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "rate", lambda step, schedule: 1e30)
    with pytest.raises(BadInput, match=r"diverged at step \d: start anew with a smaller rate than 0\.05"):
        trained(tmp_path)


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_last_weights_that_are_no_numbers_are_refused(
    clip: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "rate", lambda step, schedule: float("inf"))
    with pytest.raises(BadInput, match=r"diverged at step \d: start anew with a smaller rate than 0\.05"):
        trained(tmp_path, replace(PLAN, steps=1, clip=clip))
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_gradient_that_is_no_number_is_refused_where_it_is_clipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(*_: object, **__: object) -> torch.Tensor:
        return torch.tensor(float("inf"))

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoil)
    with pytest.raises(BadInput, match="diverged at step 0"):
        trained(tmp_path, replace(PLAN, clip=1.0))


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), 1e30, 1.5, -1.0])
def test_a_rate_that_no_weights_survive_is_refused(rate: float) -> None:
    with pytest.raises(
        BadInput,
        match=rf"^a learning rate of {re.escape(f'{rate:g}')}: give one above 0 and at most 1; by 0 nothing is",
    ):
        replace(PLAN, rate=rate)


def test_a_precision_of_other_machines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="16-mixed is for graphics cards: train in bf16-mixed"):
        trained(tmp_path, replace(PLAN, precision="16-mixed", device="cpu"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read"),
        (b"no checkpoint", "cannot be read"),
        ({"step": 1, "model": {}, "optimizer": {}, "mean": {}}, "has no random, as another blemish wrote it"),
    ],
    ids=["empty", "damaged", "foreign"],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: Any, reason: str) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(BadInput, match=reason):
        trained(tmp_path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"step": Told()}, tmp_path / "checkpoint.pt")
    with pytest.raises(BadInput, match="cannot be read"):
        trained(tmp_path)


def test_a_checkpoint_of_another_model_and_one_beyond_the_end_are_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(BadInput, match=r"is at step 6, beyond the 3 asked for"):
        trained(tmp_path, replace(PLAN, steps=3))
    other = Model()
    other.head[2] = nn.Linear(8, 2)
    with pytest.raises(BadInput, match=r"checkpoint\.pt is of another model"):
        train(other, batches, PLAN, tmp_path, watch=Told())


def test_without_fabric_the_way_to_install_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingExtra, match=r"pip install 'blemish\[train\]'"):
        trained(tmp_path)


class TwoStages(Model):
    """First the matrix is trained, by the labels, and then only the bias, which is made small."""

    def begin(self, stage: int) -> None:
        self.stage = stage

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        if self.stage == 1:
            return {"small": self.head.get_parameter("2.bias").square().sum()}
        return super().loss(batch)


def test_stages_are_steps_of_one_training_which_goes_on_in_the_one_where_it_stopped(tmp_path: Path) -> None:
    plan = replace(PLAN, stages=(Stage(0.5, 2), Stage(0.5)))
    seen, told, begins = list[int](), Told(), list[int]()

    def run(folder: Path, said: Told) -> TwoStages:
        with torch.random.fork_rng(devices=[]):
            model = TwoStages()
        begin = model.begin
        model.begin = lambda stage: begins.append(stage) or begin(stage)  # type: ignore[method-assign, func-returns-value]
        train(model, lambda number: seen.append(number) or batches(number), plan, folder, watch=said)  # type: ignore[func-returns-value]
        return model

    whole = run(tmp_path / "whole", told)
    assert seen == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert [sorted(losses) for losses in told.losses] == [["right", "small", "total"]] * 3 + [["small", "total"]] * 3
    assert begins == [0, 1]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Told(5))
    begins.clear()
    assert_same(run(tmp_path / "cut", Told()), whole)
    assert begins == [1]
