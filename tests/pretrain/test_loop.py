from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.support.small import LESSONS, SIDE, student, taught
from tests.support.told import Told
from torch import Tensor, nn
from torch.testing import assert_close

from blemish import encoders
from blemish.encoders.embedded.network import Embedded
from blemish.errors import BadInput, MissingExtra
from blemish.pretrain.batches import Batches
from blemish.pretrain.course import PretrainModel, Weights
from blemish.pretrain.loop import SCHEDULE, Mixture, initialise, train, write
from blemish.pretrain.norms import freeze_norms, with_norms, without_norms
from blemish.pretrain.store import Store
from blemish.training import loop
from blemish.training.schedule import Schedule

PLAN = replace(SCHEDULE, steps=4, rate=4e-3, warmup=2, average=0.5, save_every=2, device="cpu")
MIXTURE = Mixture(pairs=4, singles=2)
EVERY = Weights(1.0, 1.0, 0.2, 0.3, 0.1, 0.1)
SENTENCES = ["a photo of a screw", "bottle with a dent", "flawless metal plate"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    return taught(tmp_path_factory.mktemp("stores"))


def ready(stores: list[Store], *, seed: int = 0, decay: float = 0.02) -> tuple[PretrainModel, Batches]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # of the heads
        course = PretrainModel(student(stores, seed=seed), LESSONS, EVERY, decay=decay)
    return course, Batches(stores, LESSONS, course.student.words.vocabulary)


def run(
    stores: list[Store],
    folder: Path,
    plan: Schedule = PLAN,
    told: Told | None = None,
    *,
    held: float = 0.1,
    decay: float = 0.02,
) -> tuple[Embedded, bool]:
    model, batches = ready(stores, decay=decay)
    done = train(model, batches, plan, replace(MIXTURE, held=held), folder, watch=told or Told())
    return model.student, done


def assert_same(one: nn.Module, other: nn.Module) -> None:
    theirs = other.state_dict()
    assert list(one.state_dict()) == list(theirs)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


def images(*, seed: int = 0) -> Tensor:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


@contextmanager
def left_alone() -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)


def test_a_few_steps_reduce_the_loss(stores: list[Store], tmp_path: Path) -> None:
    told = Told()
    with left_alone():
        model, done = run(stores, tmp_path, replace(PLAN, steps=24, save_every=100), told)
    assert done
    assert len(told.totals) == 24
    assert sum(told.totals[-6:]) < 0.9 * sum(told.totals[:6])
    assert not model.training
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize("held", [0.0, 0.25, 0.75], ids=["never held", "held after it", "held before it"])
def test_an_interrupted_run_ends_where_an_uninterrupted_one_does_bit_for_bit(
    stores: list[Store], tmp_path: Path, held: float
) -> None:
    whole, cut, rest = Told(), Told(3), Told()
    expected, _ = run(stores, tmp_path / "whole", PLAN, whole, held=held)
    with pytest.raises(KeyboardInterrupt):
        run(stores, tmp_path / "cut", PLAN, cut, held=held)
    model, done = run(stores, tmp_path / "cut", PLAN, rest, held=held)
    assert done
    assert cut.totals == whole.totals[:3]
    assert rest.totals == whole.totals[2:]  # from the checkpoint after two steps
    assert_same(model, expected)


