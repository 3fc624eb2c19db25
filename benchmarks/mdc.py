"""CLIP-MDC with labels of several kinds on one data set: good parts and made defects, then labels, then masks.

    python benchmarks/mdc.py --data DIR --seeds 0 1 2 --steps 300 [--regimes "good" "weak" "5 %"]

Of each kind of defect half is learned from, the other half and all good pictures of the test split are measured on. In
every regime half of a batch is good, and defects are drawn by type. What the frozen encoder sees of a picture is
computed once and kept (`--memory`); so defects are not made anew at each step, as `blemish train` does, but `--made`
of them come again. Every row is printed and added to `mdc.jsonl`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from harness import HERE, Options, table
from torch import Tensor
from trained import Losses, shuffle

from blemish import catalog, data, encoders
from blemish.blocks.maps import smooth, upsample
from blemish.calibration.thresholds import Calibration, calibrate_thresholds
from blemish.cli.options import arguments_of
from blemish.data.sampling import normals
from blemish.detectors.clip_mdc import CLIPMDC
from blemish.evaluation.evaluate import evaluate
from blemish.examples import BatchSettings, LabelledBatches
from blemish.inspection import Inspected, inspect
from blemish.runs.decision import decision
from blemish.training.loop import train
from blemish.types import GOOD, Encoder, Features, Sample

RAW = HERE / "mdc.jsonl"
REGIMES: dict[str, float | None] = {"good": None, "weak": 0.0, "5 %": 0.05, "20 %": 0.2, "50 %": 0.5, "all": 1.0}
"""What share of the labelled defects has a mask; None: no label is used at all."""
AUGMENT = catalog.card("clip-mdc").augmentation
SAME = ("data", "encoder", "arguments", "steps", "batch_size", "regime")
ABOUT = (
    "By `benchmarks/mdc.py`: half of each kind of defect is learned from, the other half measured on. `good`: no label "
    "is used; `weak`: labels without masks; then the share of the labelled defects that has a mask. "
    "150 good parts are learned from and as many measured on; short trainings, far from the method's 3,000 steps of 32."
)
METRICS = ("image_auroc", "pixel_ap", "aupro")
NAMES = ("accuracy", "balanced_accuracy", "macro_f1")


class Memory(torch.nn.Module):
    """An encoder that computes what it sees of a picture once; kept in half precision, in memory and in a folder."""

    def __init__(self, encoder: Encoder, folder: Path | None) -> None:
        super().__init__()
        self.inner, self.folder, self.kept = encoder, folder, dict[str, list[Tensor]]()
        for name in ("name", "sha256", "can", "image_size", "patch_size", "depth", "width", "widths"):
            setattr(self, name, getattr(encoder, name))
        for name in ("project", "encode_text"):
            if hasattr(encoder, name):
                setattr(self, name, getattr(encoder, name))

    def forward(self, images: Tensor, *, layers: Sequence[int] = ()) -> Features:
        """As the encoder, rounded to half precision."""
        keys = [self._key(image, layers) for image in images]
        if new := [at for at, key in enumerate(keys) if not self._recall(key)]:
            seen = self.inner(images[new], layers=layers)
            for at, *each in zip(new, seen.image, *seen.patches, strict=True):
                self._keep(keys[at], [tensor.half().clone() for tensor in each])
        image, *patches = (torch.stack(each).float() for each in zip(*map(self.kept.get, keys), strict=True))
        return Features(image, tuple(patches))

    def _key(self, image: Tensor, layers: Sequence[int]) -> str:
        pixels = (image * 255).round().byte().contiguous().numpy().tobytes()
        return sha256(pixels + repr((tuple(image.shape), *layers, self.name)).encode()).hexdigest()

    def _recall(self, key: str) -> bool:
        if key not in self.kept and self.folder and (self.folder / key).is_file():
            self.kept[key] = torch.load(self.folder / key, weights_only=True)
        return key in self.kept

    def _keep(self, key: str, seen: list[Tensor]) -> None:
        self.kept[key] = seen
        if self.folder:
            torch.save(seen, self.folder / key)


def section(given: Options) -> str:
    """The section of RESULTS.md: all that was measured so far, the seeds of one training side by side."""
    every = [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.is_file() else []
    rows = [row for row in every if "regime" in row]
    timed = [line for row in every if "speed" in row for line in _times(row)]
    same: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        same[json.dumps([row[name] for name in ("data", "encoder", "arguments", "steps", "batch_size", "regime")])] += [
            row
        ]
    head = ("data", "encoder", "arguments", "learned from", "steps", "seeds", "image AUROC", "pixel AP", "AUPRO")
    lines = [_cells(each) for each in same.values()]
    one = table(
        ("one picture of 256 px", "encoder", "ms, median (least)", "of the backbone", "with", "measured"), timed
    )
    many = table((*head, "type accuracy", "balanced", "macro F1", "measured"), lines)
    return "\n\n".join(["## CLIP-MDC", ABOUT, many, *([one] if timed else [])])


def _times(row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    bare, last = row["speed"]["bare backbone"][0], (f"{row['threads']} threads", row["measured"])
    return [
        (name, row["encoder"], f"{median:.1f} ({least:.1f})", f"{median / bare:.2f}x", *last)
        for name, (median, least) in row["speed"].items()
    ]


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    first = rows[0]
    metrics = [_spread([row[name] for row in rows]) for name in METRICS]
    names = [_spread([row["names"][name] for row in rows if row["names"]]) for name in NAMES]
    steps = f"{first['steps']} of {first['batch_size']}"
    about = [first["data"], first["encoder"], ", ".join(first["arguments"]), first["regime"], steps, str(len(rows))]
    return [*about, *metrics, *names, first["measured"]]


def _spread(found: Sequence[float]) -> str:
    return f"{np.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})" if found else "none"


def divide(root: Path, seed: int, regime: str, good: int | None) -> tuple[list[Sample], list[Sample]]:
    """What is learned from, with the masks of the regime, and what is measured on."""
    learned = shuffle(normals(data.samples(root, split="train")), seed)[:good]
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for sample in data.samples(root, split="test"):
        kinds[sample.label].append(sample)
    tested, share = shuffle(kinds.pop(GOOD), seed)[:good], REGIMES[regime]
    for samples in kinds.values():
        order = shuffle(samples, seed)
        half, tested = order[: len(order) // 2], [*tested, *order[len(order) // 2 :]]
        if share is not None:
            masked = max(1, round(share * len(half))) if share else 0
            learned += [*half[:masked], *(replace(each, masks=()) for each in half[masked:])]
    return learned, tested


def measure(encoder: Memory, root: Path, regime: str, seed: int, given: argparse.Namespace) -> None:
    """One training and one measurement."""
    learned, tested = divide(root, seed, regime, given.good)
    kinds = sorted({each.label for each in tested} - {GOOD})
    wanted = {"product": root.name.replace("_", " "), "supervised": REGIMES[regime] is not None}
    detector = CLIPMDC(encoder, defects=kinds, **wanted, **arguments_of(given.arguments), seed=seed)
    settings = BatchSettings(given.batch_size, given.augment, even=True, seed=seed, pool=given.made)
    examples = LabelledBatches(learned, detector.geometry, settings)
    schedule = replace(
        detector.schedule, steps=given.steps, batch_size=given.batch_size, seed=seed, device="cpu", save_every=1 << 20
    )
    schedule = replace(schedule, rate=given.rate or schedule.rate)
    begun, losses = time.perf_counter(), Losses(50)
    with tempfile.TemporaryDirectory() as folder:
        train(detector, examples, schedule, Path(folder), watch=losses.watch)
    seconds = time.perf_counter() - begun
    found = evaluate(detector, tested, seed=seed).as_json()
    row = {
        "data": root.name,
        "encoder": encoder.name,
        "arguments": [*given.arguments, *([f"augment={given.augment}"] if given.augment != AUGMENT else [])],
        "regime": regime,
        "seed": seed,
        "steps": schedule.steps,
        "batch_size": schedule.batch_size,
        "rate": schedule.rate,
        "good": [len(examples.good), sum(not each.is_anomalous for each in tested)],
        "seconds_of_training": round(seconds, 1),
        "losses": losses.last(),
        **{name: found[name]["value"] for name in METRICS},
        "types": {name: round(each["image_auroc"]["value"], 4) for name, each in found["types"].items()},
        "names": found["naming"],
        "measured": str(datetime.datetime.now(tz=datetime.UTC).date()),
    }
    _write(row, given.raw)


def speed(encoder: Encoder, root: Path, given: argparse.Namespace) -> None:
    """Milliseconds of one picture: the bare backbone, map and score, these and the types, and from file to verdict."""
    detector = CLIPMDC(encoder, defects=["crack", "hole", "stain"], product="part")
    detector.updates.add()
    path = data.samples(root, split="test")[0].image
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    decide = decision(_anything(), detector)
    calls: dict[str, Callable[[], object]] = {
        "bare backbone": lambda: encoder(image, layers=detector.taps),
        "one head": lambda: _only_detect(detector, image),
        "both heads": lambda: detector(image),
        "file to verdict with types": lambda: [decide(cast(Inspected, each)) for each in inspect(detector, [path])],
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        for _ in range(given.rounds):
            for name, call in calls.items():  # in turn, so that whatever else the machine does falls on all alike
                begun = time.perf_counter()
                call()
                taken[name].append(1000 * (time.perf_counter() - begun))
    medians = {name: [round(statistics.median(each), 2), round(min(each), 2)] for name, each in taken.items()}
    row = {"speed": medians, "encoder": encoder.name, "threads": given.threads, "rounds": given.rounds}
    _write(row | {"measured": str(datetime.datetime.now(tz=datetime.UTC).date())}, given.raw)


def _anything() -> Calibration:
    return calibrate_thresholds([0.0, 0.1, 0.2], scheme="split", peaks=[0.4, 0.45, 0.5])


def _only_detect(detector: CLIPMDC, image: Tensor) -> Tensor:
    raw = detector._join(detector.frozen(image))
    grid = detector.map_head(detector.adapter(raw))
    detector.score_head(raw, grid)
    return smooth(upsample(grid.squeeze(1).sigmoid(), image.shape[-2:]), detector.sigma)


def _write(row: Mapping[str, Any], raw: Path) -> None:
    with raw.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def main() -> None:
    given = _parser().parse_args()
    torch.set_num_threads(given.threads)
    plain = encoders.load(given.encoder)
    if given.speed:
        return speed(plain, given.data[0], given)
    for root in given.data:
        for seed in given.seeds:
            for regime in given.regimes:
                measure(Memory(plain, given.memory), root, regime, seed, given)


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, action="append", required=True, help="a labelled data set; repeatable")
    made.add_argument("--encoder", default=encoders.DEFAULT, help="a name or a checkpoint (default: %(default)s)")
    made.add_argument("--regimes", nargs="+", choices=REGIMES, default=[*REGIMES], help="(default: all)")
    made.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the halves and of training (default: 0)")
    made.add_argument("--steps", type=int, default=300, help="updates (default: 300)")
    made.add_argument("--batch-size", type=int, default=16, help="pictures of an update (default: 16)")
    made.add_argument("--rate", type=float, help="learning rate (default: the method's)")
    made.add_argument("--augment", default=AUGMENT, help="generators of defects (default: the method's)")
    made.add_argument("--set", dest="arguments", nargs="+", default=[], metavar="NAME=VALUE", help="of the method")
    made.add_argument("--good", type=int, help="good parts learned, and as many measured on (default: all)")
    made.add_argument("--made", type=int, default=200, help="different defects that are made (default: 200)")
    made.add_argument("--speed", action="store_true", help="time one picture instead")
    made.add_argument("--rounds", type=int, default=30, help="of --speed (default: 30)")
    made.add_argument("--memory", type=Path, help="a folder for what the encoder saw")
    made.add_argument("--raw", type=Path, default=RAW, help="where rows are added (default: mdc.jsonl)")
    made.add_argument("--threads", type=int, default=2, help="(default: 2)")
    return made


if __name__ == "__main__":
    main()
