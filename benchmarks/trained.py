"""What methods that are trained reach on labelled data sets: the last weights, and the best ones only beside them.

    python benchmarks/trained.py --method supersimplenet --data DIR --seeds 0 1 2 --steps 200 [--encoder FILE]
    python benchmarks/trained.py --method april-gan --learn DIR --learn DIR --data DIR
    python benchmarks/trained.py --method clip-mdc --data DIR --share 1 --labelled .5 --masked .2 --cache DIR --pool 200

Of each data set and seed, `--share` of the training split's good parts are learned from and `--labelled` of each kind
of its defects, `--masked` of these with their masks; everything else but unlearned training parts is measured on, at
most `--tested` pictures of each kind. With `--unlabelled` the same pictures are measured on, and no defect is learned
from. With `--learn` these data sets are learned from instead, all their splits. Every row is printed and added to
`trained.jsonl`.

`--best-of 10` also measures ten times on the way, and says what the best of these would have been, chosen on the very
pictures that test: as some papers do, labelled as leaking, and higher than anybody has in use.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import json
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from harness import HERE, Options, table

from blemish import data, encoders
from blemish.cli.options import arguments_of
from blemish.data.sampling import normals
from blemish.evaluation.evaluate import evaluate
from blemish.progress import NOTHING, Advance, no_progress
from blemish.recipes.fit import TrainingSettings
from blemish.recipes.train import Training, find_examples
from blemish.training.loop import train
from blemish.types import Sample

RAW = HERE / "trained.jsonl"
METRICS = ("image_auroc", "pixel_ap", "aupro")
HEAD = ("method", "encoder", "arguments", "learned", "steps", "seeds", "image AUROC", "pixel AP", "AUPRO", "types")
LEAKING = ("best image AUROC, leaking", "best pixel AP, leaking", "best AUPRO, leaking")
ASIDE = ("data", "learn", "seeds", "threads", "cache", "encoder", "best_of")
ABOUT = (
    "By `benchmarks/trained.py`: the last weights of short trainings; the mean over seeds, their least and most; of "
    "one seed its 95 % bootstrap interval over pictures. "
    "`types`: share of tested defects that are named right, by methods that name them. All options: `trained.jsonl`."
    " What was trained in bf16-mixed was so on a Xeon with units for it; where `trained.jsonl` says 32-true it was in "
    "float32 on an EPYC without. Weights are in float32 in both, and seeds of both stand in one row; the line below "
    "names the machine that wrote the tables."
    " AdaCLIP has no row: its learned tokens stand in the blocks of a CLIP with transformers, such as ViT-L-14-336, "
    "whose published weights are not here. AnomalyVFM has none either: it trains the attention of a whole ViT, which "
    "takes too long on two cores."
    " The 1,000 steps of 8 of CLIP-MDC on magnetic_tile were taken after 400 and 600 of 16 had been measured on its "
    "tested half (one seed, image AUROC .976 after 600), so its numbers there are not of an untouched choice."
    " MultiADS was measured twice: .550 and .464 while it drew each type of the other products' defects equally often, "
    "a fault that was found on biscuits and metal tags; its score is the peak of a map that is near its highest in "
    "good pictures too, while APRIL-GAN's is what words say of the whole picture, which no training changes."
    " SuperSimpleNet, ours and anomalib's, had 300 steps only; CLIP-MDC is behind both after 300 and ahead of both in "
    "pixel AP after 1,000, which took it less time than 300 took them (`seconds_of_training`; loads differed). Where "
    "ours scored by its map, `score_from=map`, it was behind anomalib's, which scores by a head of its own, as the "
    "paper does and, since then, ours by default where it learns from defects. AF-CLIP's attention begins from "
    "nothing, and 300 steps are too few for its map."
    " Dinomaly learned from all good parts and PromptAD from 4, both from no defects of the tested kinds."
)
LEAKS = (
    "Columns that are called leaking hold the best value of each metric of several moments of the same training, "
    "chosen on the tested pictures themselves as some papers do: to compare with their numbers, not attainable in use."
)
LAST = 20  # steps whose mean losses are reported


class Split(NamedTuple):
    """Pictures of one data set."""

    learned: list[Sample]
    tested: list[Sample]


class Losses:
    """What is measured of each step."""

    def __init__(self, every: int = 25) -> None:
        self.every, self.told = every, list[Mapping[str, float]]()

    def watch(self, stage: str, total: int, done: int = 0, /) -> Advance:
        """Only training is watched."""
        return self.note if stage == "training" else no_progress(stage, total, done)

    def note(self, measured: Mapping[str, float] = NOTHING, /) -> None:
        """Keep it, and print some."""
        self.told.append(measured)
        if len(self.told) % self.every == 0:
            print(f"step {len(self.told)}: {self.last()}", file=sys.stderr, flush=True)

    def last(self) -> dict[str, float]:
        """The mean of each over the last steps."""
        rows = self.told[-LAST:]
        return {name: round(statistics.fmean(row[name] for row in rows if name in row), 4) for name in rows[-1]}


def section(given: Options) -> str:
    """The section of RESULTS.md: all that was measured so far, the seeds of one training side by side."""
    rows = [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.is_file() else []
    same: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        # Options that came later are off, and weights are in float32 in every precision.
        said = {name: value for name, value in row["arguments"].items() if value and name != "precision"}
        same[json.dumps([row["data"], row["method"], row["encoder"], said, row["learned"]])].append(row)
    leaks = any(row.get("leaking") for row in rows)
    parts = [f"## Trained methods\n\n{ABOUT}", *([LEAKS] if leaks else [])]
    for root in sorted({row["data"] for row in rows}):
        here = [each for each in same.values() if each[0]["data"] == root]
        leaks = any(row.get("leaking") for each in here for row in each)
        found = [_cells(each) + (_leaking_cells(each) if leaks else []) for each in here]
        parts += [f"### {root}", table(HEAD + LEAKING if leaks else HEAD, sorted(found))]
    return "\n\n".join(parts)


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    first = rows[0]
    given = first["learned"]
    sets = "" if given["sets"] == [first["data"]] else f" of {', '.join(given['sets'])}"
    learned = f"{given['good']} good, {given['defects']} defects, {given['masks']} masks{sets}"
    changed = ", ".join(first["arguments"]["arguments"])
    steps = f"{first['steps']} of {first['batch_size']}"
    values = [_over_seeds([row[metric] for row in rows if row[metric]]) for metric in METRICS]
    named = _spread([row["naming"]["accuracy"] for row in rows if row["naming"]])
    return [first["method"], first["encoder"], changed, learned, steps, str(len(rows)), *values, named]


def _leaking_cells(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    best = [row["leaking"] for row in rows if row.get("leaking")]
    return [_spread([each[metric] for each in best if each[metric] is not None]) for metric in METRICS]


def _over_seeds(found: Sequence[Mapping[str, float]]) -> str:
    """Of one seed its bootstrap interval."""
    return _interval(found[0]) if len(found) == 1 else _spread([each["value"] for each in found])


def _spread(found: Sequence[float]) -> str:
    if len(found) < 2:
        return f"{found[0]:.3f}" if found else ""
    return f"{np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})"


def main() -> None:
    given = _parser().parse_args()
    torch.set_num_threads(given.threads)
    every = [row for seed in given.seeds for row in (_elsewhere if given.learn else _at_home)(seed, given)]
    for root in given.data:
        rows = [row for row in every if row["data"] == root.name]
        for metric in METRICS:
            found = [row[metric]["value"] for row in rows if row[metric]]
            print(f"{given.method} {root.name} {metric}: {_spread(found)} over {len(found)} seeds", flush=True)


def _at_home(seed: int, given: argparse.Namespace) -> list[dict[str, Any]]:
    """A training and a measurement of each data set, or one training for all of them."""
    splits = {root: divide(root, seed, given) for root in given.data}
    if given.jointly:
        sets = _named({str(root): split.learned for root, split in splits.items()})
        together = _train(sets, seed, given, splits)
        return [measure(together, root, splits[root].tested, seed, given) for root in splits]
    trained = {root: _train({str(root): split.learned}, seed, given, {root: split}) for root, split in splits.items()}
    return [measure(trained[root], root, splits[root].tested, seed, given) for root in splits]


def _elsewhere(seed: int, given: argparse.Namespace) -> list[dict[str, Any]]:
    """One training on other data sets, whose names are their products, and a measurement of each data set."""
    splits = {root: divide(root, seed, given) for root in given.data}
    trained = _train(_named(find_examples(given.method, given.learn, normal=False, split="all")), seed, given, splits)
    return [measure(trained, root, split.tested, seed, given) for root, split in splits.items()]


def _named(sets: Mapping[str, Sequence[Sample]]) -> dict[str, list[Sample]]:
    return {root: [replace(each, category=Path(root).name) for each in found] for root, found in sets.items()}


class Trained(NamedTuple):
    """A training that has run."""

    training: Training
    seconds: float
    losses: dict[str, float]  # the last ones
    leaking: Mapping[Path, Mapping[str, float | None]]  # the best of each data set on the way, see `Best`


class Best:
    """The best value of each metric on the way, of each data set, chosen on what is tested: it leaks."""

    def __init__(self, splits: Mapping[Path, Split], moments: int) -> None:
        self.splits, self.moments = splits if moments else {}, moments
        self.found: dict[Path, dict[str, float | None]] = {}
        self.seconds = 0.0

    def look(self, training: Training, step: int, weights: Mapping[str, torch.Tensor]) -> None:
        """Measure, if it is time to, a copy with these weights."""
        every = max(1, training.schedule.steps // max(1, self.moments))
        if step and step % every == 0:
            encoder = training.detector.encoder
            copied = copy.deepcopy(training.detector, {id(encoder): encoder})
            copied.load_state_dict(weights, strict=False)
            self.measure(copied.eval())

    def measure(self, detector: Any) -> None:
        """Take what is better."""
        begun = time.perf_counter()
        for root, split in self.splits.items():
            report = evaluate(detector, split.tested).as_json()
            values = {name: report[name] and report[name]["value"] for name in METRICS}
            before = self.found.setdefault(root, values)
            self.found[root] = {
                name: max(filter(None, (before[name], value)), default=None) for name, value in values.items()
            }
        self.seconds += time.perf_counter() - begun


def _train(
    sets: Mapping[str, Sequence[Sample]], seed: int, given: argparse.Namespace, splits: Mapping[Path, Split]
) -> Trained:
    names = [Path(name).name.replace("_", " ") for name in sets]
    settings = TrainingSettings(
        product=names[0] if len(names) == 1 else "object",
        arguments=arguments_of(given.arguments),
        defects=not given.unlabelled,
        augmentation=given.augment,
        steps=given.steps,
        rate=given.rate,
        batch_size=given.batch_size,
        precision=given.precision,
        cache=given.cache,
        pool=given.pool,
        device="cpu",
        seed=seed,
    )
    losses = Losses()
    training = Training(given.method, encoders.load(given.encoder), sets, settings, watch=losses.watch)
    if given.anomalib:
        training.detector = _peer(training.detector)
    best, begun = Best(splits, given.best_of), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train(
            training.detector, training.examples, training.schedule, Path(folder), watch=losses.watch,
            before=partial(best.look, training),
        )  # fmt: skip
    seconds = time.perf_counter() - begun - best.seconds
    best.measure(training.detector)
    return Trained(training, seconds, losses.last(), best.found)


def measure(
    trained: Trained, root: Path, tested: Sequence[Sample], seed: int, given: argparse.Namespace
) -> dict[str, Any]:
    """What it reaches on a data set."""
    training, seconds, losses, leaking = trained
    found = evaluate(training.detector, tested, seed=seed).as_json()
    examples, names = training.examples, [Path(name).name for name in training.sets]
    masks = sum(bool(each.masks) for each in examples.bad)
    row = {
        "method": f"anomalib's {given.method}" if given.anomalib else given.method,
        "encoder": Path(given.encoder).name,
        "data": root.name,
        "seed": seed,
        "arguments": {name: value for name, value in vars(given).items() if name not in ASIDE},
        "learned": {"good": len(examples.good), "defects": len(examples.bad), "masks": masks, "sets": names},
        "steps": training.schedule.steps,
        "batch_size": training.schedule.batch_size,
        "rate": training.schedule.rate,
        "seconds_of_training": round(seconds, 1),
        "losses": losses,
        "measured": str(datetime.datetime.now(tz=datetime.UTC).date()),
        **{name: found[name] for name in (*METRICS, "pixel_auroc", "n_normal", "n_anomalous", "seconds_per_image")},
        "types": {name: each["image_auroc"]["value"] for name, each in found["types"].items()},
        "naming": _values(found.get("naming")),
        **({"leaking": {"best_of": given.best_of, **leaking[root]}} if root in leaking else {}),
    }
    with RAW.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, default=str) + "\n")
    cells = [f"{name} {_interval(row[name])}" for name in METRICS]
    cells += [f"{name} {leaking[root][name]} LEAKING, best on test" for name in METRICS if root in leaking]
    print(f"{given.method} {root.name} seed {seed}, {training.schedule.steps} steps: {', '.join(cells)}", flush=True)
    return row


def _values(naming: Mapping[str, Any] | None) -> dict[str, float] | None:
    return naming and {name: each["value"] for name, each in naming.items() if isinstance(each, dict)}


def _peer(own: Any) -> Any:
    sys.path.append(str(HERE / "workers"))
    from workers.supersimplenet_peer import Peer

    return Peer(own)


def divide(root: Path, seed: int, given: argparse.Namespace) -> Split:
    """What is learned from, some of it without its masks, and what is measured on; no picture is both."""
    good = shuffle(normals(data.samples(root, split="train")), seed)
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for sample in data.samples(root, split="test"):
        kinds[sample.label].append(sample)
    learned, tested = good[: max(1, round(given.share * len(good)))], []
    for label, samples in kinds.items():
        count = round(given.labelled * len(samples)) if samples[0].is_anomalous else 0
        order = shuffle(samples, seed)
        masked = max(1, round(given.masked * count)) if given.masked else 0
        learned += [*order[:masked], *(replace(each, masks=()) for each in order[masked:count])] if count else []
        tested += order[count:][: given.tested] if label else []
    return Split(learned, tested)


def shuffle(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """In an order of that seed."""
    order = sorted(samples, key=lambda sample: sample.image)
    random.Random(seed).shuffle(order)
    return order


def _interval(estimate: Mapping[str, float] | None) -> str:
    return "{value:.3f} [{low:.3f}, {high:.3f}]".format_map(estimate) if estimate else "none"


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--method", required=True)
    made.add_argument("--data", type=Path, action="append", required=True, help="measured on; repeatable")
    made.add_argument("--learn", type=Path, action="append", default=[], help="other products; repeatable")
    made.add_argument("--anomalib", action="store_true", help="its supersimplenet, by the Python that has it")
    made.add_argument("--jointly", action="store_true", help="one training for all data sets")
    made.add_argument("--encoder", default=encoders.DEFAULT, help="a name or a checkpoint (default: %(default)s)")
    made.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the split and of training (default: 0)")
    made.add_argument("--share", type=float, default=0.5, help="of the training split's good parts (default: 0.5)")
    made.add_argument("--labelled", type=float, default=0.0, help="of each kind of defect, learned (default: 0)")
    made.add_argument("--masked", type=float, default=1.0, help="of these, learned with masks (default: 1)")
    made.add_argument("--unlabelled", action="store_true", help="learn from none of them, yet do not measure on them")
    made.add_argument("--cache", type=Path, help="a folder for what a frozen tower sees")
    made.add_argument("--pool", type=int, help="how many defects are made (default: new ones at every step)")
    made.add_argument("--precision", help="of training, as Fabric names it (default: as `blemish train`)")
    made.add_argument("--tested", type=int, help="pictures of each kind that are measured on (default: all)")
    made.add_argument("--steps", type=int, help="updates (default: the paper's)")
    made.add_argument("--rate", type=float, help="learning rate (default: the paper's)")
    made.add_argument("--batch-size", type=int, help="pictures of an update (default: the paper's)")
    made.add_argument("--augment", help="make defects on good parts, see `blemish train`")
    made.add_argument("--set", dest="arguments", nargs="+", default=[], metavar="NAME=VALUE", help="of the method")
    made.add_argument("--best-of", type=int, default=0, help="moments measured on the way; leaks, see above")
    made.add_argument("--threads", type=int, default=2, help="(default: 2)")
    return made


if __name__ == "__main__":
    main()
