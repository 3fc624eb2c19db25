"""What reconstructed methods reach on labelled data sets, beside methods with code: a short look, on few pictures.

    python benchmarks/reconstructed.py --learn DIR --learn DIR --data DIR --data DIR [--methods NAME ...]
    python benchmarks/reconstructed.py ... --encoder FILE | --methods dma-sap --other FILE

Of each data set at most `--tested` pictures of each kind are measured on, the same for all methods and seeds, with 0
and with 4 good parts of the training split. What is trained on other products learns from at most `--learned` of each
kind of each of `--learn`, all splits, the same for all too; what is trained on what it inspects, from those 4 good
parts and made defects. A seed decides which good parts these are, and the training; the last weights are measured.
A row that is there is not measured again. What a tower without seams sees of a picture is computed once for all
methods, and what it is trained by is kept in `--cache`. Rows go to `reconstructed.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from inspect import signature
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from album import Album
from harness import HERE, Options, table

from blemish import catalog, data, encoders
from blemish.catalog.detectors import DETECTORS
from blemish.catalog.reconstructions import RECONSTRUCTIONS
from blemish.data.sampling import normals, shots, shuffle
from blemish.evaluation.evaluate import evaluate
from blemish.fitting import good_parts, remember
from blemish.recipes.fit import TrainingSettings, augmentation_of, fit
from blemish.recipes.train import find_examples
from blemish.types import GOOD, Encoder, Sample

RAW = HERE / "reconstructed.jsonl"
BESIDE = tuple(name for name in DETECTORS if name not in RECONSTRUCTIONS)
METHODS = (*RECONSTRUCTIONS, *BESIDE)
GOOD_PARTS, BATCH, CHOICE = (0, 4), 8, 0  # the last one draws the pictures that all are measured on
FINEST = 112  # blocks along a side, of which pixel metrics are
METRICS = ("image_auroc", "pixel_ap", "aupro")
ABOUT = (
    "By `benchmarks/reconstructed.py`: a short look, with the last weights of trainings of few steps, on few pictures "
    "of each kind, the same for all; means over seeds of the value and of the ends of its 95 % bootstrap interval over "
    f"pictures; pixel metrics are of {FINEST} blocks along a side at most. Do not compare it with the tables above, "
    "whose trainings are longer and whose pictures are all there are. The last rows are of methods with code, by the "
    "same few steps. What is trained on other products learned from `paper`, `ball-screw`, `biscuit`, `screws` and "
    "`leather`, see README.md; what is trained on the parts it inspects, from the 4 good ones. `other`: the second "
    "encoder, in the place of DINOv2."
)


def section(given: Options) -> str:
    """The section of RESULTS.md: the last measurement of each method."""
    found: dict[tuple[Any, ...], dict[tuple[str, int], Mapping[str, Any]]] = defaultdict(dict)
    for row in rows():
        key = row["method"] in BESIDE, row["method"], row["encoder"], row["other"], row["good"]
        found[key][row["data"], row["seed"]] = row
    sets = sorted({name for each in found.values() for name, _ in each})
    titles = [f"{name}: {each}" for name in sets for each in TITLES]
    lines = [[*key[1:], len({seed for _, seed in each}), *cells(each, sets)] for key, each in sorted(found.items())]
    rest = [name for name in METHODS if name not in {key[1] for key in found}]
    said = f"Not measured yet: {', '.join(map(why_not, rest))}." if rest else ""
    parts = ["## Reconstructed methods", f"{ABOUT} {circumstances()}", lines and table([*HEAD, *titles], lines), said]
    return "\n\n".join(part for part in parts if part)


HEAD = ("method", "encoder", "other", "good parts", "seeds")
TITLES = ("image AUROC", "pixel AP", "AUPRO")


def circumstances() -> str:
    """When, where, how long and on how much."""
    every = rows()
    if not every:
        return "Nothing is measured yet."
    days, machines, versions, tested, learned = (
        ", ".join(sorted({str(row[name]) for row in every}))
        for name in ("measured", "machine", "torch", "tested", "learned")
    )
    steps = ", ".join(sorted({str(row["steps"]) for row in every if row["steps"]}))
    pictures = ", ".join(sorted({f"{row['pictures']} of {row['data']}" for row in every}))
    minutes = sum(row["seconds"] for row in every) / 60
    return (
        f"{days}, {machines}, torch {versions}, {steps} steps of {BATCH} where anything is trained, at most {tested} "
        f"pictures of a kind ({pictures}), and at most {learned} of a kind of each other product; {minutes:.0f} "
        "minutes, beside other work."
    )


def cells(found: Mapping[tuple[str, int], Mapping[str, Any]], sets: Sequence[str]) -> Iterator[str]:
    for name in sets:
        same = [row for (root, _), row in found.items() if root == name]
        for metric in METRICS:
            ends = [row[metric] for row in same if row[metric]]
            value, low, high = (fmean(each[end] for each in ends) if ends else 0.0 for end in ("value", "low", "high"))
            yield f"{value:.3f} [{low:.3f}, {high:.3f}]" if ends else ""


def why_not(method: str) -> str:
    """Its name, and that no encoder here can do what it asks for, if so."""
    able = catalog.card(method).needs <= encoders.load(encoders.DEFAULT).can
    return method if able else f"{method} (it needs a tower with seams that reads words, of which no weights are here)"


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.exists() else []


def measure(method: str, encoder: Encoder, given: argparse.Namespace, seed: int) -> None:
    """Rows of one method and seed: with each number of good parts that it can do with, on each data set."""
    card = catalog.card(method)
    other, steps = Path(given.other).name if given.other else "", given.steps if card.trained else 0
    once = cache(lambda: learn_elsewhere(method, encoder, given, seed))  # for both data sets
    for good, root in product(GOOD_PARTS, given.data):
        if (good and card.normal == "none") or (not good and card.normal == "required"):
            continue
        if seed != given.seeds[0] and not good and not card.trained:  # nothing hangs on it
            continue
        asked = {"method": method, "encoder": Path(given.encoder).name, "other": other, "data": root.name, "good": good}
        asked |= {"steps": steps, "tested": given.tested, "learned": given.learned, "seed": seed}
        if any(asked.items() <= row.items() for row in rows()):
            continue
        begun, parts, samples = time.perf_counter(), shown(root, good, seed), tested(root, given.tested)
        detector = once() if card.auxiliary else make(method, encoder, root.name.replace("_", " "), given, seed)
        if parts and card.auxiliary:
            remember(detector, good_parts([each.image for each in parts], detector.geometry))
        elif parts:
            fit(detector, parts, settings(method, detector, given, seed))
        elif card.scores == "set":  # it is handed what it is measured on, without labels
            remember(detector, good_parts([each.image for each in samples], detector.geometry))
        write(asked, detector, samples, begun)


def learn_elsewhere(method: str, encoder: Encoder, given: argparse.Namespace, seed: int) -> Any:
    """The method, trained on other products."""
    detector = make(method, encoder, "object", given, seed)
    found = find_examples(method, given.learn, normal=False, split="all")
    samples = [replace(each, category=Path(root).name) for root, every in found.items() for each in every]
    return fit(detector, few(samples, given.learned), settings(method, detector, given, seed))


def write(asked: Mapping[str, Any], detector: Any, samples: Sequence[Sample], begun: float) -> None:
    """Measure, and add the row to the file."""
    learned = time.perf_counter() - begun
    found = evaluate(detector, samples, finest=FINEST).as_json()
    row = {
        **asked, "pictures": len(samples), **{name: found[name] for name in METRICS},
        "seconds_of_learning": round(learned, 1), "seconds": round(time.perf_counter() - begun, 1),
        "measured": datetime.now(tz=UTC).date().isoformat(), "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }  # fmt: skip
    with RAW.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    said = ", ".join(f"{name} {found[name]['value']:.3f}" for name in METRICS if found[name])
    print(
        f"{asked['method']} {asked['encoder']} {asked['data']} {asked['good']} {asked['seed']}: {said}, "
        f"{row['seconds_of_learning']} of {row['seconds']} s",
        flush=True,
    )


def make(method: str, encoder: Encoder, product: str, given: argparse.Namespace, seed: int) -> Any:
    """The method as it begins."""
    known = signature(catalog.method(method)).parameters
    wished = {"product": product, "seed": seed, **({"other": given.other} if given.other else {})}
    return catalog.detector(method, encoder, {name: value for name, value in wished.items() if name in known})


def settings(method: str, detector: Any, given: argparse.Namespace, seed: int) -> TrainingSettings:
    """Few steps; what learns from the parts it inspects makes its defects as it always does, few of them."""
    card = catalog.card(method)
    if not card.trained:
        return TrainingSettings(batch_size=BATCH)
    made = TrainingSettings(
        steps=given.steps, batch_size=BATCH, device="cpu", seed=seed,
        cache=given.cache if hasattr(detector, "frozen") else None,
    )  # fmt: skip
    return replace(made, pool=given.pool) if augmentation_of(card, made) else made


def shown(root: Path, good: int, seed: int) -> list[Sample]:
    return shots(normals(data.samples(root, split="train")), good, seed=seed) if good else []


def tested(root: Path, most: int) -> list[Sample]:
    """Few of each kind, all defects by one name: no kind is measured by itself."""
    found = few(data.samples(root, split="test"), most)
    return [each if each.label == GOOD else replace(each, label="defect") for each in found]


def few(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many of each kind of each product."""
    kinds: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in shuffle(samples, seed=CHOICE):
        kinds[sample.category, sample.label].append(sample)
    return [sample for kind in sorted(kinds) for sample in kinds[kind][:most]]


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS, metavar="NAME")
    made.add_argument("--data", type=Path, action="append", required=True, help="measured on; repeatable")
    made.add_argument("--learn", type=Path, action="append", default=[], help="other products; repeatable")
    made.add_argument("--encoder", default=encoders.DEFAULT, help="a name or a checkpoint (default: %(default)s)")
    made.add_argument("--other", help="the second encoder of methods that have one")
    made.add_argument("--seeds", type=int, nargs="+", default=[0], help="(default: 0)")
    made.add_argument("--steps", type=int, default=30, help="(default: 30)")
    made.add_argument("--tested", type=int, default=10, help="pictures of each kind (default: 10)")
    made.add_argument("--learned", type=int, default=20, help="of each kind of each other product (default: 20)")
    made.add_argument("--pool", type=int, default=20, help="defects that are made (default: 20)")
    made.add_argument("--cache", type=Path, help="a folder for what a frozen tower sees")
    made.add_argument("--threads", type=int, default=2)
    given = made.parse_args()
    torch.set_num_threads(given.threads)
    loaded = encoders.load(given.encoder)
    encoder = loaded if "seams" in loaded.can else Album(loaded)
    for seed, method in product(given.seeds, given.methods):
        if catalog.card(method).needs <= encoder.can and (not given.other or catalog.card(method).second):
            measure(method, encoder, given, seed)


if __name__ == "__main__":
    main()
