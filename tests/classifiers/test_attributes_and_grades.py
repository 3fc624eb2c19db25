"""A type that nobody showed is named by its attributes; grades are named in their order."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from blemish import encoders
from blemish.blocks.describing import Balance
from blemish.classifiers.attributes import Attributes
from blemish.classifiers.rebar import Rebar
from blemish.errors import BadInput
from blemish.types import TextEncoder, TypedExamples

KINDS = {f"{colour} {shape}": [colour, shape] for shape in ("spot", "line") for colour in ("dark", "bright")}
encoder = cast(TextEncoder, encoders.load(encoders.TINY))


def test_a_type_without_an_example_is_named_by_its_attributes() -> None:
    """What is seen of an attribute adds up here; a dark line is none of dark spots, bright spots and bright lines."""
    classifier = Attributes(encoder, types=tuple(KINDS), attributes=KINDS, auxiliary=1.0, image_size=64)
    generator = torch.Generator().manual_seed(0)
    looks = torch.randn(4, sum(classifier.balance.widths), generator=generator)
    have = torch.tensor([[float(each in named) for each in classifier.vocabulary] for named in KINDS.values()])
    seen, new = (
        (have @ looks).repeat(5, 1) + 0.1 * torch.randn(20, looks.shape[1], generator=generator) for _ in range(2)
    )
    numbers = torch.arange(4).repeat(5)
    shown = numbers < 3
    classifier.fit(TypedExamples(seen[shown, None], torch.eye(4, dtype=torch.bool)[numbers[shown]]))
    assert torch.equal(classifier(new[:, None]).argmax(1), numbers)
    assert classifier.vocabulary == ("dark", "spot", "bright", "line")
    spot, line = classifier.evidence(new[3:4, None])[0, [1, 3]]
    assert spot < 0 < line
    evidence = classifier.evidence(new[3:4, None])[0]
    decided = {name: float(value) for name, value in zip(classifier.vocabulary, evidence, strict=True)}
    chosen = classifier.choose_words(new[3:4, None], torch.tensor([2]))
    assert classifier.sayings[int(chosen)] == max(KINDS["dark line"], key=decided.__getitem__)


def graded(count: int, seed: int = 0) -> Tensor:
    """Of three grades, ever redder."""
    images = 0.4 + 0.02 * torch.randn(3 * count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    images[:, 0] += torch.linspace(0, 0.5, 3).repeat_interleave(count)[:, None, None]
    return images.clamp(0, 1)


def test_grades_are_told_in_the_order_that_was_said() -> None:
    order = ("none", "light", "heavy")
    classifier = Rebar(encoder, types=sorted(order), order=order, image_size=64, trust=0.0)
    seen, new = (classifier.look(graded(5, seed))[:, None] for seed in (0, 1))
    types = torch.eye(3, dtype=torch.bool)[[2, 1, 0]].repeat_interleave(5, 0)  # heavy, light, none
    classifier.fit(TypedExamples(seen, types))
    assert classifier.grades == order
    assert torch.equal(classifier(new).argmax(1), types.float().argmax(1))
    balance = Balance(encoder)
    balance.learn(seen[:, 0])
    cosines = balance(new[:, 0]) @ balance(seen[:, 0]).T
    expected = cosines[:, :5].topk(3).values.mean(1) / 0.1
    torch.testing.assert_close(classifier(new)[:, 2], expected)
    concepts = Rebar(encoder, types=sorted(order), order=order, image_size=64, trust=1000.0)
    said = concepts.fit(TypedExamples(seen, types))(new).argmax(1)  # of heavy, light, none: that is their order too
    assert (said - types.float().argmax(1)).abs().max() <= 1
    assert (said == types.float().argmax(1)).float().mean() > 0.7


def test_an_order_that_leaves_out_a_grade_is_refused() -> None:
    with pytest.raises(BadInput, match="leaves out light"):
        Rebar(encoder, types=("none", "light"), order=("none",))
