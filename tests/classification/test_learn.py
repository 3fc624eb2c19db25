"""Examples that are few, many, or of very many types."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor, nn

from blemish import notices
from blemish.blocks.shown_types import count_types, even_weights, first_examples
from blemish.calibration.prediction_sets import TEMPERATURES, temperature_of
from blemish.classification import learn as learning
from blemish.classification.calls import Named
from blemish.classification.learn import _folds, held_out_logits, learn
from blemish.classification.names import UNKNOWN
from blemish.types import Classifier, Geometry, TypedExamples


class Means(nn.Module):
    """Minus the distance to the mean of each type."""

    geometry, several = Geometry(), False

    def __init__(self, count: int) -> None:
        super().__init__()
        self.types = tuple(f"type {number}" for number in range(count))

    def fit(self, examples: TypedExamples) -> Means:
        rows, numbers = examples.types.nonzero(as_tuple=True)
        sums = torch.zeros(len(self.types), 8).index_add(0, numbers, examples.seen[rows, 0])
        self.means = sums / examples.types.sum(0)[:, None]
        return self

    def forward(self, seen: Tensor) -> Tensor:
        return -torch.cdist(seen[:, 0], self.means)


def made(count: int) -> Classifier:
    return cast(Classifier, Means(count))


def spread(types: Tensor, seed: int = 0) -> TypedExamples:
    """A corner of a cube for each type, and a little noise."""
    corners = torch.randn(types.shape[1], 8, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(len(types), 8, generator=torch.Generator().manual_seed(1 + seed))
    return TypedExamples((corners[types.float().argmax(1)] + 0.05 * noise)[:, None], types)


def test_each_example_is_scored_once_by_the_others_but_the_only_one_of_its_type() -> None:
    types = torch.eye(3, dtype=torch.bool)[[0, 0, 0, 1, 1, 2]]
    rows, logits = held_out_logits(made(3), spread(types))
    assert sorted(rows.tolist()) == [0, 1, 2, 3, 4]
    assert (logits.argmax(1) == types[rows].float().argmax(1)).all()


def test_one_example_each_is_enough_to_name_by_and_sets_hold_all_types() -> None:
    examples = spread(torch.eye(3, dtype=torch.bool))
    named = learn(made(3), examples).name(examples.seen)
    assert [each.type for each in named] == ["type 0", "type 1", "type 2"]
    assert all(len(each.others) == 3 for each in named)


def test_types_of_very_unequal_numbers_of_examples_are_said() -> None:
    for most, said in ((10, []), (11, ["the types have 1 to 11 examples; each counts alike"])):
        with notices.gather() as gathered:
            learn(made(2), spread(torch.eye(2, dtype=torch.bool)[[0] * most + [1]]))
        assert gathered.lines() == said


def test_what_is_unknown_has_no_probability() -> None:
    known = Named("dent", 0.8, ("dent",), ranks=(("dent", 0.8),))
    assert known.as_json()["probability"] == 0.8
    unknown = known._replace(type=UNKNOWN).as_json()
    assert (unknown["probability"], unknown["may_be"], unknown["likeliest"]) == (None, ["dent"], {"dent": 0.8})


def test_of_very_many_types_so_many_examples_are_scored_as_memory_is_set_aside_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learning, "SCORED", 40)
    rows, logits = held_out_logits(made(4), spread(torch.eye(4, dtype=torch.bool).repeat(10, 1)))
    assert len(rows) == len(logits) == 10


def test_ten_thousand_types_are_learned_and_named() -> None:
    examples = spread(torch.eye(10_000, dtype=torch.bool))
    named = learn(made(10_000), examples).name(examples.seen[:3])
    assert [each.type for each in named] == ["type 0", "type 1", "type 2"]


def test_of_very_many_types_no_table_of_numbers_is_made() -> None:
    """Which takes eight times the memory of one of booleans: of 10,000 types gigabytes."""
    types = torch.eye(500, dtype=torch.bool).repeat(4, 1)
    order = torch.arange(100)
    with torch.profiler.profile(profile_memory=True) as found:
        even_weights(types)
        first_examples(types, 2)
        count_types(types)
        _folds(order, types)
    assert max(each.self_cpu_memory_usage for each in found.events()) <= types.numel()


@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
def test_the_temperature_is_the_best_of_all(scale: float) -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, 60)
    logits = scale * (generator.normal(size=(60, 4)) + 1.5 * np.eye(4)[truth])
    losses = [-log_softmax(logits / each, 1)[np.arange(60), truth].mean() for each in TEMPERATURES]
    assert temperature_of(logits, truth) == TEMPERATURES[int(np.argmin(losses))]


def test_of_very_many_examples_only_enough_are_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = torch.randn(40, 1, 8, generator=torch.Generator().manual_seed(0))
    examples = TypedExamples(seen, torch.eye(2, dtype=torch.bool).repeat(20, 1))
    assert len(held_out_logits(made(2), examples)[0]) == 40
    monkeypatch.setattr(learning, "ENOUGH", 6)
    rows, logits = held_out_logits(made(2), examples)
    assert len(rows) == len(logits) == 8  # two folds of four
    assert examples.types[rows].sum(0).tolist() == [4, 4]
