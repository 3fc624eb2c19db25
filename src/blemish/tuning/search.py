"""Good parts -> the recipe that finds flaws drawn on some of them best: successive halving within a stated time."""

from __future__ import annotations

import dataclasses
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from blemish import encoders as known
from blemish.benchmark.running import Failed, run_trials
from blemish.devices import device_of_name, place_model
from blemish.errors import BadInput
from blemish.files import alone_in, sha256_of, write, write_json
from blemish.images import WHOLE, Unreadable, View, find
from blemish.metrics.intervals import Estimate
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.holdout import parts_of
from blemish.recipes.reading import Reading
from blemish.recipes.recipe import Recipe
from blemish.recipes.update import freeze
from blemish.synth.drawn.sheets import sheet
from blemish.tuning.bench import GENERATORS, Bench, Size, divide, real_defects
from blemish.tuning.candidates import Candidate, candidates, check_methods, default_candidate
from blemish.tuning.choice import Judged, gain, judge, rank, unseen
from blemish.tuning.told import Row, as_json, sentence
from blemish.tuning.trial import NO_TIME, Clock, attempts, plan_trial
from blemish.types import Encoder

FIRST = Size(learned=8, held=6, flaws=2)
"""What every candidate is first tried on."""
FIRST_SHARE, LATER_SHARE = 0.6, 0.5
"""Of the time: for the first round at most; of what is left, for each later one."""
KEPT = 3
"""One in so many candidates goes on to the next round, and two at least; the default always does."""
MOST_ROUNDS = 4
DEFAULT = 0
"""The number of the candidate that is the default, or the first of those that are named."""
MOST_READ = 400
"""Good parts that are looked at to choose; all are learned in the end."""
SHEET = 24
"""Flaws on the picture of them."""
TABLE, FLAWS = "tried.json", "flaws.png"
"""What a tuning leaves in its folder for people."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a tuning is asked for beside pictures and encoders; with the same it goes on where it stopped."""

    budget: float = 600.0  # seconds
    allowed: float | None = None  # seconds a picture at most
    product: str | None = None
    methods: tuple[str, ...] = ()  # to choose from; none are all that need no training
    seed: int = 0
    device: str = "auto"
    batch_size: int = 8
    view: View = WHOLE  # region, mask and white, of all candidates


class Tuned(NamedTuple):
    """What a tuning found."""

    recipe: Recipe  # with all good parts
    said: str  # why this one, in a sentence
    rows: list[Row]  # what was tried, the best first
    unreadable: list[Unreadable]


