from __future__ import annotations

import pytest

from blemish.blocks.updates import Updates
from blemish.errors import NotFitted


def test_before_the_first_update_nothing_can_be_asked_and_each_is_counted_and_saved() -> None:
    updates, other = Updates(), Updates()
    with pytest.raises(NotFitted, match="blemish train"):
        updates.require()
    for count in (1, 2, 3):
        updates.add()
        assert int(updates.get_buffer("count")) == count
    other.load_state_dict(updates.state_dict())
    other.require()
    assert int(other.get_buffer("count")) == 3
