"""What each ingredient of the default brought, on products that chose none of it: one row each, paired.

    python benchmarks/ingredients.py --data DIR [--data DIR ...] [--shots 4 16] [--rounds 3]

The default, and the default without one ingredient or with one more, learn the same good parts and are measured on the
same pictures; `--rounds` are draws of good parts. What needed training was measured by `students.py`, each pair by the
same steps, and what `tune` chose by `tune.py`; their rows are compared here too. Rows go to `ingredients.jsonl`, and
those that it holds are not measured again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import students
import torch
import tune
from album import Album
from defect_types import interval
from harness import HERE, Options, options, parser, table

from blemish import encoders
from blemish.evaluation.evaluate import Trial, training_samples
from blemish.images import WHOLE, View
from blemish.runs.views import part_size, tile_sides
from blemish.tuning.candidates import Candidate, default_candidate

RAW = HERE / "ingredients.jsonl"
DEFAULT, TESTED = "default", 30
CHANGED = {"metric": "cosine", "trust": 0.0, "breadth": 0.0, "whole": 0.0}
LESS = {
    "shape kept": "squeezed to a square",
    "distances in units of good parts' own": "metric=cosine",
    "trust in words": "trust=0.0",
    "breadth of a flaw": "breadth=0.0",
    "the part as a whole": "whole=0.0",
}
"""An ingredient, and the default without it."""
MORE = {"whole and tiles": "whole and tiles"}
TRAINED = {"real flaws": ("on-real", "on-drawn"), "tokens": ("tokens", "residual")}
"""An ingredient, the model with it and the one without it, by the same steps."""


def section(given: Options) -> str:
    """The section of RESULTS.md: all that was ever measured; it can be interrupted."""
    torch.set_num_threads(given.threads)
    for root in given.data:
        for shots in given.shots:
            for seed in range(given.rounds):
                _measure(root, shots, seed)
    head = ("ingredient", "with", "without", "good parts", "image AUROC, with", "without", "gain", "products")
    return "\n\n".join([
        "## What each ingredient brought",
        f"Image AUROC, at most {TESTED} good and {TESTED} flawed pictures of products that chose none of it (but "
        "`breadth`, `metric` and `whole`, by other draws): means over products, of each over its draws of good parts, "
        "and half of the 95 % interval of the gain over the products (Student's t). Shape matters to long parts alone, "
        "of which there is one product. Real flaws and tokens: models that were trained by the same 120 steps. `tune`: "
        "five minutes, 15 pictures of each kind, beside other work.",
        table(head, list(_lines())),
    ])  # fmt: skip


def _measure(root: Path, shots: int, seed: int) -> None:
    key = {"data": root.name, "shots": shots, "seed": seed}
    if any(key.items() <= row.items() for row in _rows(RAW)):
        return
    plain = Trial(root, None, None, "tab", "", shots=shots, seed=seed)
    good, encoder = training_samples(plain), Album(encoders.load(encoders.DEFAULT))
    test, found = tune.tested(plain, good, TESTED), dict[str, float]()
    for way, candidate in _ways(part_size([each.image for each in good])).items():
        found[way] = tune.measure(candidate, encoder, plain, good, test)[0] or 0.0
    with RAW.open("a", encoding="utf-8") as file:
        file.write(json.dumps(key | {"found": found}) + "\n")


def _ways(size: tuple[int, int]) -> dict[str, Candidate]:
    """The default for parts of that size, and what differs from it by one ingredient."""
    usual = default_candidate({encoders.DEFAULT: encoders.load(encoders.DEFAULT)}, size)
    found = {DEFAULT: usual}
    if usual.view.aspect:
        found["squeezed to a square"] = usual._replace(view=WHOLE)
    for name, value in CHANGED.items():
        found[f"{name}={value}"] = usual._replace(arguments={**usual.arguments, name: value})
    if sides := tile_sides(size):
        found["whole and tiles"] = usual._replace(view=View(tile=sides[0], overlap=sides[0] // 4, balance=1.0))
    return found


def _lines() -> Iterator[list[str]]:
    own = _rows(RAW)
    for shots in sorted({row["shots"] for row in own}):
        rows = [(row["data"], row["found"]) for row in own if row["shots"] == shots]
        for name, way in LESS.items():
            yield _line(name, DEFAULT, way, str(shots), rows)
        for name, way in MORE.items():
            yield _line(name, way, DEFAULT, str(shots), rows)
    tuned = _rows(tune.RAW)
    for shots in sorted({row["shots"] for row in tuned}):
        rows = [
            (row["data"], {"tune": row["real"][row["chosen"]][0], DEFAULT: row["default"][0]})
            for row in tuned if row["shots"] == shots
        ]  # fmt: skip
        yield _line("tune", "tune", DEFAULT, str(shots), rows)
    for column in ("words alone", *(f"{shots} good" for shots in students.SHOTS)):
        models = defaultdict[tuple[str, int], dict[str, float]](dict)
        for row in _rows(students.RAW):
            if column in row:
                models[row["data"], row["draw"]][row["model"]] = row[column]
        for name, (more, less) in TRAINED.items():
            yield _line(
                name, more, less, column.removesuffix(" good"), [(data, row) for (data, _), row in models.items()]
            )


def _line(name: str, more: str, less: str, shots: str, rows: Sequence[tuple[str, Mapping[str, float]]]) -> list[str]:
    """Of products that have both."""
    each = defaultdict[str, list[tuple[float, float]]](list)
    for data, found in rows:
        if more in found and less in found:
            each[data].append((found[more], found[less]))
    if not each:
        return [name, more, less, shots, "", "", "", "0"]
    pairs = [tuple(map(fmean, zip(*found, strict=True))) for found in each.values()]
    gain, half = interval([up - down for up, down in pairs])
    said = f"{gain:+.3f} ± {half:.3f}" if len(pairs) > 1 else f"{gain:+.3f}"
    return [
        name,
        more,
        less,
        shots,
        *(f"{fmean(ends):.3f}" for ends in zip(*pairs, strict=True)),
        said,
        str(len(pairs)),
    ]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
