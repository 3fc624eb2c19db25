"""Charts as SVG, without a script: lines over time, limits, points that are marked."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 220, 56, 10, 22
MOST_POINTS = 400


class Curve(NamedTuple):
    """Values over the chart's times."""

    values: ArrayLike
    look: str = "line"  # a class of the style sheet: line, second, limit, near


class Mark(NamedTuple):
    """A point that stands out."""

    at: int  # its number
    text: str  # beside it
    more: str = ""  # when it is pointed at


def draw_chart(
    times: ArrayLike, curves: Sequence[Curve], label: str, *, marks: Sequence[Mark] = (), floor: float | None = None
) -> str:
    """An `svg` element; marks lie on the first curve; `floor` is a value that the chart begins with at most."""
    at = np.asarray(times, float)
    drawn = [(np.broadcast_to(np.asarray(each.values, float), at.shape), each.look) for each in curves]
    low, high = _ends([values for values, _ in drawn], floor)
    x = LEFT + (WIDTH - LEFT - 8) * (np.arange(len(at)) + 0.5) / max(1, len(at))

    def y(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = TOP + (HEIGHT - TOP - BOTTOM) * (high - values) / (high - low)
        return found

    lines = [f'<path class="{look}" d="{_path(x, y(values))}"/>' for values, look in drawn]
    first = y(drawn[0][0])
    for each in marks:
        here = f'cx="{x[each.at]:.1f}" cy="{first[each.at]:.1f}"'
        lines.append(f'<circle class="mark" {here} r="5"><title>{escape(each.more or each.text)}</title></circle>')
        lines.append(
            f'<text class="tick" x="{x[each.at]:.1f}" y="{max(12.0, first[each.at] - 8):.1f}" '
            f'text-anchor="middle">{escape(each.text)}</text>'
        )
    ticks = np.linspace(low, high, 5)
    for tick, place in zip(ticks, y(ticks), strict=True):
        lines.append(f'<path class="base" d="M{LEFT} {place:.1f}H{WIDTH - 8}"/>')
        lines.append(f'<text class="tick" x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{tick:.3g}</text>')
    for place, when, anchor in ((LEFT, at[0], "start"), (WIDTH - 8, at[-1], "end")):
        lines.append(
            f'<text class="tick" data-at="{when:.0f}" x="{place}" y="{HEIGHT - 5}" text-anchor="{anchor}"></text>'
        )
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
    return "".join([head, *lines, "</svg>"])


def _ends(values: Sequence[NDArray[np.float64]], floor: float | None) -> tuple[float, float]:
    together = np.concatenate([each[np.isfinite(each)] for each in values])
    low, high = (float(together.min()), float(together.max())) if len(together) else (0.0, 1.0)
    low = low if floor is None else min(floor, low)
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return (low if floor == low else low - pad), high + pad


def _path(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """At most `MOST_POINTS` of them, and always the last."""
    step = max(1, -(-len(x) // MOST_POINTS))
    kept = sorted({*range(len(x) - 1, -1, -step)})
    return "M" + "L".join(f"{x[each]:.1f} {y[each]:.1f}" for each in kept)
