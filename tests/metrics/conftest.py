from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.resampling import resampling_as_asked


@pytest.fixture(autouse=True)
def as_asked() -> Iterator[None]:
    with resampling_as_asked():
        yield
