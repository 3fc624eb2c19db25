"""What the trials came to, as one table: means over seeds and categories, each defect type, and what was published."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from blemish.benchmark.plan import ALL, PlannedTrial
from blemish.benchmark.references import Reference
from blemish.benchmark.running import Failed, Finished
from blemish.benchmark.trial import NAMING
from blemish.evaluation.evaluate import METRICS

VERDICTS = ("f1", "accuracy", "escape", "overkill")
COLUMNS = (*METRICS, *VERDICTS, *NAMING, "images_per_second", "peak_mib")


class Cell(NamedTuple):
    """A number of the table; what it does not have is None."""

    value: float
    low: float | None = None  # of its 95 % interval, which is over test pictures
    high: float | None = None
    spread: float | None = None  # standard deviation over seeds


Cells = Mapping[str, Cell]


class Group(NamedTuple):
    """What is the same in all trials of a line: they differ in category and seed only."""

    data: str
    shots: int | str
    method: str
    arguments: str
    encoder: str


class Row(NamedTuple):
    """A line of the table."""

    group: Group
    category: str  # "mean of 15" for all that a data set has
    type: str  # of defects, on their own against the good pictures; "" for all defects
    precision: str
    seeds: int  # how many the mean goes over; 0 for what was published
    n_normal: int
    n_anomalous: int
    cells: Cells
    source: str
    picked_on_test: str = "no"


class Table(NamedTuple):
    """Rows, trials that failed, and what else a reader must know."""

    rows: list[Row]
    failed: list[dict[str, Any]]
    notes: list[str]


def tabulate(
    trials: Sequence[PlannedTrial], results: Sequence[Finished | Failed], references: Sequence[Reference]
) -> Table:
    """The table of the trials of a plan that there are results of, in the plan's order.

    By data set and shots; there the means over categories come first, then each category, then its defect types. What
    was published stands under what was measured with the same method, data and shots.
    """
    categories: dict[str, dict[str, None]] = {}
    for planned in trials:
        categories.setdefault(planned.data, {})[_category(planned)] = None
    found: dict[Group, dict[str, list[Finished]]] = {_group(planned): {} for planned in trials}
    measured = [each for each in results if isinstance(each, Finished)]
    for each in measured:
        found[_group(each.planned)].setdefault(_category(each.planned), []).append(each)
    rows = [row for group, every in found.items() for row in _rows(group, every, len(categories[group.data]))]
    shown = {group for group, every in found.items() if every}
    rows += _published({each.data: each.published for each in trials}, shown, references)
    failed = [each.planned.asked() | {"error": each.error} for each in results if isinstance(each, Failed)]
    places = {data: list(names) for data, names in categories.items()}
    return Table(_ordered(rows, list(found), places), failed, _notes(measured))


def over_seeds(found: Sequence[Cells]) -> dict[str, Cell]:
    """Means of the values and of the ends of their intervals, with the spread; of peaks the highest.

    What one of them lacks is left out.
    """
    cells = {}
    for name, every in _shared(found):
        values = [cell.value for cell in every]
        value = max(values) if name == "peak_mib" else fmean(values)
        spread = stdev(values) if len(values) > 1 else None
        cells[name] = Cell(value, _mean([cell.low for cell in every]), _mean([cell.high for cell in every]), spread)
    return cells


def over_categories(found: Sequence[Cells], by_seed: Sequence[Sequence[Cells]]) -> dict[str, Cell]:
    """The mean of categories, each a mean over seeds; of peaks the highest. What a category lacks is left out.

    by_seed: the categories of each seed, for the spread.
    Categories have test pictures of their own, so their intervals join as independent errors: the root of the sum of
    squares, over the number of categories.
    """
    cells = {}
    for name, every in _shared(found):
        value = max(cell.value for cell in every) if name == "peak_mib" else fmean(cell.value for cell in every)
        below = [cell.value - cell.low for cell in every if cell.low is not None]
        above = [cell.high - cell.value for cell in every if cell.high is not None]
        whole = len(below) == len(above) == len(every)
        low = value - math.hypot(*below) / len(every) if whole else None
        high = value + math.hypot(*above) / len(every) if whole else None
        means = [fmean(each[name].value for each in seed) for seed in by_seed]
        cells[name] = Cell(value, low, high, stdev(means) if len(means) > 1 else None)
    return cells


def _shared(found: Sequence[Cells]) -> Iterator[tuple[str, list[Cell]]]:
    return ((name, [each[name] for each in found]) for name in COLUMNS if found and all(name in each for each in found))


def _mean(ends: Sequence[float | None]) -> float | None:
    known = [end for end in ends if end is not None]
    return fmean(known) if len(known) == len(ends) else None


def _rows(group: Group, found: Mapping[str, Sequence[Finished]], planned: int) -> list[Row]:
    """A line a category and one a defect type, and the mean where the plan has more categories than one."""
    whole = [_row(group, category, "", every) for category, every in found.items()]
    types = [_row(group, category, kind, every) for category, every in found.items() for kind in _types(every)]
    if planned == 1 or not found:
        return whole + types
    seeds = set.intersection(*({each.planned.trial.seed for each in every} for every in found.values()))
    by_seed = [
        [_cells(each) for every in found.values() for each in every if each.planned.trial.seed == seed]
        for seed in sorted(seeds)
    ]
    mean = whole[0]._replace(
        category=f"mean of {len(whole)}" + (f" of {planned}" if len(whole) < planned else ""),
        seeds=min(row.seeds for row in whole),
        n_normal=sum(row.n_normal for row in whole),
        n_anomalous=sum(row.n_anomalous for row in whole),
        cells=over_categories([row.cells for row in whole], by_seed),
    )
    return [mean, *whole, *types]


def _row(group: Group, category: str, kind: str, found: Sequence[Finished]) -> Row:
    first = found[0]
    counts = first.outcome["types"][kind] if kind else first.outcome
    return Row(
        group,
        category,
        kind,
        first.key["precision"],
        len(found),
        counts["n_normal"],
        counts["n_anomalous"],
        over_seeds([_cells(each, kind) for each in found]),
        f"blemish {first.key['blemish']}",
    )


def _cells(finished: Finished, kind: str = "") -> dict[str, Cell]:
    """The numbers of one trial, or of one defect type in it."""
    outcome = finished.outcome
    found = outcome["types"][kind] if kind else outcome
    cells = {name: Cell(**found[name]) for name in (*METRICS, *VERDICTS, *NAMING) if found.get(name)}
    if kind:
        return cells
    cells["images_per_second"] = Cell(1 / outcome["seconds_per_image"])
    return cells | ({"peak_mib": Cell(outcome["peak_bytes"] / 2**20)} if outcome.get("peak_bytes") else {})


def _types(found: Sequence[Finished]) -> list[str]:
    """The defect types of a category, where there are more than one: of a single one the category's line says all."""
    types = {kind for each in found for kind in each.outcome["types"]}
    return sorted(types) if len(types) > 1 else []