@pytest.mark.parametrize("held", [0.0, 0.5])
def test_it_trains_as_a_plain_loop_does(stores: list[Store], tmp_path: Path, held: float) -> None:
    """Warm-up and cosine, decay of matrices alone, clipping, running mean, held norms: all of it written out."""
    found, _ = run(stores, tmp_path, held=held)
    model, batches = ready(stores)
    with_norms(model.student)
    cast(Any, model.student).to(memory_format=torch.channels_last)
    plain, matrices = list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in model.train().named_parameters():
        (matrices if parameter.ndim > 1 and "known" not in name and "pieces" not in name else plain).append(parameter)
    groups = [{"params": matrices, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PLAN.rate, betas=(0.9, 0.95))
    mean = deepcopy(model.student)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(PLAN.seed)
        for step in range(4):
            for group in optimizer.param_groups:
                share = (step - 2) / 2
                cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2
                group["lr"] = 4e-3 * (step + 1) / 2 if step < 2 else 4e-3 * cosine
            if step == round(4 * (1 - held)):
                freeze_norms(model.student, mean.state_dict())
            losses = model.loss(batches.draw(step, pairs=4, singles=2).to("cpu"))
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            nn.utils.clip_grad_norm_([*matrices, *plain], 5.0)  # in the order of the groups
            optimizer.step()
            now, keep = model.student.state_dict(), min(0.5, (1 + step) / (10 + step))
            for name, tensor in mean.state_dict().items():
                tensor.copy_(tensor.lerp(now[name], 1 - keep) if tensor.is_floating_point() else now[name])
    assert_same(found, without_norms(mean))


def test_held_norms_keep_the_statistics_of_the_mean(stores: list[Store], tmp_path: Path) -> None:
    kept = []
    for steps in (2, 4):  # the last two of four are held
        run(stores, tmp_path, replace(PLAN, steps=steps), held=0.5 if steps == 4 else 0.0)
        state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
        kept.append({name: tensor for name, tensor in state["mean"].items() if "running" in name})
    now = state["model"]
    assert len(kept[0]) > 10
    for name, tensor in kept[0].items():
        assert torch.equal(tensor, kept[1][name]), name
        assert torch.equal(tensor, now[name]), name


def test_a_run_that_is_done_is_not_done_again(stores: list[Store], tmp_path: Path) -> None:
    expected, _ = run(stores, tmp_path)
    told = Told()
    model, done = run(stores, tmp_path, told=told)
    assert done
    assert told.totals == []
    assert_same(model, expected)


def test_out_of_time_it_stops_with_a_checkpoint_and_the_student_it_began_with(
    stores: list[Store], tmp_path: Path
) -> None:
    (course, batches), told = ready(stores), Told()
    before = course.student.outputs(images()).patches.detach()
    assert not train(course, batches, PLAN, MIXTURE, tmp_path, watch=told, stop=lambda: True)
    assert told.totals == []
    assert_close(course.student.outputs(images()).patches.detach(), before, rtol=1e-3, atol=1e-3)
    assert (tmp_path / "checkpoint.pt").exists()
    expected, _ = run(stores, tmp_path / "whole")
    model, done = run(stores, tmp_path)
    assert done
    assert_same(model, expected)


def test_a_checkpoint_beyond_the_steps_asked_for_is_refused(stores: list[Store], tmp_path: Path) -> None:
    run(stores, tmp_path)
    with pytest.raises(BadInput, match="is at step 4, beyond the 3 asked for"):
        run(stores, tmp_path, replace(PLAN, steps=3))


def test_more_steps_may_be_asked_for_later(stores: list[Store], tmp_path: Path) -> None:
    run(stores, tmp_path)
    told = Told()
    assert run(stores, tmp_path, replace(PLAN, steps=5), told)[1]
    assert len(told.totals) == 1


def test_a_checkpoint_of_another_model_is_refused(stores: list[Store], tmp_path: Path) -> None:
    run(stores, tmp_path, replace(PLAN, steps=1))
    course = PretrainModel(student(stores), LESSONS[:1], EVERY)
    with pytest.raises(BadInput, match=r"checkpoint\.pt is of another model, or of other words"):
        train(course, Batches(stores, LESSONS[:1], ()), PLAN, MIXTURE, tmp_path, watch=Told())


def test_a_run_that_diverges_says_so(stores: list[Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "rate", lambda step, schedule: 1e30)
    with pytest.raises(BadInput, match=r"diverged at step \d: start anew with a smaller rate"):
        run(stores, tmp_path, replace(PLAN, steps=6))


def test_the_mean_of_the_weights_is_what_comes_out(stores: list[Store], tmp_path: Path) -> None:
    plan = replace(PLAN, steps=1, save_every=1)
    run(stores, tmp_path, plan)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    start = with_norms(ready(stores)[0].student).state_dict()
    for name, first in start.items():
        mean, now = state["mean"][f"student.{name}"], state["model"][f"student.{name}"]
        wanted = now if not now.is_floating_point() else first.lerp(now, 0.9)  # 1 - 1 / 10 at the first step
        assert_close(mean, wanted, rtol=1e-5, atol=1e-6)


def test_a_checkpoint_holds_tensors_and_the_schedule(stores: list[Store], tmp_path: Path) -> None:
    run(stores, tmp_path, replace(PLAN, steps=1))
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 1
    assert '"rate": 0.004' in state["schedule"]
    assert list(tmp_path.iterdir()) == [tmp_path / "checkpoint.pt"]


def test_matrices_decay_and_the_vectors_of_words_that_are_not_said_do_not(stores: list[Store], tmp_path: Path) -> None:
    after = {}
    for decay in (0.0, 0.5):
        run(stores, tmp_path / str(decay), replace(PLAN, steps=1), decay=decay)
        after[decay] = torch.load(tmp_path / str(decay) / "checkpoint.pt", weights_only=True)["model"]
    before = student(stores).state_dict()["words.known.weight"]
    for name, plain in after[0.0].items():
        decays = plain.ndim > 1 and "known" not in name and "pieces" not in name
        assert torch.equal(plain, after[0.5][name]) == (not decays), name
    still = (after[0.5]["student.words.known.weight"] == before).all(1)
    assert 1 < int(still.sum()) < len(still)


def test_random_weights_have_the_sizes_that_suit_them(stores: list[Store]) -> None:
    with left_alone():
        model, again, other = (student(stores, seed=seed) for seed in (1, 1, 2))
    assert_same(model, again)
    state = model.state_dict()
    assert not torch.equal(state["dense.weight"], other.state_dict()["dense.weight"])
    kernel = state["trunk.stages.3.0.convolutions.1.weight"]
    assert float(kernel.std()) == pytest.approx(math.sqrt(2 / kernel[0].numel()), rel=0.15)
    matrix = state["words.blocks.0.fc1.weight"]
    assert float(matrix.std()) == pytest.approx(math.sqrt(1 / matrix.shape[1]), rel=0.15)
    assert float(state["words.known.weight"][1:].std()) == pytest.approx(0.3, rel=0.1)
    assert float(state["words.pieces.weight"].std()) == pytest.approx(0.02, rel=0.1)
    assert not state["words.known.weight"][0].any()
    assert all((tensor == ("norm" in name)).all() for name, tensor in state.items() if name.endswith("norm.weight"))
    assert not any(tensor.any() for name, tensor in state.items() if name.endswith("bias"))


def test_what_is_written_is_an_encoder_with_the_same_features(stores: list[Store], tmp_path: Path) -> None:
    model, _ = run(stores, tmp_path / "run")
    write(model, tmp_path / "new" / "model.safetensors")
    found = encoders.load(tmp_path / "new" / "model.safetensors", precision="float32")
    assert isinstance(found, Embedded)
    for (name, one), (_, other) in zip(said(found), said(model), strict=True):
        assert float((one - other).norm() / other.norm()) < 5e-3, name


def said(model: Embedded) -> list[tuple[str, Tensor]]:
    with torch.no_grad():
        image, patches = model(images(), layers=range(1, 6))
        return [("image", image), ("texts", model.encode_text(SENTENCES)), *((f"{p.shape}", p) for p in patches)]


def test_a_model_with_its_norms_is_not_written(stores: list[Store], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="fold them in with without_norms"):
        write(with_norms(student(stores)), tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_an_empty_network_can_be_initialised_as_a_filled_one(stores: list[Store]) -> None:
    filled = student(stores)
    with torch.device("meta"):
        empty = Embedded(filled.words.vocabulary, filled.config)
    assert_same(initialise(empty, 0), filled)
    assert torch.equal(empty.trunk.mean, torch.tensor(filled.trunk.config.mean).view(3, 1, 1))


def test_without_fabric_the_way_to_install_it_is_named(
    stores: list[Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingExtra, match=r"pip install 'blemish\[train\]'"):
        run(stores, tmp_path)
