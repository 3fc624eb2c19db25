"""What a threshold that good parts alone suggest is worth, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blemish.calibration import guarantees
from blemish.calibration.thresholds import Calibration


def sentence_of(suggested: Calibration) -> str:
    """What the threshold is, and what it can promise."""
    about_good, about_defects, *_ = guarantees.statement(suggested)
    at = f", and {suggested.pixel:.4g} above the highest pixel of their maps" if suggested.pixel is not None else ""
    return (
        f"suggested from {len(suggested.good)} different good parts, not a calibration: each was scored as if it were "
        f"unknown, and the threshold {suggested.reject:.4g} is just above the highest of them{at}. {about_good} "
        f"{about_defects}"
    )


def as_summary(suggested: Calibration, verdicts: Mapping[str, int]) -> dict[str, Any]:
    """Plain values, with how many pictures the threshold would accept and reject."""
    return {
        "threshold": suggested.reject,
        "pixel": suggested.pixel,
        "parts": len(suggested.good),
        "verdicts": dict(verdicts),
        "statement": sentence_of(suggested),
    }
