"""What a tuning says of what it tried: a row a candidate, and a sentence about the one that was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from blemish.metrics.intervals import Estimate
from blemish.tuning.candidates import Candidate
from blemish.tuning.choice import REAL, Judged

HEAD = ("", "image AUROC", "pixel AP", "both, beside the default", "ms a picture", "flaws", "round")


class Row(NamedTuple):
    """A candidate and what it came to."""

    candidate: Candidate
    judged: Judged | None  # None: it was not measured
    round: int  # the last one that it was in; 0 for none
    note: str = ""  # why it was not measured, or may not be taken
    gain: Estimate | None = None  # image AUROC and pixel AP over the default's; None: that is it, or was not measured

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        made = self.candidate
        return {
            "method": made.method,
            "encoder": made.encoder,
            "arguments": dict(made.arguments),
            "tile": made.view.tile,
            "overlap": made.view.overlap,
            **made.view.scales,
            "round": self.round,
            "note": self.note,
            "gain": self.gain and self.gain.as_json(),
            **(self.judged.as_json() if self.judged else {}),
        }

    def cells(self) -> tuple[str, ...]:
        """Of a table, see HEAD; raises ValueError for one that was not measured."""
        if self.judged is None:
            raise ValueError(f"{self.candidate} was not measured: {self.note}")
        pixel = "" if self.judged.pixel is None else f"{self.judged.pixel:.3f}"
        beside = "" if self.gain is None else more(self.gain)
        speed = f"{1000 * self.judged.seconds:.0f}" + (f" ({self.note})" if self.note else "")
        return (
            str(self.candidate), spoken(self.judged.image), pixel, beside, speed, str(self.judged.flaws),
            str(self.round),
        )  # fmt: skip


def spoken(found: Estimate) -> str:
    """An estimate and the longer side of its interval."""
    return f"{found.value:.3f} +- {max(found.value - found.low, found.high - found.value):.3f}"


def more(found: Estimate) -> str:
    """A difference and its interval."""
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def sentence(rows: Sequence[Row], default: Candidate | None, unseen: float | None) -> str:
    """Why the first row was chosen: what it reaches, what the next one and the default do, if tried, its time."""
    first, *others = (row for row in rows if row.judged is not None)
    assert first.judged
    kinds = "real defects and drawn flaws" if REAL in first.judged.each else "drawn flaws"
    parts = [f"{first.candidate}: {spoken(first.judged.image)} on {kinds}"]
    if others and others[0].judged:
        parts[0] += f", next best {others[0].judged.image.value:.3f} ({others[0].candidate})"
    usual = next((row.judged for row in others if row.candidate == default), None)
    if usual and others[0].candidate != default:
        parts[0] += f", the default {usual.image.value:.3f}"
    if first.gain:
        parts[0] += f"; image AUROC and pixel AP together are above the default's by {more(first.gain)}"
    elif first.candidate == default and others and (rival := others[0].gain) and rival.value > 0:
        parts[0] += f"; it is the default, and that is not surely better: image AUROC and pixel AP by {more(rival)}"
    parts.append(f"{1000 * first.judged.seconds:.0f} ms a picture")
    if unseen is not None:
        parts.append(f"what other generators choose reaches {unseen:.3f} on each one that was left out")
    return "; ".join(parts)


def as_json(rows: Sequence[Row], said: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """All of it in plain values."""
    return {"chosen": said, "asked": dict(asked), "tried": [row.as_json() for row in rows]}
