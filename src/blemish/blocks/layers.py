"""Which layers of an encoder to ask for."""

from __future__ import annotations


def relative_layers(depth: int, first: float, last: float) -> tuple[int, ...]:
    """Every layer between two fractions of the depth, at least one: (12, .5, .75) -> (6, 7, 8, 9)."""
    low = max(1, round(depth * first))
    return tuple(range(low, max(low, round(depth * last)) + 1))
