"""Train the model that ships with the package: photographs and drawn parts, two teachers, one run that can be resumed.

    python benchmarks/embedded.py --work DIR --photos DIR --teachers DIR [--minutes M] [--steps N] [--out FILE]
    python benchmarks/embedded.py --work DIR --photos DIR --start embedded --parts dense whole words \\
        --auxiliary DIR DIR --out FILE
    python benchmarks/embedded.py --work DIR --average FILE FILE --out FILE

--photos: folders of free photographs; where they come from is in benchmarks/photographs.md.
--teachers: the folder with teachers.py and the two networks that may teach, ResNet-101 v2 and MobileNetV2; without it
only words teach.
--auxiliary: data sets of real flaws with masks, as `blemish evaluate` reads them, called as in `REAL`: a share of the
twins.
--average: nothing is trained; --out is the mean of the weights of two models, of a run's start and its end.
Each part is made once and kept in --work; run it again to go on.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from pathlib import Path

import tokens
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from blemish.cli.console import show_progress
from blemish.cli.train import Stop
from blemish.data import every_sample
from blemish.data.sampling import normals
from blemish.encoders import load
from blemish.encoders.embedded.network import EmbeddedConfig
from blemish.files import sha256_of
from blemish.images import read
from blemish.images.fingerprint import fingerprint, same_parts
from blemish.pretrain import pipeline
from blemish.pretrain.course import Weights
from blemish.pretrain.loop import SCHEDULE, Mixture, initialise, write
from blemish.pretrain.sources import flawed_photographs, photographs, real_flaws, specimens
from blemish.pretrain.store import Entry, Store
from blemish.pretrain.teachers import Teacher, TeacherMap, store_features
from blemish.progress import ShowProgress
from blemish.types import Sample

SIDE = 160
SEED = 2026
LESSONS = (
    TeacherMap("resnet-8", 0, 2, 8, 64),
    TeacherMap("resnet-16", 1, 3, 16, 128),
    TeacherMap("mobilenet-32", 2, 4, 32, 128),
    TeacherMap("resnet-8", 0, 5, 8, 64),
    TeacherMap("resnet-16", 1, 5, 16, 128),
)
CROPS = {"ambientcg-previews": 2, "clothing-dataset": 1, "grocery-store": 1, "bccd-blood-cells": 1}
"""Crops of each photograph; four where nothing is said."""
PRODUCTS = {
    "clothing-dataset": ("clothing", "garment", "textile"),
    "grocery-store": ("food", "packaged food", "fruit"),
    "bccd-blood-cells": ("blood cells", "blood smear", "cells"),
    "screws-aaronzink": ("wood block with screws", "screws", "wooden block"),
}
"""What may be said of the pictures of a source on which flaws are drawn."""
MOST = {"clothing-dataset": 800, "grocery-store": 800, "bccd-blood-cells": 300}
"""Crops of one source: the large ones show the same kind of thing again and again."""
REAL = {
    "piped": (("paper", "sheet of paper"), {"defect": "contamination"}),
    "metal-tags": (("metal tag", "metal plate", "tag"), {"defect": "scratch"}),
    "leather4": (("leather",), {"cut": "cut", "hole": "hole", "line": "scratch", "wrinkle": "wrinkle"}),
}
"""Real flaws that may teach, what their product may be called, and the family of each label."""
MOST_REAL = 120
"""Good and flawed pictures of one product, so that none of them rules."""


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--work", type=Path, required=True)
    made.add_argument("--photos", type=Path)
    made.add_argument("--teachers", type=Path)
    made.add_argument("--auxiliary", type=Path, nargs="+", default=[])
    made.add_argument("--only", choices=["photos", "specimens", "more", "again", "spoiled", "real", "train"])
    made.add_argument("--specimens", type=int, default=4000)
    made.add_argument("--more", type=int, default=8000, help="twins that no teacher is asked about")
    made.add_argument("--again", type=int, default=0, help="other crops of the photographs, at most, for a longer run")
    made.add_argument("--rounds", type=int, default=0, help="times that other flaws are drawn on all photographs")
    made.add_argument("--steps", type=int, default=4000)
    made.add_argument("--pairs", type=int, default=14, help="twins of a step")
    made.add_argument("--singles", type=int, default=12, help="pictures of a step that only teachers speak about")
    made.add_argument("--held", type=float, default=0.0, help="last share of the steps: norms keep their statistics")
    made.add_argument("--minutes", type=float, default=1e6)
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--rate", type=float, default=2e-3)
    made.add_argument("--warmup", type=int, default=SCHEDULE.warmup, help="steps until the rate is reached")
    made.add_argument("--precision", default="bf16-mixed", help="32-true where the processor has no bfloat16 products")
    made.add_argument("--run", default="run", help="folder of the checkpoint, in --work")
    made.add_argument("--weights", nargs="*", default=[], metavar="NAME=VALUE", help="of the aims")
    made.add_argument("--start", help="a trained model to go on from")
    made.add_argument("--parts", nargs="+", default=[], help="of it that are trained; all if left out")
    made.add_argument("--depths", type=int, nargs="+", help="blocks that the stages are to have")
    made.add_argument("--tokens", action="store_true", help="transformer blocks in the third stage, see tokens.py")
    made.add_argument("--average", type=Path, nargs=2)
    made.add_argument("--out", type=Path)
    given = made.parse_args()
    if given.average:
        save_file(averaged(*map(load_file, given.average)), given.out)
        return
    torch.set_num_threads(given.threads)
    with show_progress() as watch:
        make(given, watch)


def make(given: argparse.Namespace, watch: ShowProgress) -> None:
    """What --only names, or all of it."""
    look, lessons = (teachers(given.teachers), LESSONS) if given.teachers else (taught_nothing, ())
    photos, drawn = Store(given.work / "photos", SIDE), Store(given.work / "specimens", SIDE)
    if given.only in (None, "photos") and lessons:
        groups = list(crops(given.photos, SEED)) if not len(photos) else []
        photos.fill(groups, max(len(photos), len(groups)))
        store_features(photos, look, lessons, given.work / "bases", watch)
    if given.only in (None, "specimens"):
        if given.photos and not len(drawn):
            twins = list(textured(given.photos, SEED))
            drawn.fill(twins, 2 * len(twins))
        missing = given.specimens - len(drawn) // 2
        if missing > 0:
            drawn.fill(counted(specimens(SEED, len(drawn) // 2, SIDE), missing), 2 * given.specimens)
        store_features(drawn, look, lessons, given.work / "bases", watch)
    more = Store(given.work / "more", SIDE)
    if given.only in (None, "more") and given.more:
        if given.photos and not len(more):
            twins = list(spoiled(given.photos, SEED + 1))
            more.fill(twins, 2 * len(twins))
        missing = given.more - len(more) // 2
        if missing > 0:
            more.fill(counted(specimens(SEED + 1, len(more) // 2, SIDE), missing), 2 * given.more)
    again = Store(given.work / "again", SIDE)
    if given.only in (None, "again") and given.again and lessons:
        if len(again) < given.again:
            others = chain.from_iterable(crops(given.photos, SEED + 500 * n) for n in count(1))
            again.fill(islice(others, len(again), given.again), given.again)
        store_features(again, look, lessons, given.work / "bases", watch)
    rounds = [Store(given.work / f"spoiled-{n}", SIDE) for n in range(given.rounds)]
    for number, store in enumerate(rounds if given.only in (None, "spoiled") else ()):
        if not len(store):
            seed = SEED + 100 + number
            twins = [*textured(given.photos, seed), *spoiled(given.photos, seed)]
            store.fill(twins, 2 * len(twins))
    real = Store(given.work / "real", SIDE)
    if given.only in (None, "real") and given.auxiliary and not len(real):
        twins = list(chain.from_iterable(flaws_of(folder, SEED + 1000) for folder in given.auxiliary))
        real.fill(twins, 2 * len(twins))
    if given.only in (None, "train"):
        weights = Weights(**{name: float(value) for name, _, value in (each.partition("=") for each in given.weights)})
        run = Run(
            given.work / given.run, given.steps, given.rate, given.minutes, given.precision, given.out,
            given.pairs, given.singles, given.held, given.start, given.depths, given.parts, given.tokens,
            given.warmup,
        )  # fmt: skip
        learn([photos, drawn, more, again, *rounds, *([real] if given.auxiliary else [])], lessons, weights, run, watch)


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run keeps its checkpoint, how long it is, and where its model goes."""

    folder: Path
    steps: int = 4000
    rate: float = 2e-3
    minutes: float = 1e6
    precision: str = "bf16-mixed"
    out: Path | None = None
    pairs: int = 14
    singles: int = 12
    held: float = 0.0
    start: str | None = None
    depths: Sequence[int] | None = None
    parts: Sequence[str] = ()
    tokens: bool = False
    warmup: int = SCHEDULE.warmup


