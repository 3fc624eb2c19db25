"""Places that are adapted to one picture."""

from __future__ import annotations

import torch
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.test_time import adapt_places, adaptation_loss, move_by_sentences


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_half_of_a_place_stays_and_half_is_what_sentences_add() -> None:
    place, said, weights = unit(1, 6), unit(3, 6, seed=1), unit(3, 6, seed=2)
    added = sum(torch.tanh(weights[row] @ place[0]) * said[row] for row in range(3))
    assert_close(move_by_sentences(place, said, weights)[0], F.normalize(0.5 * place[0] + 0.5 * added, dim=0))


def test_a_certain_picture_that_is_told_from_noise_costs_nothing() -> None:
    sure, unsure = torch.tensor([[20.0, -20.0]]), torch.zeros(1, 2)
    assert adaptation_loss(sure, -sure) < 1e-6
    assert_close(adaptation_loss(unsure, unsure), 2 * torch.tensor(2.0).log())


def test_steps_lower_the_loss_of_this_picture_and_leave_no_trace() -> None:
    places, said = unit(4, 4, 8), unit(6, 8, seed=1)
    texts, before = said[[0, -1]], torch.get_rng_state()
    with torch.inference_mode():
        few, many, again = (
            adapt_places(places, texts, said, steps=steps, temperature=0.07, seed=3) for steps in (0, 40, 40)
        )
    assert torch.equal(many, again)
    assert torch.equal(torch.get_rng_state(), before)
    logits = [each @ texts.T / 0.07 for each in (few, many)]
    losses = [adaptation_loss(each, -each) for each in logits]
    assert losses[1] < losses[0]
