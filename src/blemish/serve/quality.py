"""Changes of recipes: proposed by a person, put live between parts, perhaps by another, and undone; all audited."""

from __future__ import annotations

import asyncio
import csv
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from blemish.calibration.guarantees import Sentence, sentences
from blemish.calibration.thresholds import Calibration, with_thresholds
from blemish.errors import BadInput, BlemishError, UnknownName
from blemish.images import SUFFIXES, find
from blemish.recipes.calibrate import ANY_TYPE, defects_in
from blemish.recipes.file import hash_of, header_of, history
from blemish.serve.changes import (
    Flip,
    KeptPart,
    ScoredRow,
    as_json,
    flips_of,
    kept_parts,
    recent_parts,
    recent_scores,
)
from blemish.serve.desk import Conflict
from blemish.serve.front import Front
from blemish.serve.proposals import (
    OutOfDate,
    Proposal,
    find_proposal,
    give_up_work,
    hashes_alike,
    list_proposals,
    live_proposal,
    move_proposal,
    put_proposal,
)
from blemish.serve.recipe_jobs import (
    Lesson,
    replace_recipes,
    restore_recipes,
    set_thresholds,
    take_recipe,
    teach_recipe,
)
from blemish.serve.review import list_judgements
from blemish.serve.states import next_state, spell_state
from blemish.serve.stations import Station
from blemish.serve.workshop import Job, Workshop
from blemish.types import GOOD

MOST_TAUGHT, MOST_JUDGED = 200, 2000
"""Parts that are taught at once, and judgements by which thresholds are set where no folder is named."""


WHAT = ("recipe", "source")
"""Files of a proposal."""


class NotAlone(BadInput):
    """What takes a second person."""


class Preview(NamedTuple):
    """What thresholds promise, and what they would have changed."""

    promise: list[Sentence]
    flips: list[Flip]
    examined: int


