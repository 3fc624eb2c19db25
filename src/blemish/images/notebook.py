"""What notebooks show of results, recipes and reports: HTML, and figures of matplotlib."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.errors import MissingExtra
from blemish.images.overlays import overlay
from blemish.images.reading import unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 360
"""Pixels of the longer side of a picture in a notebook."""


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> str:
    """A table of plain texts."""
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{caption}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def picture_html(picture: NDArray[Any], about: str) -> str:
    """A picture (3, H, W), no larger than a notebook shows it, as an element that holds its bytes."""
    pixels = np.rint(unit(picture) * 255).astype(np.uint8)
    shown = Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, 2)))
    shown.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    shown.save(file, "PNG")
    content = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img alt="{escape(about)}" src="data:image/png;base64,{content}">'


def heat_of(picture: NDArray[Any], anomaly_map: NDArray[Any]) -> NDArray[np.uint8]:
    """The picture under its map (H, W), coloured by this picture alone: from the median to the highest score."""
    known = anomaly_map[np.isfinite(anomaly_map)]
    low, high = (float(np.median(known)), float(known.max())) if len(known) else (0.0, 1.0)
    return overlay(picture, anomaly_map, low, max(high, low + 1e-6 * max(1.0, abs(low))))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches; raises MissingExtra without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("plot() needs matplotlib: pip install 'blemish[plot]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def plot_map(picture: NDArray[Any], anomaly_map: NDArray[Any], title: str) -> Figure:
    """A picture (3, H, W) beside its map (H, W), with the colours' scale."""
    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2)
    left.imshow(np.moveaxis(unit(picture), 0, 2))
    shown = right.imshow(anomaly_map, cmap="inferno")
    figure.colorbar(shown, ax=right, label="anomaly")
    for axes in (left, right):
        axes.set_axis_off()
    figure.suptitle(title)
    return figure


def plot_estimates(
    found: Mapping[str, tuple[float, float, float]], curves: Mapping[str, NDArray[np.float64]] | None = None
) -> Figure:
    """Estimates (value, low, high) by name, with their intervals; beside them curves over the first one of `curves`."""
    figure = new_figure(9 if curves else 5, 4)
    left, *others = figure.subplots(1, 2 if curves else 1, squeeze=False)[0]
    names = list(found)[::-1]
    for row, name in enumerate(names):
        value, low, high = found[name]
        left.plot([low, high], [row, row], color="#888888")
        left.plot([value], [row], "o", color="#d03c28")
    left.set_yticks(range(len(names)), names)
    left.set_xlim(0, 1)
    for axes in others:
        (across, x), *lines = (curves or {}).items()
        for name, y in lines:
            axes.plot(x, y, label=name)
        axes.set_xlabel(across)
        axes.legend()
    return figure


def plot_thresholds(scores: Mapping[str, Sequence[float]], thresholds: Mapping[str, float]) -> Figure:
    """How scores by name are spread, and lines at thresholds by name."""
    figure = new_figure(6, 4)
    axes = figure.subplots()
    bins = np.histogram_bin_edges([score for each in scores.values() for score in each], 30).tolist()
    for name, each in scores.items():
        axes.hist(each, bins, alpha=0.6, label=name)
    for name, threshold in thresholds.items():
        axes.axvline(threshold, color="#d03c28", linestyle="--" if name == "accept" else "-", label=name)
    axes.set_xlabel("score, higher is more anomalous")
    axes.set_ylabel("parts")
    axes.legend()
    return figure
