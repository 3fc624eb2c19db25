"""What `blemish tune` chooses by good parts alone, on real defects that it has not seen.

    python benchmarks/tune.py --data DIR [--data DIR ...] [--shots 4 64] [--methods tab patchcore ...] [--small]

Against the fixed default with the same good parts, and against the best candidate of its own grid in hindsight, which
only the defects tell. What was measured is kept in `tune.jsonl`: remove it when the code or the model has changed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from harness import HERE, Options, options, parser, table

from blemish import encoders
from blemish.data.sampling import shuffle
from blemish.evaluation.evaluate import Trial, balance_trial, evaluate, fit_trial, test_samples, training_samples
from blemish.progress import no_progress
from blemish.runs.views import part_size
from blemish.tuning.candidates import Candidate, default_candidate
from blemish.tuning.search import Tuning, tune
from blemish.types import Encoder, Sample

RAW = HERE / "tune.jsonl"
SEEDS, BUDGET = (0, 1, 2), 600.0
MOST = 60
"""Good and defective pictures each that candidates are measured on."""


def section(given: Options) -> str:
    """The section of RESULTS.md: all that was ever measured; it can be interrupted."""
    for root in given.data:
        for shots in given.shots:
            for seed in SEEDS[: 1 if given.small else None]:
                _measure(root, shots, seed, given)
    head = (
        "data",
        "methods",
        "good parts",
        "seeds",
        "default",
        "chosen",
        "best in hindsight",
        "gain",
        "what was chosen",
    )
    return "\n\n".join(
        (
            "## Tuning\n\n`blemish tune` on good parts alone, then real defects: image AUROC (pixel AUROC), means over "
            "seeds. In hindsight: of what it had time to measure. Small: a budget of five minutes instead of ten, on "
            "two cores beside other work, and 15 pictures of each kind. Drawn flaws on so few held-out parts tell "
            "AUROC to about .15 to .27 (`said` in `tune.jsonl`), which is more than the best candidates differ by: "
            "give more good parts and more time.",
            table(head, map(_cells, _groups())),
        )
    )


def _measure(root: Path, shots: int, seed: int, given: Options) -> None:
    key = {"data": root.name, "shots": shots, "seed": seed, "methods": list(given.methods), "small": given.small}
    if any(key.items() <= row.items() for row in _measured()):
        return
    print(f"{root.name}, {shots} good parts, seed {seed}", file=sys.stderr, flush=True)
    plain = Trial(root, None, None, "tab", "", shots=shots, seed=seed)
    good, encoder = training_samples(plain), encoders.load(encoders.DEFAULT)
    asked = Tuning(budget=BUDGET / (2 if given.small else 1), methods=given.methods, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        found = tune([each.image for each in good], folder, asked=asked)
    test = tested(plain, good, MOST // (4 if given.small else 1))
    tried = [row.candidate for row in found.rows if row.judged]
    real = {str(each): measure(each, encoder, plain, good, test) for each in tried}
    default = default_candidate({encoders.DEFAULT: encoder}, part_size([each.image for each in good]))
    usual = real.get(str(default)) or measure(default, encoder, plain, good, test)
    drawn = {
        str(row.candidate): [row.judged.image.value, row.judged.pixel, row.round] for row in found.rows if row.judged
    }
    line = key | {"chosen": str(tried[0]), "default": usual, "real": real, "drawn": drawn, "said": found.said}
    with RAW.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def tested(trial: Trial, good: Sequence[Sample], most: int) -> list[Sample]:
    """As many good and defective pictures of all that taught nothing."""
    taught = {each.image for each in good}
    others = [each for each in training_samples(replace(trial, shots=None)) if each.image not in taught]
    every = shuffle([*test_samples(trial), *others], seed=0)
    return [
        *[each for each in every if not each.is_anomalous][:most],
        *[each for each in every if each.is_anomalous][:most],
    ]


def measure(
    candidate: Candidate, encoder: Encoder, plain: Trial, good: Sequence[Sample], test: Sequence[Sample]
) -> list[float | None]:
    """Image and pixel AUROC."""
    trial = Trial(
        plain.root, None, None, candidate.method, encoder, product="object", arguments=candidate.arguments,
        view=candidate.view,
    )  # fmt: skip
    trial = balance_trial(trial, good, watch=no_progress)
    detector = fit_trial(trial, good, test, watch=no_progress, unreadable=[])
    whole = evaluate(detector, test, view=trial.view, finest=256).whole
    return [each and each.value for each in (whole.image_auroc, whole.pixel_auroc)]


def _measured() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.exists() else []


def _groups() -> list[list[dict[str, Any]]]:
    """Rows that differ in their seed alone."""
    groups = defaultdict[str, list[dict[str, Any]]](list)
    for row in _measured():
        groups[json.dumps([row[name] for name in ("data", "shots", "small", "methods")])].append(row)
    return [*groups.values()]


def _cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    first, best = rows[0], [max(row["real"].values(), key=lambda each: each[0]) for row in rows]
    columns = [[row["default"] for row in rows], [row["real"][row["chosen"]] for row in rows], best]
    told = [f"{fmean(each[0] for each in found):.3f}{_pixel(found)}" for found in columns]
    gain = fmean(found[0] - usual[0] for found, usual in zip(columns[1], columns[0], strict=True))
    names = "; ".join(dict.fromkeys(row["chosen"] for row in rows))
    what = ", ".join(first["methods"]) or "all"
    return [
        first["data"],
        what + " (small)" * first["small"],
        str(first["shots"]),
        str(len(rows)),
        *told,
        f"{gain:+.3f}",
        names,
    ]


def _pixel(found: Sequence[Sequence[float | None]]) -> str:
    known = [each[1] for each in found if each[1] is not None]
    return f" ({fmean(known):.3f})" if known else ""


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