class Quality:
    """Of one front."""

    def __init__(self, front: Front) -> None:
        self.front = front
        front.propose_file = self.propose_file
        self.slow, self.quick = Workshop(), Workshop()  # for teaching; for what takes a second
        self.folder = front.settings.store.folder.absolute() / "proposals"
        self.progress: dict[int, Mapping[str, Any]] = {}  # of proposals in work
        self._one = asyncio.Lock()  # change of what is used at a time
        self._calibrations: dict[Path, tuple[tuple[int, int], Calibration]] = {}

    def start(self) -> None:
        """Forget what the last start of the line left unfinished."""
        self.front.store.change(give_up_work)

    def end(self) -> None:
        """Stop what is in work."""
        self.slow.end()
        self.quick.end()

    @property
    def can_learn(self) -> bool:
        """Whether torch is there, which teaching needs."""
        return find_spec("torch") is not None

    def calibration(self, station: Station) -> Calibration:
        """Of the recipe that is used, by the header of its file; raises OutOfDate where that is another by now."""
        path = station.settings.recipes[station.recipe]
        if station.hash and hash_of(path) != station.hash:
            raise OutOfDate(f"{path} was changed beside the line: prepare {station.recipe} again first")
        about = path.stat()
        key = (about.st_mtime_ns, about.st_size)
        if self._calibrations.get(path, (None,))[0] != key:
            found = Calibration.from_json(header_of(path).get("calibration"), file=path)
            self._calibrations[path] = (key, found)
        return self._calibrations[path][1]

    async def rows(self, station: Station) -> list[ScoredRow]:
        """The last parts whose scores are of the recipe that is used, whatever its thresholds were."""

        def look(connection: Connection) -> list[ScoredRow]:
            name = station.settings.name
            return recent_scores(connection, name, hashes_alike(connection, name, station.hash))

        found: list[ScoredRow] = await self.front.look_up(look)
        return found

    async def preview(self, station: Station, accept: float, reject: float) -> Preview:
        """What these thresholds promise, and what they would have changed; raises BadInput for what cannot be."""
        known = await asyncio.to_thread(self.calibration, station)
        new, rows = with_thresholds(known, accept=accept, reject=reject), await self.rows(station)
        return Preview(sentences(new), flips_of(rows, new), len(rows))

    async def propose_thresholds(self, station: Station, accept: float, reject: float, who: str) -> int:
        """The proposal's number; its file is made meanwhile."""
        seen = await self.preview(station, accept, reject)
        promise = [[each.key, dict(each.values)] for each in seen.promise]
        said = as_json(seen.flips, seen.examined) | {"promise": promise}
        proposal = await self._begin(station, "thresholds", who, {"accept": str(accept), "reject": str(reject), **said})
        path = station.settings.recipes[station.recipe]
        self.front.run(self._make(self.quick, proposal, set_thresholds, path, self._file(proposal), accept, reject))
        return proposal.n

    async def propose_lesson(self, station: Station, names: Sequence[str], who: str) -> int:
        """Teach a recipe parts that people judged; the proposal's number, which is in work for minutes."""
        chosen = await self._chosen(station, names)
        proposal = await self._begin(station, "teaching", who, {"taught": [[each.part, each.said] for each in chosen]})
        lesson = await self._lesson(station, proposal, chosen)
        self.front.run(self._make(self.slow, proposal, teach_recipe, lesson))
        return proposal.n

    async def propose_file(self, station: Station, recipe: str, file: Path, who: str) -> int:
        """A whole recipe that came from elsewhere, whose file is taken; the proposal's number, which is in work."""
        if recipe in station.settings.quality.sources:
            raise Conflict(f"{recipe} is taught by a source, which would no longer be what it was exported from")
        proposal = await self._begin(station, "transfer", who, {}, recipe)
        lesson = (await self._lesson(station, proposal, []))._replace(source=file)
        is_used = recipe == station.recipe and station.hash  # else the last parts were judged by another
        lesson = lesson if is_used else lesson._replace(parts=())
        self.front.run(self._make(self.slow, proposal, take_recipe, lesson))
        return proposal.n

    async def hand_over(self, station: Station, names: Sequence[str], who: str) -> Path:
        """Copy the pictures of parts that people judged into a folder of their own, for teaching elsewhere."""
        chosen = await self._chosen(station, names)
        target = await asyncio.to_thread(self._copy, chosen)
        await self.front.act(who, "hand over", station.settings.name, new=f"{target.name}: {len(chosen)} parts")
        return target

    async def put_live(self, station: Station, number: int, who: str) -> Proposal:
        """Use it from the next part on, wherever that recipe is used; raises NotAlone and OutOfDate."""
        async with self._one:
            proposal = await self._find(station, number)
            if station.settings.quality.second_person and proposal.who == who:
                raise NotAlone(f"{who} has proposed this: a second person must put it live")
            if proposal.standing != "proposed":
                raise OutOfDate(f"proposal {number} is {proposal.standing}: it cannot be live now")
            path = self._path(station, proposal)
            if hash_of(path) != proposal.old:
                raise OutOfDate(f"{proposal.recipe} has changed since it was proposed: propose it again")
            pairs = [(self._file(proposal), path)]
            if source := self._source(station, proposal):
                pairs.append((self._file(proposal, "source"), source))
            await self._swap(path, pairs[0][0])
            try:
                await self.quick.run(replace_recipes, pairs)
            except BlemishError:
                await self._swap(path, path)
                raise
            return await self._move(proposal, "live", who)

    async def withdraw(self, station: Station, number: int, who: str) -> Proposal:
        """Give it up before it is live."""
        return await self._move(await self._find(station, number), "withdrawn", who)

    async def undo(self, station: Station, who: str) -> Proposal:
        """Put back what was used before the last change, exactly; raises OutOfDate where there is none."""
        async with self._one:
            path, name = station.settings.recipes[station.recipe], station.settings.name
            current = hash_of(path)
            proposal: Proposal = await self.front.look_up(
                lambda connection: live_proposal(connection, name, station.recipe, current)
            )
            pairs = [(path, proposal.old)]
            if source := self._source(station, proposal):
                if hash_of(source) != proposal.said["source_new"]:
                    raise OutOfDate(f"{source} was changed beside the line: undo that first")
                pairs.append((source, ""))
            former = history(path) / f"{proposal.old}.blemish"
            if not former.exists():
                raise OutOfDate(f"{former} is gone: look for it in a backup")
            await self._swap(path, former)
            await self.quick.run(restore_recipes, pairs)
            return await self._move(proposal, "undone", who)

    async def latest(self, station: Station) -> list[Proposal]:
        """The latest first."""
        name = station.settings.name
        found: list[Proposal] = await self.front.look_up(lambda connection: list_proposals(connection, name))
        return found

    async def _begin(
        self, station: Station, kind: Any, who: str, said: Mapping[str, Any], recipe: str = ""
    ) -> Proposal:
        """Of the recipe that is used, if no other is named; raises Conflict where one is in work."""
        name, recipe = station.settings.name, recipe or station.recipe
        old = hash_of(station.settings.recipes[recipe])

        def begin(connection: Connection) -> Proposal:
            if any(each.standing == "working" for each in list_proposals(connection, name)):
                raise Conflict(f"a change of {name} is in work already: wait for it")
            number = put_proposal(connection, station=name, recipe=recipe, kind=kind, who=who, old=old, said=said)
            return find_proposal(connection, name, number)

        return await asyncio.wrap_future(self.front.store.change(begin))

    async def _make(self, workshop: Workshop, proposal: Proposal, job: Job, *given: Any) -> None:
        """In the background: its file, and what is then said of it."""

        def told(values: Mapping[str, Any]) -> None:
            self.progress[proposal.n] = values
            self.front.broker.tell("progress", {"station": proposal.station, "n": proposal.n, **values})

        try:
            found = await workshop.run(job, *given, told=told)
        except BlemishError as error:
            await self._move(proposal, "failed", proposal.who, said={"error": str(error)})
        else:
            new = found.pop("new")
            await self._move(proposal, "proposed", proposal.who, new=new, said=found)
        finally:
            self.progress.pop(proposal.n, None)

    async def _move(
        self, proposal: Proposal, standing: Any, who: str, *, new: str = "", said: Mapping[str, Any] | None = None
    ) -> Proposal:
        def move(connection: Connection) -> Proposal:
            return move_proposal(connection, proposal, standing, who=who, new=new, said=said)

        moved = await asyncio.wrap_future(self.front.store.change(move))
        if standing in ("live", "withdrawn", "failed"):
            for what in WHAT:
                self._file(moved, what).unlink(missing_ok=True)
        told = {"station": moved.station, "n": moved.n, "standing": moved.standing, "who": who}
        self.front.broker.tell("proposal", told)
        return moved

    async def _find(self, station: Station, number: int) -> Proposal:
        name = station.settings.name
        found: Proposal = await self.front.look_up(lambda connection: find_proposal(connection, name, number))
        return found

    async def _swap(self, path: Path, file: Path) -> None:
        """Load a file at every station that uses the recipe at that path; raises WrongState before any does."""
        users = [
            each
            for each in self.front.stations.values()
            if each.hash and each.process and each.settings.recipes.get(each.recipe) == path
        ]
        for each in users:
            next_state(each.state, "prepare")
        for each in users:
            await each.prepare(each.recipe, file)
            told = {"station": each.settings.name, "state": spell_state(each.state)}
            self.front.broker.tell("state", told)  # which connectors send with the recipe's hash

    def _file(self, proposal: Proposal, what: str = "recipe") -> Path:
        """One of `WHAT`, until it is put in place."""
        return self.folder / f"{proposal.n}-{what}.blemish"

    def _path(self, station: Station, proposal: Proposal) -> Path:
        if proposal.recipe not in station.settings.recipes:
            raise UnknownName(f"{station.settings.name} has no recipe {proposal.recipe} any more")
        return station.settings.recipes[proposal.recipe]

    def _source(self, station: Station, proposal: Proposal) -> Path | None:
        """Of a deployed recipe that was taught: what was taught."""
        return station.settings.quality.sources[proposal.recipe] if proposal.said.get("source_new") else None

    async def _chosen(self, station: Station, names: Sequence[str]) -> list[KeptPart]:
        """Raises BadInput for parts that nobody judged, or of which no picture is kept."""
        if not 0 < len(set(names)) <= MOST_TAUGHT:
            raise BadInput(f"choose parts, {MOST_TAUGHT} at most")
        name, asked = station.settings.name, dict.fromkeys(names, "")
        chosen: list[KeptPart] = await self.front.look_up(lambda connection: kept_parts(connection, name, asked))
        for each in chosen:
            if not each.said:
                raise BadInput(f"part {each.part} was not judged by a person: judge it first")
            if not _pictures(each, self.front.ring.folder):
                raise BadInput(f"no picture of part {each.part} is kept that could be taught: leave it out")
        return chosen

    async def _lesson(self, station: Station, proposal: Proposal, chosen: Sequence[KeptPart]) -> Lesson:
        settings, ring = station.settings, self.front.ring.folder
        path = settings.recipes[proposal.recipe]
        good = [path for each in chosen if each.said == "accept" for path in _pictures(each, ring)]
        defects: dict[str, tuple[Path, ...]] = {}
        for each in chosen:
            if each.said != "accept":
                kind = each.said.partition(" ")[2] or ANY_TYPE
                defects[kind] = (*defects.get(kind, ()), *_pictures(each, ring))
        kept: list[KeptPart] = await self.front.look_up(lambda connection: recent_parts(connection, settings.name))
        taught = {each.part for each in chosen}
        held_out = await self._held_out(station, taught)
        source = settings.quality.sources.get(proposal.recipe, path)
        return Lesson(
            path, source, self._file(proposal), self._file(proposal, "source"), tuple(good), defects, held_out,
            settings.quality.every_picture, tuple(kept), ring, settings.max_pixels,
        )  # fmt: skip

    async def _held_out(self, station: Station, taught: set[str]) -> dict[Path, str]:
        """Pictures by which thresholds are set again, and what they show."""
        quality, name, ring = station.settings.quality, station.settings.name, self.front.ring.folder

        def look(connection: Connection) -> list[KeptPart]:
            judged = [each.part for each in list_judgements(connection, name, MOST_JUDGED) if each.part not in taught]
            return kept_parts(connection, name, dict.fromkeys(judged, ""))

        judged: list[KeptPart] = await self.front.look_up(look)
        found: dict[Path, str] = {}
        for each in judged:
            is_good = each.said == "accept"
            if (quality.good if is_good else quality.defects) is None:
                kind = GOOD if is_good else each.said.partition(" ")[2] or ANY_TYPE
                found |= dict.fromkeys(_pictures(each, ring), kind)
        found |= dict.fromkeys(find([str(quality.good)]), GOOD) if quality.good else {}
        return found | (defects_in(quality.defects) if quality.defects else {})

    def _copy(self, chosen: Sequence[KeptPart]) -> Path:
        root = self.front.settings.store.folder.absolute() / "lessons"
        root.mkdir(parents=True, exist_ok=True)
        numbers = [int(each.name) for each in root.iterdir() if each.name.isdecimal()]
        target = root / str(max(numbers, default=0) + 1)
        target.mkdir()
        with (target / "parts.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "part", "said"))
            for each in chosen:
                place = Path(GOOD) if each.said == "accept" else Path("defects") / _slug(each.said.partition(" ")[2])
                (target / place).mkdir(parents=True, exist_ok=True)
                for picture in _pictures(each, self.front.ring.folder):
                    shutil.copyfile(picture, target / place / picture.name)
                    writer.writerow((str(place / picture.name), each.part.lstrip("=+-@"), each.said))
        return target


def _pictures(kept: KeptPart, ring: Path) -> list[Path]:
    """Those that can be taught, which arrays cannot."""
    return [ring / file for file in kept.files.values() if Path(file).suffix in SUFFIXES]


def _slug(kind: str) -> str:
    """A type as a folder's name."""
    return re.sub(r"[^\w-]+", "_", kind).strip("_") or ANY_TYPE


Say = Callable[[Sentence], str]


def promise_of(said: Mapping[str, Any]) -> list[Sentence]:
    """What a proposal's recipe promises."""
    return [Sentence(key, values) for key, values in said.get("promise", ())]