def learn(
    stores: Sequence[Store], lessons: Sequence[TeacherMap], weights: Weights, run: Run, watch: ShowProgress
) -> None:
    """Train, or go on, and write the model that there is at the end."""
    stores = [store for store in stores if len(store)]
    start = pipeline.trainable(load(run.start, precision="float32")) if run.start else None
    if start and run.depths:
        start = pipeline.deepen(start, run.depths, SEED)
    shape = tokens.SHAPE if run.tokens else EmbeddedConfig()
    shape = replace(shape, depths=tuple(run.depths)) if run.depths else shape
    student = pipeline.initial_student(shape, pipeline.words_of(stores), start, SEED)
    if run.tokens:
        student = initialise(tokens.with_tokens(student), SEED)
    schedule = replace(SCHEDULE, steps=run.steps, rate=run.rate, warmup=run.warmup, seed=SEED, precision=run.precision)
    mixture = Mixture(run.pairs, run.singles, run.held)
    with Stop(run.minutes) as stop:
        student, done = pipeline.pretrain(
            stores,
            lessons,
            student,
            schedule,
            mixture,
            weights,
            run.folder,
            watch=watch,
            stop=stop,
            goes_on=start is not None,
            parts=run.parts,
        )
    print("finished" if done else "stopped; run it again to go on", flush=True)
    if run.out:
        write(student, run.out)


