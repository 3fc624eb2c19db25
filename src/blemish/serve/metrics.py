"""What Prometheus may ask: times by stage, verdicts, queues, states, disk."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from blemish.serve.records import PartRecord
from blemish.serve.states import STATES, State

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, float("inf"))


class LineMetrics:
    """One registry a line, so that two lines in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "blemish"}
        self.seconds = Histogram(
            "part_seconds", "Time of a part by stage", ("station", "stage"), buckets=BUCKETS, **own
        )  # fmt: skip
        self.parts = Counter("parts", "Parts that were answered", ("station", "verdict", "outcome"), **own)
        self.late = Counter("late_parts", "Parts that were answered before they were judged", ("station",), **own)
        self.refused = Counter("refused_views", "Views that were not taken", ("station", "reason"), **own)
        self.waiting = Gauge("waiting_views", "Views that are not judged yet", ("station",), **own)
        self.state = Gauge("station_state", "1 of the state that a station is in", ("station", "state"), **own)
        self.restarts = Counter(
            "station_restarts", "Times that a station's process ended by itself", ("station",), **own
        )
        self.alarms = Gauge("alarm", "1 while an alarm is raised", ("subject",), **own)
        self.free = Gauge("disk_free_bytes", "Of the disk with the store", **own)
        self.kept = Gauge("kept_bytes", "Pictures and maps", ("verdict",), **own)

    def count(self, record: PartRecord) -> None:
        """A part was answered."""
        self.parts.labels(record.station, record.verdict, record.outcome).inc()
        if record.late:
            self.late.labels(record.station).inc()
        self.time(record)

    def time(self, record: PartRecord) -> None:
        """What a part's stages took."""
        for stage, seconds in record.seconds.items():
            self.seconds.labels(record.station, stage).observe(seconds)

    def set_state(self, station: str, state: State) -> None:
        """The others are 0."""
        for each in STATES:
            self.state.labels(station, each).set(each == state)

    def as_text(self) -> bytes:
        """In Prometheus's format."""
        return generate_latest(self.registry)
