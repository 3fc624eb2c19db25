from __future__ import annotations

import pytest

from blemish.notices import amount


@pytest.mark.parametrize(("count", "said"), [(0, "0 good parts"), (1, "1 good part"), (2, "2 good parts")])
def test_one_of_a_kind_is_no_plural(count: int, said: str) -> None:
    assert amount(count, "good part") == said
