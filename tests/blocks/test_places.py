from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.blocks.places import PlaceMemory
from blemish.errors import BadInput, NotFitted


def test_a_place_is_compared_with_the_same_place_of_the_nearest_good_part() -> None:
    generator = torch.Generator().manual_seed(0)
    grids, places = (F.normalize(torch.randn(n, 2, 3, 4, generator=generator), dim=-1) for n in (3, 2))
    memory = PlaceMemory()
    memory.hold(grids)
    found = memory.distance(places)
    for n in range(2):
        for y in range(2):
            for x in range(3):
                cosines = [float(places[n, y, x] @ grid[y, x]) for grid in grids]
                assert_close(float(found[n, y, x]), 1 - max(cosines))
    assert_close(memory.distance(grids), torch.zeros(3, 2, 3), rtol=0, atol=1e-6)


def test_another_grid_and_no_good_part_are_refused() -> None:
    memory = PlaceMemory()
    with pytest.raises(NotFitted):
        memory.distance(torch.zeros(1, 2, 3, 4))
    memory.hold(torch.zeros(1, 2, 3, 4))
    with pytest.raises(BadInput, match="this picture has 3 x 3 patches, and those of good parts have 2 x 3"):
        memory.distance(torch.zeros(1, 3, 3, 4))
    memory.forget()
    assert not memory.fitted