def _published(known_as: Mapping[str, str], shown: set[Group], references: Sequence[Reference]) -> list[Row]:
    """A line for each reference that goes with a group of the table."""
    wanted = {(group.data, group.shots, group.method) for group in shown}
    return [
        Row(
            Group(data, each.shots, each.method, "", each.encoder),
            f"mean of all of {each.data}",
            "",
            "",
            0,
            0,
            0,
            {name: Cell(value) for name, value in each.metrics.items()},
            each.source + (f"; {each.remark}" if each.remark else ""),
            each.picked_on_test,
        )
        for data, name in known_as.items()
        for each in references
        if each.data == name and (data, each.shots, each.method) in wanted
    ]


def _ordered(rows: Sequence[Row], groups: Sequence[Group], categories: Mapping[str, list[str]]) -> list[Row]:
    data, shots, methods = (list(dict.fromkeys(column)) for column in list(zip(*groups, strict=True))[:3])

    def place(row: Row) -> tuple[Any, ...]:
        known, group = categories[row.group.data], row.group
        level = 0 if len(known) == 1 else known.index(row.category) if row.category in known else -1
        measured = groups.index(group) if row.seeds else len(groups)
        return data.index(group.data), shots.index(group.shots), level, row.type, methods.index(group.method), measured

    return sorted(rows, key=place)


def _group(planned: PlannedTrial) -> Group:
    trial = planned.trial
    arguments = ", ".join(f"{name}={json.dumps(value)}" for name, value in trial.arguments.items())
    return Group(planned.data, ALL if trial.shots is None else trial.shots, trial.method, arguments, planned.encoder)


def _category(planned: PlannedTrial) -> str:
    return planned.trial.category or ""


def _notes(finished: Sequence[Finished]) -> list[str]:
    """Each once: what to know of an encoder and of the data, thresholds that could not be had, unreadable pictures."""
    notes: dict[str, None] = {}
    for each in finished:
        where = " ".join(dict.fromkeys(filter(None, (each.planned.data, each.planned.trial.category))))
        if each.outcome["note"]:
            notes[each.outcome["note"]] = None
        if each.outcome.get("threshold", 0.0) is None:
            notes[f"{where}: no good part could be held out, so there is no threshold and there are no verdicts"] = None
        notes |= dict.fromkeys(f"{where}: {said}" for said in each.outcome.get("notes", ()))
        for bad in each.outcome["unreadable"]:
            notes[f"{where}: not inspected: {bad['error']}"] = None
    return list(notes)
