"""A first threshold from good parts alone, before anything is calibrated.

Parts are scored as a calibration by `cross` scores them, each by the detector as if it had been forgotten, and the
threshold stands just above the highest score. It is kept as a `Calibration`, which says what so few parts can promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from blemish.calibration.thresholds import Calibration, calibrate_thresholds
from blemish.fitting import extract_all, good_parts, remember
from blemish.images import WHOLE, Unreadable, View
from blemish.recipes import provenance
from blemish.recipes.holdout import draw_folds, parts_of, score_parts
from blemish.recipes.provenance import Groups, Memory
from blemish.recipes.reading import PLAIN, Reading
from blemish.types import Batch, Learner

FOLDS = 16
"""How often the detector forgets some of the parts, at most."""
MOST = 64
"""Pictures that a threshold is suggested from; of more, so many at even distances."""


def fit_and_suggest(
    learner: Learner, good: Sequence[Path], *, view: View = WHOLE, reading: Reading = PLAIN
) -> Calibration | None:
    """Have a detector that knows nothing yet learn good parts as `fit` does; returns the threshold that they suggest.

    None where too few of them differ, see `holdout.parts_of`.
    """
    bad: list[Unreadable] = []
    once = reading if reading.unreadable is None else reading._replace(unreadable=bad)
    drawn = good[:: -(-len(good) // MOST)]
    found = _suggest(learner, drawn, view, once)
    if found is None or len(drawn) < len(good):
        remember(learner, _batches(learner, good, view, once))
    if reading.unreadable is not None:
        reading.unreadable.extend({each.id: each for each in bad}.values())
    return found


def _suggest(learner: Learner, good: Sequence[Path], view: View, reading: Reading) -> Calibration | None:
    """The detector has learned all of them then, unless nothing can be suggested."""
    parts = parts_of(good, view=view, reading=reading)
    part_of = {path: number for number, part in enumerate(parts) for path in part}
    memory, learned = _learn(learner, [path for path in good if path in part_of], part_of, view, reading)
    known = sorted({part_of[path] for path in learned})
    if len(known) < 2:
        return None
    folds = [[known[at] for at in fold] for fold in draw_folds(len(known), min(len(known), FOLDS), seed=0)]
    if any(memory.pictures <= set(out) for out in folds):  # a coreset may know one part only
        return None
    scores, peaks = list[float](), list[float]()
    advance = reading.watch("inspecting good parts as if unknown", sum(map(len, folds)))
    for out in folds:
        provenance.set_memory(learner, provenance.remove(memory, set(out)).groups)
        paths = [path for path in learned if part_of[path] in out]
        found = score_parts(learner, paths, view=view, reading=reading, advance=advance)
        for part in out:
            shown = [each for each in found.values() if part_of[each.picture] == part]
            scores.append(max(each.score for each in shown))
            peaks.append(max(each.peak for each in shown))
    provenance.set_memory(learner, memory.groups)
    return calibrate_thresholds(scores, peaks=peaks, scheme="cross", fold=len(folds[0]))


def _learn(
    learner: Learner, paths: Sequence[Path], part_of: Mapping[Path, int], view: View, reading: Reading
) -> tuple[Memory, list[Path]]:
    """What the detector remembers, each row of a part, and the pictures that taught it."""
    lots, learned = list[Groups](), dict[Path, None]()
    for batch, rows in extract_all(learner, _batches(learner, paths, view, reading)):
        named = [Path(name) for name in batch.names]
        lots.append(provenance.track(rows, [part_of[path] for path in named]))
        learned |= dict.fromkeys(named)
    memory = Memory(provenance.consolidate(learner, lots), (0.0,)) if lots else Memory((), ())
    return memory, list(learned)


def _batches(learner: Learner, good: Sequence[Path], view: View, reading: Reading) -> Iterator[Batch]:
    return good_parts(
        good,
        learner.geometry,
        view=view,
        batch_size=reading.batch_size,
        unreadable=reading.unreadable,
        advance=reading.watch("learning from good parts", len(good)),
    )
