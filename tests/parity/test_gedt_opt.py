"""GEDT + OPT is known by its abstract alone: what its reading is to do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from blemish import encoders
from blemish.classifiers.gedt_opt import GEDTOPT
from blemish.types import TypedExamples

TYPES = ["hole", "scratch", "stain"]


def made(*, rounds: int = 3, hops: int = 0, says: float = 0.0, prior: dict[str, float] | None = None) -> GEDTOPT:
    encoder = encoders.load(encoders.TINY)
    return GEDTOPT(encoder, types=TYPES, rounds=rounds, hops=hops, says=says, prior=prior)


def clusters(counts: tuple[int, ...], width: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise about a direction of its own for each type: (N, 1, D), and the numbers of their types."""
    middles = torch.randn(len(counts), width, generator=torch.Generator().manual_seed(0))
    numbers = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    noise = torch.randn(len(numbers), width, generator=torch.Generator().manual_seed(seed))
    return (middles[numbers] + (5 if width > 100 else 1.8) * noise)[:, None], numbers


def accuracy(classifier: GEDTOPT, width: int, counts: tuple[int, ...]) -> float:
    shown, types = clusters((1, 1, 1), width, seed=1)
    asked, truth = clusters(counts, width, seed=2)
    classifier.fit(TypedExamples(shown, torch.eye(3, dtype=torch.bool)[types]))
    return float((classifier(asked).argmax(1) == truth).float().mean())


@pytest.mark.parametrize(("says", "rounds", "hops"), [(0.0, 3, 0), (0.0, 0, 2), (0.1, 0, 2)])
def test_one_example_tells_more_of_a_set_than_of_each_alone(says: float, rounds: int, hops: int) -> None:
    whole = made(says=says, rounds=rounds, hops=hops)
    width = 32 if says else sum(whole.balance.widths)
    plain = accuracy(made(says=says, rounds=0), width, (40, 40, 40))
    assert accuracy(whole, width, (40, 40, 40)) > plain + 0.05


def test_shares_follow_the_prior_in_a_large_set_and_hardly_in_one_defect() -> None:
    even, rare = made(), made(prior={"hole": 0.8, "scratch": 0.1, "stain": 0.1})
    width = sum(even.balance.widths)
    shown, types = clusters((2, 2, 2), width, seed=1)
    examples = TypedExamples(shown, torch.eye(3, dtype=torch.bool)[types])
    asked, _ = clusters((40, 40, 40), width, seed=2)
    often = [each.fit(examples)(asked).softmax(1).sum(0)[0] for each in (even, rare)]
    alone = [each.fit(examples)(asked[:1]).softmax(1)[0, 0] for each in (even, rare)]
    assert often[1] > often[0] + 10
    torch.testing.assert_close(alone[0], alone[1], rtol=0, atol=0.1)


def test_words_have_a_say_in_prototypes_where_they_are_asked() -> None:
    classifier = made(says=1000.0)
    shown, types = clusters((1, 1, 1), 32, seed=1)
    classifier.fit(TypedExamples(shown, torch.eye(3, dtype=torch.bool)[types]))
    texts = classifier.get_buffer("texts")
    assert classifier(texts[:, None]).argmax(1).tolist() == [0, 1, 2]


def test_all_logits_are_lower_of_what_is_like_no_example() -> None:
    classifier = made()
    width = sum(classifier.balance.widths)
    shown, types = clusters((3, 3, 3), width, seed=1)
    classifier.fit(TypedExamples(shown, torch.eye(3, dtype=torch.bool)[types]))
    other = 5 * torch.randn(15, 1, width, generator=torch.Generator().manual_seed(3))
    alike = classifier(torch.cat([shown, other])).logsumexp(1)
    assert alike[:9].min() > alike[9:].max() + 1