def tune(
    good: Sequence[str | Path],
    folder: str | Path,
    *,
    defects: str | Path | None = None,
    encoders: Sequence[str] = (known.DEFAULT,),
    asked: Tuning | None = None,
    watch: ShowProgress = no_progress,
) -> Tuned:
    """Choose by flaws drawn on good parts that are held out, and freeze what was chosen with all of them.

    folder: where flaws and results are kept; the same call goes on where it was stopped. defects: real ones, which
    weigh more. encoders: names or paths; the first has the default. Raises BadInput for fewer than four parts, and
    where there is no time for two candidates.
    """
    wish, place, bad = asked or Tuning(), Path(folder), list[Unreadable]()
    check_methods(wish.methods)
    with alone_in(place):
        paths = find(good)
        read = paths[:: -(-len(paths) // MOST_READ)]
        seen = parts_of(read, view=wish.view, reading=Reading(watch=watch, unreadable=bad))
        folds = divide(seen, wish.seed)
        shown = real_defects(Path(defects)) if defects else []
        bench = Bench(place, folds, shown, wish.seed, wish.view)
        _claim(place, bench, wish, encoders)
        search = _Search(bench, _loaded(encoders, wish.device), wish, watch)
        rows, said = search.run()
        write_json(place / TABLE, as_json(rows, said, _plain(wish)))
        _save_flaws(bench)
        chosen = rows[0].candidate
        bad.clear()  # all are read once more
        recipe = freeze(
            chosen.method, search.encoders[chosen.encoder], good=paths, arguments=chosen.arguments, view=chosen.view,
            reading=Reading(wish.batch_size, watch, bad),
        )  # fmt: skip
        return Tuned(recipe, said, rows, bad)


def _loaded(encoders: Sequence[str], device: str) -> dict[str, Encoder]:
    where = device_of_name(device)
    return {name: place_model(known.load(name), where) for name in dict.fromkeys(encoders)}


def _claim(folder: Path, bench: Bench, asked: Tuning, encoders: Sequence[str]) -> None:
    """Raises BadInput where the folder holds a tuning of other parts, defects, words, encoders, seed or region."""
    shown = [[sha256_of(path) for path in (each.image, *each.masks)] for each in bench.defects]
    learned = [[sha256_of(path) for path in (*fold.learned, *fold.held)] for fold in bench.folds]
    said = repr((learned, shown, asked.product, asked.seed, list(encoders), _seen(asked.view)))
    own, file = sha256(said.encode()).hexdigest(), folder / "asked.txt"
    if file.exists() and file.read_text(encoding="ascii").strip() != own:
        raise BadInput(
            f"{folder} holds a tuning of other parts, defects, words or encoders, or another seed or region: remove "
            "it, or name another place"
        )
    write(file, own + "\n")


def _seen(view: View) -> dict[str, Any]:
    """What is inspected of each picture, as plain values."""
    mask = view.mask
    found = {
        "region": view.region and list(view.region), "white": view.white,
        "mask": None if mask is None else sha256(repr(mask.shape).encode() + np.packbits(mask).tobytes()).hexdigest(),
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _plain(asked: Tuning) -> dict[str, Any]:
    return {**{each.name: getattr(asked, each.name) for each in dataclasses.fields(asked)}, "view": _seen(asked.view)}


def _save_flaws(bench: Bench) -> None:
    """The picture of the flaws that were drawn."""
    made = io.BytesIO()
    Image.fromarray(sheet(list(islice(bench.specimens(), SHEET)))).save(made, "PNG")
    write(bench.folder / FLAWS, made.getvalue())


@dataclass(slots=True)
class _Search:
    """Where a search stands; candidates go by their numbers."""

    bench: Bench
    encoders: dict[str, Encoder]
    asked: Tuning
    watch: ShowProgress
    every: list[Candidate] = field(default_factory=list)
    has_default: bool = False  # else DEFAULT is the first of those that are named
    clock: Clock = field(default_factory=Clock)
    judged: dict[int, Judged] = field(default_factory=dict)  # of the last round that each was in
    rounds: dict[int, int] = field(default_factory=dict)
    outcomes: dict[tuple[int, int], list[dict[str, Any]]] = field(default_factory=dict)  # by round and candidate
    costs: dict[int, tuple[float, float]] = field(default_factory=dict)  # seconds a fold: of learning, of a picture
    failed: dict[int, str] = field(default_factory=dict)

    def run(self) -> tuple[list[Row], str]:
        """The rows, the best first, and the sentence; raises BadInput where there is nothing to choose from."""
        pixels, asked = self.bench.picture_size(), self.asked
        self.every = candidates(self.encoders, pixels, product=asked.product, methods=asked.methods, view=asked.view)
        usual = default_candidate(self.encoders, pixels, product=asked.product, view=asked.view)
        self.has_default = self.every[DEFAULT] == usual
        self._round(1, self._fit(FIRST), list(range(len(self.every))), asked.budget * FIRST_SHARE)
        self._refuse_too_few()
        size, last = self._fit(FIRST), 1
        for number in range(2, MOST_ROUNDS + 1):
            larger = self._fit(size.doubled())
            entered = self._survivors(last, size, larger)
            if larger == size or len(entered) < 2:
                break
            self._round(number, larger, entered, asked.budget)
            size, last = larger, number
        return self._told()

    def _fit(self, size: Size) -> Size:
        return Size(*(min(each) for each in zip(size, self.bench.largest, strict=True)))

    def _round(self, number: int, size: Size, entered: Sequence[int], until: float) -> None:
        """Measure these on a table of that size, as long as the time spent is below `until`."""
        table = self.bench.lay_out(number, size, self.watch)
        trials = [(each, plan_trial(self.every[each], table, fold)) for each in entered for fold in self.bench.names]
        owners, found = {id(trial): each for each, trial in trials}, defaultdict[int, list[dict[str, Any]]](list)
        advance = self.watch(f"round {number}, {len(entered)} candidates", len(trials))
        self.clock.until = until
        for result in run_trials(
            [trial for _, trial in trials], self.bench.folder, attempt=attempts(self.encoders, self.clock)
        ):
            advance()
            each = owners[id(result.planned)]
            if isinstance(result, Failed):
                self.failed[each] = result.error
                continue
            self.clock.spent += result.outcome["wall_seconds"] if result.kept else 0
            found[each].append(result.outcome)
            if len(found[each]) == len(self.bench.folds):
                self.judged[each], self.rounds[each] = judge(found[each]), number
                self.outcomes[number, each] = found[each]
                self.costs[each] = cost(found[each])

    def _survivors(self, last: int, size: Size, larger: Size) -> list[int]:
        """Who goes on: as many of the best as there is time for, and the default; nobody where it is too short."""
        entered = [each for each, number in self.rounds.items() if number == last and self._is_quick(each)]
        order = [entered[place] for place in rank([self.judged[each] for each in entered])]
        left = self.asked.budget - self.clock.spent

        def chosen(count: int) -> list[int]:
            return list(dict.fromkeys([*order[:count], *(each for each in order if each == DEFAULT)]))

        for count in range(max(2, -(-len(order) // KEPT)), 1, -1):
            needed = sum(self._needed(each, size, larger) for each in chosen(count))
            if needed <= left * (LATER_SHARE if count > 2 else 1):
                return chosen(count)
        return []

    def _needed(self, each: int, size: Size, larger: Size) -> float:
        """Seconds that a candidate would take in a larger round."""
        learning, scoring = self.costs[each]
        scored = larger.held + len(GENERATORS) * larger.flaws + len(self.bench.defects)
        return learning * larger.learned / size.learned + scoring * scored

    def _is_quick(self, each: int) -> bool:
        return self.asked.allowed is None or self.judged[each].seconds <= self.asked.allowed

    def _refuse_too_few(self) -> None:
        """Raise BadInput where the first round leaves nothing to choose from."""
        if not self.judged and all(error != NO_TIME for error in self.failed.values()):
            raise BadInput(f"no candidate could be measured; of the first it was said: {self.failed[DEFAULT]}")
        if len(self.judged) < 2 <= len(self.every):
            raise BadInput(
                f"{self.asked.budget:g} s were too short to measure two candidates: give a longer --budget, and the "
                "same command goes on with what was measured"
            )
        if not any(map(self._is_quick, self.judged)):
            best = min(self.judged, key=lambda each: self.judged[each].seconds)
            raise BadInput(
                f"no candidate takes at most {1000 * (self.asked.allowed or 0):g} ms a picture: the quickest, "
                f"{self.every[best]}, takes {1000 * self.judged[best].seconds:.0f}: allow more by --budget-ms"
            )

    def _told(self) -> tuple[list[Row], str]:
        order = list[int]()
        for number in sorted(set(self.rounds.values()), reverse=True):
            same = [each for each in self.rounds if self.rounds[each] == number]
            order += [same[place] for place in rank([self.judged[each] for each in same])]
        order = sorted(order, key=lambda each: not self._is_quick(each))
        gains = {each: self._gain(each) for each in order if self.has_default and each != DEFAULT}
        rows = [
            Row(self.every[each], self.judged[each], self.rounds[each], self._note(each), gains.get(each))
            for each in self._default_first(order, gains)
        ]
        missed = [Row(self.every[each], None, 0, why) for each, why in self.failed.items() if each not in self.judged]
        first = [self.judged[each] for each in self.judged if self._is_quick(each)]
        return [*rows, *missed], sentence(rows, self.every[DEFAULT] if self.has_default else None, unseen(first))

    def _note(self, each: int) -> str:
        return "" if self._is_quick(each) else "too slow"

    def _gain(self, each: int) -> Estimate | None:
        """How much more it is worth than the default, by the last round that both were in."""
        both = [number for number, who in self.outcomes if who == each and (number, DEFAULT) in self.outcomes]
        return gain(self.outcomes[max(both), each], self.outcomes[max(both), DEFAULT]) if both else None

    def _default_first(self, order: list[int], gains: Mapping[int, Estimate | None]) -> list[int]:
        """The order with nothing before the default but what is surely better: few drawn flaws tell little."""
        if not self.has_default or DEFAULT not in order or not self._is_quick(DEFAULT):
            return order
        before = order[: order.index(DEFAULT)]
        sure = [each for each in before if (found := gains[each]) is not None and found.low > 0]
        return list(dict.fromkeys([*sure, DEFAULT, *order]))


def cost(folds: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Seconds that a candidate took to learn, and for each picture that it scored; of all folds together."""
    learning = sum(outcome["learning_seconds"] for outcome in folds)
    scored = sum(len(outcome["scores"]) for outcome in folds) / len(folds)
    return learning, (sum(outcome["wall_seconds"] for outcome in folds) - learning) / scored
