"""What a run leaves behind: a folder with one line and one overlay a picture, that a later run can go on with."""

from __future__ import annotations

import heapq
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from blemish.calibration.suggestions import as_summary
from blemish.calibration.thresholds import Calibration
from blemish.errors import BadData, BadInput, CannotWrite
from blemish.files import JsonLines, as_name, guard_write, json_lines, place_of, write_json
from blemish.images import Inspected, Source, Unreadable, area, overlay, peak_of, resize, save_picture, scale, source_of
from blemish.metrics.drift import Drift
from blemish.metrics.intervals import Estimate
from blemish.metrics.latency import Times, percentiles
from blemish.notices import gather
from blemish.runs.decision import Decided
from blemish.runs.note import RunNote, read_note
from blemish.types import Sample

WORST = 20
SCALE_FROM = 16
"""Pictures held back until the colour scale is known: it is read from them and is then the same for all."""
OVERLAY_SIDE = 1200
GO_ON = "make room, and go on by the same command with --resume"
PLACES = ("normal", "set", "mask")
"""Settings that are paths: another spelling of the same place is no other setting."""


class Tally:
    """A run in a few numbers, counted line by line."""

    def __init__(self) -> None:
        self.inspected = 0
        self.verdicts: Counter[str] = Counter()
        self.suggested: Counter[str] = Counter()  # verdicts that are none
        self.worst: list[tuple[float, str, str, str]] = []  # a heap: the highest scores, pictures, verdicts and types
        self.seconds = Times()  # a picture, reading included

    def add(self, line: Mapping[str, Any]) -> None:
        """Count a line of results."""
        seconds, score, path = sum(line["seconds"].values()), float(line["score"]), str(line["path"])
        self.inspected += 1
        self.verdicts.update([line["verdict"]] if "verdict" in line else [])
        self.suggested.update([line["suggested"]["verdict"]] if "suggested" in line else [])
        self.seconds.add(seconds)
        verdict = line.get("verdict") or line.get("suggested", {}).get("verdict", "")
        heapq.heappush(self.worst, (score, path, verdict, ", ".join(line.get("types", []))))
        if len(self.worst) > WORST:
            heapq.heappop(self.worst)

    def percentiles(self) -> dict[float, Estimate]:
        """Of the seconds that pictures took."""
        return percentiles(self.seconds)

    def as_json(self, unreadable: int, notes: Sequence[str]) -> dict[str, Any]:
        """The run as plain values; a percentile without an upper limit has null there."""
        return {
            "inspected": self.inspected,
            "unreadable": unreadable,
            "verdicts": dict(self.verdicts),
            "seconds_percentiles": {f"{share:g}": found.as_json() for share, found in self.percentiles().items()},
            "notes": list(notes),
        }


class _Held(NamedTuple):
    line: dict[str, Any]
    picture: NDArray[Any]
    anomaly_map: NDArray[np.float32]


class Overlays:
    """Heat maps over pictures, all by one colour scale, which is that of the first pictures of the run."""

    def __init__(self, folder: Path, scale: tuple[float, float] | None = None) -> None:
        self.folder, self.scale = folder, scale
        self._held: list[_Held] = []

    def add(self, result: Inspected, line: dict[str, Any]) -> list[dict[str, Any]]:
        """Take a picture; returns the lines whose overlays are now written."""
        name = as_name(Path(result.source.id).stem)
        number = sha256(result.source.id.encode(errors="surrogatepass")).hexdigest()[:8]
        self._held.append(_Held(line | {"overlay": f"overlays/{name}-{number}.jpg"}, *_small(result)))
        return self.flush() if self.scale or len(self._held) >= SCALE_FROM else []

    def flush(self) -> list[dict[str, Any]]:
        """Write those that are held back."""
        held, self._held = self._held, []
        if held and self.scale is None:
            self.scale = display_range([each.anomaly_map for each in held])
        for each in held:
            assert self.scale
            with guard_write(self.folder, GO_ON):
                save_picture(self.folder / each.line["overlay"], overlay(each.picture, each.anomaly_map, *self.scale))
        return [each.line for each in held]


