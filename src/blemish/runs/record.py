"""What a run leaves behind: a folder with one line and one overlay a picture, that a later run can go on with."""

from __future__ import annotations

import heapq
import json
import math
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.errors import BadData, BadInput
from blemish.images import overlay, resize, save_picture
from blemish.inspection import Inspected, Unreadable
from blemish.metrics.drift import Drift
from blemish.metrics.intervals import Estimate
from blemish.metrics.latency import percentiles

WORST = 20
SCALE_FROM = 16
"""Pictures held back until the colour scale is known: it is read from them and is then the same for all."""
OVERLAY_SIDE = 1200


class _Held(NamedTuple):
    line: dict[str, Any]
    picture: Tensor
    anomaly_map: Tensor


class RunWriter:
    """A run's folder: `results.jsonl`, `unreadable.jsonl`, `overlays/`, in `run.json` what made them, and at the end
    `summary.json`.

    A picture's line is written after its overlay, so whatever has a line is complete; `done` holds those of an earlier
    run that is resumed.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        *,
        resume: bool = False,
        overlays: bool = True,
        drift: Drift | None = None,
    ) -> None:
        self.folder, self.settings, self.overlays, self.drift = folder, settings, overlays, drift
        self.judge: Callable[[Inspected], dict[str, Any]] = (
            lambda result: {}
        )  # what else a line says, a verdict perhaps
        self.verdicts: Counter[str] = Counter()
        self.worst: list[tuple[float, str]] = []  # a heap: the highest scores and their paths
        self.unreadable: list[Unreadable] = []
        self.inspected = 0
        self.seconds = array("d")  # a picture, reading included
        self.done: set[str] = set()
        self._held: list[_Held] = []
        self._scale: tuple[float, float] | None = None
        results = folder / "results.jsonl"
        if results.exists() and results.stat().st_size:
            self._continue(resume)

    def __enter__(self) -> Self:
        (self.folder / "overlays").mkdir(parents=True, exist_ok=True)
        self._save_settings()
        self._results = (self.folder / "results.jsonl").open("a", encoding="utf-8")
        self._failures = (self.folder / "unreadable.jsonl").open("w", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._results.close()
        self._failures.close()

    def add(self, result: Inspected | Unreadable) -> list[dict[str, Any]]:
        """Take one result; returns the lines that are now complete and written."""
        if isinstance(result, Unreadable):
            self.unreadable.append(result)
            return [_write(self._failures, {"path": str(result.path), "error": result.reason})]
        line = _line(result, self.settings["method"]) | self.judge(result)
        self._count(line)
        if self.drift:
            line["drift"] = self.drift.alarm
        if not self.overlays:
            return [_write(self._results, line)]
        line["overlay"] = f"overlays/{result.path.stem}-{sha256(str(result.path).encode()).hexdigest()[:8]}.jpg"
        self._held.append(_Held(line, *_small(result)))
        return self._flush() if self._scale or len(self._held) >= SCALE_FROM else []

    def finish(self) -> list[dict[str, Any]]:
        """Write what is still held back, and the summary; returns its lines."""
        lines = self._flush()
        (self.folder / "summary.json").write_text(json.dumps(self.summary(), indent=2) + "\n", encoding="utf-8")
        return lines

    def percentiles(self) -> dict[float, Estimate]:
        """Of the seconds that pictures took."""
        return percentiles(self.seconds)

    def summary(self) -> dict[str, Any]:
        """The run in a few numbers, as plain values; a percentile without an upper limit has null there."""
        drift = self.drift and {
            "alarm": self.drift.alarm,
            "since": self.drift.since,
            "change": self.drift.change if self.drift.alarm else None,
            "false_alarm": self.drift.false_alarm,
        }
        times = {f"{share:g}": found.as_json() for share, found in self.percentiles().items()}
        return {
            "inspected": self.inspected,
            "unreadable": len(self.unreadable),
            "verdicts": dict(self.verdicts),
            "seconds_percentiles": times,
            "drift": drift,
        }

    def _flush(self) -> list[dict[str, Any]]:
        if self._held and self._scale is None:
            self._scale = display_range([held.anomaly_map for held in self._held])
            self._save_settings()
        lines = []
        for held in self._held:
            assert self._scale
            save_picture(self.folder / held.line["overlay"], overlay(held.picture, held.anomaly_map, *self._scale))
            lines.append(_write(self._results, held.line))
        self._held.clear()
        return lines

    def _count(self, line: dict[str, Any]) -> None:
        self.inspected += 1
        self.verdicts.update([line["verdict"]] if "verdict" in line else [])
        self.seconds.append(sum(line["seconds"].values()))
        if self.drift and math.isfinite(line["score"]):
            self.drift.add(line["score"])
        heapq.heappush(self.worst, (float(line["score"]), str(line["path"])))
        if len(self.worst) > WORST:
            heapq.heappop(self.worst)

    def _save_settings(self) -> None:
        text = json.dumps({"settings": self.settings, "colour_scale": self._scale}, indent=2)
        (self.folder / "run.json").write_text(text + "\n", encoding="utf-8")

    def _continue(self, resume: bool) -> None:
        """Take up the run that the folder holds; raises BadInput or BadData when that would mix two runs."""
        if not resume:
            raise BadInput(f"{self.folder} holds an earlier run: go on with it by --resume, or name another --out")
        try:
            before = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            settings, scale = before["settings"], before["colour_scale"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadData(f"{self.folder / 'run.json'} is damaged: name another --out") from error
        if changed := [key for key, value in self.settings.items() if settings.get(key) != value]:
            raise BadInput(
                f"{self.folder} was made with another {', '.join(changed)}, and --resume goes on with the same "
                "settings only: name another --out"
            )
        self._scale = (scale[0], scale[1]) if scale else None
        self._read_done(self.folder / "results.jsonl")

    def _read_done(self, results: Path) -> None:
        """Count the complete lines; a last line that was cut off is removed."""
        whole = 0
        with results.open("rb+") as file:
            for number, text in enumerate(file, start=1):
                if not text.endswith(b"\n"):
                    break
                try:
                    line = json.loads(text)
                    self._count(line)
                    self.done.add(line["path"])
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise BadData(f"{results}, line {number} is damaged: remove it, or name another --out") from error
                whole += len(text)
            file.truncate(whole)


def display_range(maps: Sequence[Tensor]) -> tuple[float, float]:
    """Scores shown as untinted and as hottest: the median of some maps, and their highest but for 1 pixel in 1,000."""
    scores = torch.cat([shown[shown.isfinite()][:: 1 + shown.numel() // 65536] for shown in maps])
    low, high = torch.quantile(scores, torch.tensor([0.5, 0.999])).tolist() if len(scores) else (0.0, 1.0)
    return low, max(high, low + 1e-6 * max(1.0, abs(low)))


def _line(result: Inspected, method: str) -> dict[str, Any]:
    height, width = result.anomaly_map.shape
    peak = int(result.anomaly_map.nan_to_num(-torch.inf).argmax())
    return {
        "path": str(result.path),
        "score": result.score,
        "size": {"width": width, "height": height},
        "peak": {"x": peak % width, "y": peak // width},
        "method": method,
        "seconds": {"read": round(result.read_seconds, 6), "detect": round(result.seconds, 6)},
    }


def _small(result: Inspected) -> tuple[Tensor, Tensor]:
    """Picture and map no larger than an overlay needs to be."""
    height, width = result.anomaly_map.shape
    scale = min(1.0, OVERLAY_SIDE / max(height, width))
    if scale == 1:
        return result.picture, result.anomaly_map
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    return resize(result.picture, size), F.interpolate(result.anomaly_map[None, None], size, mode="area")[0, 0]


def _write(file: IO[str], line: dict[str, Any]) -> dict[str, Any]:
    file.write(json.dumps(line) + "\n")
    file.flush()
    return line