def averaged(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean of each tensor of numbers, as far as the first model has it; what is not one is the second model's."""
    means = {name: each.clone() for name, each in other.items()}
    for name, each in means.items():
        if each.is_floating_point():
            rows = len(one[name])  # fewer words than the other model's
            each[:rows] = (one[name].float() + each[:rows].float()) / 2
    return means


def networks(folder: Path) -> tuple[Teacher, Teacher]:
    """ResNet-101 v2 (maps at strides 8 and 16) and MobileNetV2 (18 maps), both on images in [0, 1]."""
    spec = importlib.util.spec_from_file_location("teachers", folder / "teachers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    residual = module.resnet101_v2(folder / "resnet101_v2.safetensors")
    mobile = module.mobilenet_v2(folder / "mobilenet_v2.safetensors")
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return lambda images: residual(images * 2 - 1), lambda images: mobile((images - mean) / deviation)


def teachers(folder: Path) -> Teacher:
    """Both networks as one: three maps, at strides 8, 16 and 32."""
    residual, mobile = networks(folder)

    def look(images: Tensor) -> list[Tensor]:
        images = images.to(memory_format=torch.channels_last)  # the processor's convolutions are fast on these only
        return [*residual(images), mobile(images)[-1]]

    return look


def taught_nothing(images: Tensor) -> list[Tensor]:
    """What there is to learn without teachers."""
    return []


def named(path: Path) -> str:
    """PavingStones_03_1.png -> paving stones."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path.stem.partition("_")[0]).lower()


def crops(folder: Path, seed: int) -> Iterator[Sequence[Entry]]:
    for number, source in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        each = CROPS.get(source.name, 4)
        yield from counted(photographs([str(source)], seed + number, SIDE, each=each), MOST.get(source.name, 4000))


def textured(photos: Path, seed: int) -> Iterator[Sequence[Entry]]:
    """Flaws drawn on photographs of materials."""
    paths = sorted((photos / "ambientcg-previews").iterdir())
    return flawed_photographs(paths, [(named(path),) for path in paths], seed, SIDE)


def spoiled(photos: Path, seed: int) -> Iterator[Sequence[Entry]]:
    """Flaws drawn on real pictures of things."""
    for source, names in PRODUCTS.items():
        paths = sorted((photos / source).iterdir())
        paths = paths[:: max(1, len(paths) // 900)]
        yield from flawed_photographs(paths, [names] * len(paths), seed, SIDE)


def flaws_of(folder: Path, seed: int) -> Iterator[Sequence[Entry]]:
    """Two windows about the flaw of each picture of a set, each beside a good one."""
    product, families = REAL[folder.name]
    samples = every_sample(folder)
    chosen = [*distinct(normals(samples)), *distinct([each for each in samples if each.is_anomalous and each.masks])]
    for number in range(2):
        yield from real_flaws(chosen, product, families, seed + number, SIDE)


def distinct(samples: Sequence[Sample]) -> Sequence[Sample]:
    """One picture of each part, at most `MOST_REAL`, evenly taken."""
    samples = samples[:: -(-len(samples) // (3 * MOST_REAL)) or 1]
    seen = [fingerprint(read(each.image)) for each in samples]
    first = [group[0] for group in same_parts(seen, [sha256_of(each.image) for each in samples])]
    most = min(len(first), MOST_REAL)
    return [samples[first[number * len(first) // most]] for number in range(most)]


def counted(groups: Iterator[Sequence[Entry]], count: int) -> Iterator[Sequence[Entry]]:
    for _, group in zip(range(count), groups, strict=False):
        yield group


if __name__ == "__main__":
    main()