def refuse_earlier(folder: Path, *, resume: bool) -> bool:
    """Whether a folder holds an earlier run; raises BadInput where that is not to be gone on with."""
    results = folder / "results.jsonl"
    is_there = results.exists() and results.stat().st_size > 0
    if is_there and not resume:
        raise BadInput(f"{folder} holds an earlier run: go on with it by --resume, or name another --out")
    return is_there


class RunWriter:
    """A run's folder: `results.jsonl`, `unreadable.jsonl`, `overlays/`, in `run.json` what made them, and at the end
    `summary.json`.

    A picture's line is written after its overlay, so whatever has a line is complete; pictures that an earlier run has
    done, which is resumed, are left out by `todo`. `told` is handed every line that is written.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        *,
        resume: bool = False,
        overlays: bool = True,
        drift: Drift | None = None,
        told: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.folder, self.settings, self.drift, self.told = folder, settings, drift, told
        self.tally = Tally()
        self.unreadable: list[Unreadable] = []
        self.resumed = False
        self.suggested: Calibration | None = None  # to be set before the first picture, but in a run that is resumed
        self._done: set[str] = set()
        self._from = os.getcwd()  # where the settings' paths begin
        self._scale: tuple[float, float] | None = None
        if refuse_earlier(folder, resume=resume):
            self._continue()
        self.overlays = Overlays(folder, self._scale) if overlays else None

    def __enter__(self) -> Self:
        with guard_write(self.folder):
            (self.folder / "overlays").mkdir(parents=True, exist_ok=True)
        self._save_settings()
        with ExitStack() as stack:
            self._results = stack.enter_context(JsonLines(self.folder / "results.jsonl", way_out=GO_ON))
            self._failures = stack.enter_context(JsonLines(self.folder / "unreadable.jsonl", fresh=True, way_out=GO_ON))
            self.notices = stack.enter_context(gather())
            self._files = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._files:
            if kind is None or not issubclass(kind, CannotWrite):
                self._flush()

    def todo(self, pictures: Sequence[Path | Source]) -> list[Path | Source]:
        """Those that have no line yet, however their paths are spelled."""
        return [each for each in pictures if _key(each) not in self._done]

    def add(self, found: Decided | Unreadable, sample: Sample | None = None) -> None:
        """Take one result."""
        if isinstance(found, Unreadable):
            self.unreadable.append(found)
            self._write(self._failures, unreadable_line(found))
            return
        line = line_of(found, self.settings)
        self._count(line)
        if self.drift:
            line["drift"] = self.drift.alarm
        self._write_results([line] if self.overlays is None else self.overlays.add(found.result, line))

    def take(self, line: Mapping[str, Any]) -> None:
        """A line that another run has made; its overlay is there already."""
        self._count(line)
        self._write_results([dict(line)])

    def finish(self) -> None:
        """Write what is still held back, and the summary."""
        self._flush()
        with guard_write(self.folder, GO_ON):
            write_json(self.folder / "summary.json", self.summary())

    def summary(self) -> dict[str, Any]:
        """The run in a few numbers, see `Tally.as_json`, with the threshold that was suggested and the drift."""
        drift = self.drift and {
            "alarm": self.drift.alarm,
            "since": self.drift.since,
            "change": self.drift.change if self.drift.alarm else None,
            "false_alarm": self.drift.false_alarm,
        }
        return self.tally.as_json(len(self.unreadable), self.notices.lines()) | {
            "suggested": self.suggested and as_summary(self.suggested, self.tally.suggested),
            "drift": drift,
        }

    def _write(self, file: JsonLines, line: dict[str, Any]) -> None:
        file.add(line)
        if self.told:
            self.told(line)

    def _flush(self) -> None:
        if self.overlays is not None:
            self._write_results(self.overlays.flush())

    def _write_results(self, lines: Sequence[dict[str, Any]]) -> None:
        """Lines whose overlays are there; the colour scale first, by which a resumed run goes on."""
        if self.overlays is not None and self.overlays.scale != self._scale:
            self._scale = self.overlays.scale
            self._save_settings()
        for line in lines:
            self._write(self._results, line)

    def _count(self, line: Mapping[str, Any]) -> None:
        self.tally.add(line)
        if self.drift and math.isfinite(line["score"]):
            self.drift.add(line["score"])

    def _save_settings(self) -> None:
        RunNote(self.settings, self._scale, self._from, self.suggested).write(self.folder)

    def _continue(self) -> None:
        """Take up the run that the folder holds; raises BadInput or BadData when that would mix two runs."""
        before = read_note(self.folder, "name another --out")
        if changed := [key for key in self.settings if self._differs(key, before.settings, before.folder)]:
            raise BadInput(
                f"{self.folder} was made with another {', '.join(changed)}, and --resume goes on with the same "
                "settings only: name another --out"
            )
        self._scale, self.suggested, self.resumed = before.colour_scale, before.suggested, True
        self._read_done(self.folder / "results.jsonl")

    def _differs(self, key: str, settings: dict[str, Any], folder: str) -> bool:
        before, now = settings.get(key), self.settings[key]
        if key not in PLACES or not before or not now:
            return bool(before != now)
        one, other = ([each] if isinstance(each, str) else list(each) for each in (before, now))
        return [place_of(Path(folder, each)) for each in one] != list(map(place_of, other))

    def _read_done(self, results: Path) -> None:
        """Count the complete lines."""
        way_out = "remove it, or name another --out"
        for number, line in enumerate(json_lines(results, way_out=way_out), start=1):
            try:
                self._count(line)
                self._done |= {line["file"]} if "file" in line else {line["path"], place_of(line["path"])}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise BadData(f"{results}, line {number} is damaged: {way_out}") from error


def line_of(found: Decided, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a line of results says of a picture, in a run of these settings."""
    result, decided = found.result, found.as_json()
    recipe = {"recipe": settings["recipe"]} if decided and settings.get("recipe") else {}
    content = result.source.content
    height, width = result.anomaly_map.shape
    x, y = peak_of(result.anomaly_map)
    return {
        "path": result.source.id,
        "score": result.score,
        "size": {"width": width, "height": height},
        "peak": {"x": x, "y": y},
        "method": settings["method"],
        "seconds": {"read": round(result.read_seconds, 6), "detect": round(result.seconds, 6)},
        **({"file": place_of(content)} if isinstance(content, Path) else {}),
        **recipe,
        **decided,
    }


def unreadable_line(bad: Unreadable) -> dict[str, str]:
    """What is said of a picture that could not be inspected."""
    return {"path": bad.id, "error": bad.reason}


def _key(picture: Path | Source) -> str:
    """What tells a picture from others: where its file lies, or else its name."""
    content, name = source_of(picture)
    return place_of(content) if isinstance(content, Path) else name


def display_range(maps: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Scores shown as untinted and as hottest: the median of some maps, and their highest but for 1 pixel in 1,000."""
    scores = np.concatenate([shown[np.isfinite(shown)][:: 1 + shown.size // 65536] for shown in maps])
    low, high = np.quantile(scores, [0.5, 0.999]).tolist() if len(scores) else (0.0, 1.0)
    return low, max(high, low + 1e-6 * max(1.0, abs(low)))


def _small(result: Inspected) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Picture and map no larger than an overlay needs to be."""
    height, width = result.anomaly_map.shape
    share = min(1.0, OVERLAY_SIDE / max(height, width))
    if share == 1:
        return result.picture, result.anomaly_map
    size = (max(1, round(height * share)), max(1, round(width * share)))
    return resize(result.picture, size), scale(result.anomaly_map, size, area)
