"""The parts of one station, from their arrival to their record: each is answered once, within its budget.

All of it runs in the event loop's thread. A verdict is never better than what is known: whatever is late, incomplete,
unreadable or not inspected gets the station's `unjudged`, review or reject, or the worse one of its other views.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from blemish.errors import BadInput
from blemish.serve.pace import Pace
from blemish.serve.records import Outcome, PartRecord, worst_verdict
from blemish.serve.ring import Kept
from blemish.serve.settings import StationSettings
from blemish.version import VERSION

MARGIN, DURABLE_MARGIN = 0.010, 0.050
"""Seconds before its deadline at which a part is answered as late; the second where its commit comes first."""
RECENT = 500
"""Parts that are kept in memory when they have a record, so that what is sent again meets it at once."""
LATE_SECONDS = 120.0
"""How long the true result of a late part is waited for."""


class Busy(BadInput):
    """As many views wait as may, or more than can be judged in time."""


class Conflict(BadInput):
    """Another view of that name, or another part of that id."""


@dataclass(slots=True)
class OpenPart:
    """A part on its way to its record."""

    part: str
    product: str
    batch: str
    recipe: str  # the hash of the one that was used when it came
    arrived: float  # seconds since 1970
    answer: asyncio.Future[PartRecord]
    begun: dict[str, float] = field(default_factory=dict)  # by view: when it came, monotonic
    found: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # by view: what the station said
    files: list[str] = field(default_factory=list)  # of a watched folder
    kept: list[Kept] = field(default_factory=list)  # in the ring, and not yet noted
    is_begun: bool = False  # the station has looked at a view
    is_closed: bool = False  # no more views are waited for
    late: PartRecord | None = None  # what was answered
    record: PartRecord | None = None  # the latest
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)


class Desk:
    """`recorded` takes each record, and its files, as soon as it is to be answered, and answers the future."""

    def __init__(
        self, settings: StationSettings, recorded: Callable[[PartRecord, OpenPart], None], *, durable: bool = False
    ) -> None:
        self.settings, self._recorded = settings, recorded
        self.open: dict[str, OpenPart] = {}
        self.recent: OrderedDict[str, OpenPart] = OrderedDict()
        self.pace = Pace()
        budget = settings.budget_ms / 1000
        self._late_after = max(budget / 2, budget - (DURABLE_MARGIN if durable else MARGIN))

    @property
    def waiting(self) -> int:
        """Views that the station has not judged."""
        return sum(len(each.begun) - len(each.found) for each in self.open.values())

    def admit(self, part: str, coming: int = 0) -> None:
        """Raises Busy where a view is one too many, or the first of a part that cannot be answered in time.

        `coming`: views whose bytes are on their way. A part that finds nothing before it is always taken: so the pace
        is measured anew, however slow it was.
        """
        before = self.waiting + coming
        if before >= self.settings.queue:
            raise Busy(f"{self.settings.name}: {before} views wait, and no more may: try again")
        expected = self.pace.expect(before + len(self.settings.views))
        if before and part not in self.open and expected > self._late_after:
            said = f"{before} views wait, and this part would be late, after {1000 * expected:.0f} ms"
            raise Busy(f"{self.settings.name}: {said}: try again")

    def add(
        self,
        part: str,
        view: str,
        *,
        product: str = "",
        batch: str = "",
        recipe: str = "",
        file: str = "",
        at: float = 0.0,
    ) -> OpenPart:
        """A view that was admitted, or that the station took itself; raises Conflict for one that is there.

        recipe: the hash of the one that is used, which the record has where no view is judged in time.
        at: when a camera took it, seconds since 1970.
        """
        found = self.open.get(part)
        if found is None:
            found = self._opened(part, product or self.settings.product, batch, recipe, at or time.time())
        if view in found.begun or found.is_closed:
            raise Conflict(f"part {part}, view {view} is being inspected already: ask for the part's record")
        now = time.monotonic()
        found.begun[view] = now
        found.files += [file] if file else []
        if len(found.begun) == len(self.settings.views):
            self._close(found)
        return found

    def begin(self, values: Mapping[str, Any]) -> None:
        """The station looks at a view of a part."""
        if found := self.open.get(values["part"]):
            found.is_begun = True

    def judge(self, values: Mapping[str, Any]) -> None:
        """What the station says of a view, or why it cannot be read."""
        found = self.open.get(values["part"])
        if found is None or values["view"] not in found.begun:
            return  # its part was given up
        found.found[values["view"]] = values
        self._measure(time.monotonic() - found.begun[values["view"]], values.get("seconds"))
        if found.is_closed and len(found.found) == len(found.begun):
            self._finish(found, self._outcome(found))

    def miss(self, values: Mapping[str, Any]) -> None:
        """The station had no room for a view of a part."""
        if found := self.open.get(values["part"]):
            self._finish(found, "not inspected", values["reason"])

    def _measure(self, taken: float, seconds: Mapping[str, float] | None) -> None:
        if seconds:
            self.pace.add(seconds["station"] - seconds["wait"], max(0.0, taken - seconds["station"]))

    def keep(self, part: str, files: Iterable[Kept]) -> OpenPart | None:
        """Files of a part that are in the ring now; returns the part if it has a record, so that they can be noted."""
        found = self.open.get(part) or self.recent.get(part)
        if found is None:
            return None  # its part was given up, or is long gone: they are swept away when the line starts
        found.kept += files
        return found if found.record else None

    def give_up(self, reason: str) -> None:
        """The station has ended, or was told to: whatever is open is not inspected.

        Parts at which nobody has looked, and whose pictures are still in their folder, are taken from there again.
        """
        for found in list(self.open.values()):
            if found.is_begun or len(found.files) < len(found.begun):
                self._finish(found, "not inspected", reason)
            else:
                self._forget(found)

    def _forget(self, found: OpenPart) -> None:
        del self.open[found.part]
        for timer in found.timers.values():
            timer.cancel()

    def _opened(self, part: str, product: str, batch: str, recipe: str, at: float) -> OpenPart:
        loop = asyncio.get_running_loop()
        found = OpenPart(part, product, batch, recipe, at, loop.create_future())
        self.open[part] = found
        if len(self.settings.views) > 1:
            found.timers["views"] = loop.call_later(self.settings.views_ms / 1000, self._close, found)
        return found

    def _close(self, found: OpenPart) -> None:
        """All views are there, or their time is over."""
        found.is_closed = True
        if timer := found.timers.pop("views", None):
            timer.cancel()
        if len(found.found) == len(found.begun):
            self._finish(found, self._outcome(found))
            return
        last, loop = max(found.begun.values()), asyncio.get_running_loop()
        wait = max(0.0, last + self._late_after - time.monotonic())
        found.timers["late"] = loop.call_later(wait, self._answer_late, found)

    def _outcome(self, found: OpenPart) -> Outcome:
        if any("error" in each for each in found.found.values()):
            return "unreadable"
        return "inspected" if len(found.found) == len(self.settings.views) else "incomplete"

    def _answer_late(self, found: OpenPart) -> None:
        """The part stays open until its true result comes."""
        said = f"no result within {self.settings.budget_ms:g} ms"
        found.late = self._record(found, "not inspected", said, late=True)
        loop = asyncio.get_running_loop()
        found.timers["late"] = loop.call_later(LATE_SECONDS, self.open.pop, found.part, None)
        self._tell(found, found.late)

    def _finish(self, found: OpenPart, outcome: Outcome, reason: str = "") -> None:
        self._forget(found)
        made, late = self._record(found, outcome, reason), found.late
        if late and outcome == "not inspected":
            return  # which is what its record says
        self._tell(found, replace(made, answered=late.answered, verdict=late.verdict, late=True) if late else made)

    def _tell(self, found: OpenPart, record: PartRecord) -> None:
        found.record = record
        self.recent[found.part] = found
        while len(self.recent) > RECENT:
            self.recent.popitem(last=False)
        self._recorded(record, found)

    def _record(self, found: OpenPart, outcome: Outcome, reason: str = "", *, late: bool = False) -> PartRecord:
        judged = [each for each in found.found.values() if "error" not in each]
        verdicts = [each["verdict"] for each in judged]
        errors = [each["error"] for each in found.found.values() if "error" in each]
        missing = [view for view in self.settings.views if view not in found.begun]
        errors += [f"view {', '.join(missing)} did not come in time"] if missing and found.is_closed else []
        known = worst_verdict(verdicts) if outcome == "inspected" else ""
        regions = [{**each, "view": name} for name, view in found.found.items() for each in view.get("regions", ())]
        answered = time.time()
        return PartRecord(
            station=self.settings.name,
            part=found.part,
            arrived=found.arrived,
            answered=answered,
            outcome=outcome,
            verdict=known or worst_verdict([self.settings.unjudged, *verdicts]),
            judged=known,
            late=late,
            score=max((each["score"] for each in judged if each["score"] is not None), default=None),
            product=found.product,
            batch=found.batch,
            regions=sorted(regions, key=lambda each: -each.get("score", 0)),
            types=tuple(dict.fromkeys(kind for each in judged for kind in each["types"])),
            views={name: _view(each) for name, each in found.found.items()},
            seconds={**_slowest(judged), "answer": answered - found.arrived},
            recipe=next((each["recipe"] for each in found.found.values()), found.recipe),
            software=f"blemish {VERSION}",
            error="; ".join(filter(None, [reason, *errors])),
        )


def _view(said: Mapping[str, Any]) -> dict[str, Any]:
    return {key: said[key] for key in ("digest", "score", "verdict", "size", "error") if key in said}


def _slowest(judged: list[Mapping[str, Any]]) -> dict[str, float]:
    """By stage, of the view that took longest."""
    stages = {stage for each in judged for stage in each["seconds"]}
    return {stage: max(each["seconds"].get(stage, 0.0) for each in judged) for stage in sorted(stages)}
