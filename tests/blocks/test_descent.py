"""One loop for all that is learned from kept descriptions."""

from __future__ import annotations

import torch
from torch import Tensor

from blemish.blocks.descent import descend, search


def rows() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(20, 3, generator=generator), torch.randn(20, generator=generator)


def test_a_search_ends_where_the_loss_is_least() -> None:
    seen, wanted = rows()
    slope = torch.zeros(3, requires_grad=True)
    search([slope], lambda: (seen @ slope - wanted).square().mean(), 100)
    expected = torch.linalg.lstsq(seen, wanted[:, None]).solution[:, 0]
    torch.testing.assert_close(slope.detach(), expected, rtol=1e-3, atol=1e-3)


def test_steps_are_those_of_the_optimizer_with_declining_rates() -> None:
    seen, wanted = rows()
    ours, plain = (torch.zeros(3, requires_grad=True) for _ in range(2))
    optimizers = [torch.optim.AdamW([each], lr=0.1) for each in (ours, plain)]
    declines = [torch.optim.lr_scheduler.CosineAnnealingLR(each, 7) for each in optimizers]
    taken = list[Tensor]()
    with torch.no_grad():  # whatever the caller does, slopes are there
        descend(
            optimizers[0],
            lambda: (seen @ ours - wanted).square().mean(),
            steps=7,
            decline=declines[0],
            after=lambda: taken.append(ours.detach().clone()),
        )
    for step in range(7):
        optimizers[1].zero_grad()
        loss = (seen @ plain - wanted).square().mean()
        loss.backward()
        optimizers[1].step()
        declines[1].step()
        assert torch.equal(taken[step], plain.detach())
    assert optimizers[0].param_groups[0]["lr"] == optimizers[1].param_groups[0]["lr"] < 1e-9
    assert len(taken) == 7
