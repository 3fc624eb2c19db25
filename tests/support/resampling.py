"""Bootstrap intervals by few resamples: most tests ask that there is one, and drawing 1000 is most of their work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from blemish.metrics import intervals

FEW = 50
_replicates = intervals._replicates


def resample_seldom() -> None:
    """No interval is drawn by more than `FEW`, for as long as tests run, but inside `resampling_as_asked`."""

    def replicates(curve: Any, anomalous: Any, resamples: int, seed: int) -> Any:
        return _replicates(curve, anomalous, min(resamples, FEW), seed)

    pytest.MonkeyPatch().setattr(intervals, "_replicates", replicates)


@contextmanager
def resampling_as_asked() -> Iterator[None]:
    """For what intervals are by themselves, and for numbers that are shown to users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "_replicates", _replicates)
        yield
