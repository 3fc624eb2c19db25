"""The cosine transform of blocks against its definition, and what adapters make of it."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from blemish.blocks.frequency import FrequencyAdapter, band_statistics, cosine_matrix, from_blocks, to_blocks

GRID = torch.rand(2, 7, 9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_coefficients_are_sums_of_cosines() -> None:
    block = GRID[:1, :4, :4]
    found = to_blocks(block, 4)[0, 0, 0, 1, 2]
    expected = torch.zeros(3, dtype=torch.float64)
    for i in range(4):
        for j in range(4):
            wave = math.cos(math.pi * (i + 0.5) / 4) * math.cos(2 * math.pi * (j + 0.5) / 4)
            expected += 0.5 * wave * block[0, i, j]
    assert_close(found, expected)
    assert_close(cosine_matrix(5, GRID) @ cosine_matrix(5, GRID).T, torch.eye(5, dtype=torch.float64))


@pytest.mark.parametrize("size", [2, 4, 8])
def test_the_transform_is_undone_whatever_the_size_of_the_grid(size: int) -> None:
    assert_close(from_blocks(to_blocks(GRID, size), 7, 9), GRID)


def test_a_plain_block_has_only_a_mean_and_a_finer_wave_a_higher_band() -> None:
    plain = to_blocks(torch.full((1, 4, 4, 1), 3.0), 4)[0, 0, 0, :, :, 0]
    assert_close(plain[0, 0], torch.tensor(12.0))
    assert plain.abs().sum() == pytest.approx(12.0, abs=1e-5)
    slow, fast = (cosine_matrix(4, GRID)[k].view(1, 4, 1, 1).expand(1, 4, 4, 1) for k in (1, 3))
    bands = [band_statistics(to_blocks(each, 4), 4)[0, 0, 0, :, 0].argmax() for each in (slow, fast)]
    assert bands[0] < bands[1]


def test_an_adapter_sees_a_change_of_period_that_leaves_the_mean_as_it_is() -> None:
    generator = torch.Generator().manual_seed(0)
    adapter = FrequencyAdapter(1, features=False, generator=generator)
    waves = [cosine_matrix(4, torch.ones(1))[k].view(1, 4, 1, 1).expand(1, 4, 4, 1) for k in (1, 3)]
    slow, fast = (adapter(each) - each for each in waves)
    assert_close(slow.std(), torch.tensor(0.0), atol=1e-6, rtol=0)  # one number a block
    assert not torch.allclose(slow, fast)
    assert torch.equal(FrequencyAdapter(1, features=False, statistics=False, generator=generator)(slow), slow)
