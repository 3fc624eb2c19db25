"""How well classifiers name defects, beside logistic regression on the encoder's own embedding of the picture.

    python benchmarks/defect_types.py --data DIR --data DIR [--encoder FILE] [--classifiers ridge words] [--of defects]
    python benchmarks/defect_types.py --data DIR --hold-out --coverage 200
    python benchmarks/defect_types.py --data DIR --teachers DIR --classifiers baseline ridge
    python benchmarks/defect_types.py --speed

Every picture is looked at once, plain and mirrored; then half of each type's pictures may teach and the other half
tests, drawn anew by each seed, as `blemish evaluate --task types` does it. `--hold-out` leaves each type out in turn:
AUROC of its pictures against those of the other types, by the highest logit. `--coverage N` is the share of sets of
types that hold the right one over N splits, half of each type teaching. `baseline` is scikit-learn's logistic
regression on the standardised embedding of the whole picture. `--teachers` is the folder of the MobileNetV2 that takes
the encoder's place. Every row is printed and added to `defect_types.jsonl`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from backbones import mobilenet
from harness import HERE, Options, table
from numpy.typing import NDArray
from torch import Tensor

from blemish import catalog, encoders
from blemish.blocks.exemplars import CachedEncoder
from blemish.blocks.heads import quarters
from blemish.classification.describe import describe
from blemish.classification.learn import is_few, learn
from blemish.classification.namer import logits_of
from blemish.classification.regions import inside_worst
from blemish.classification.seeing import see_regions
from blemish.classification.with_names import WithNames
from blemish.evaluation.labelled_types import defects_of
from blemish.evaluation.types_of_defects import divide
from blemish.fitting import remember
from blemish.images import Places, Region
from blemish.inspection import predict
from blemish.metrics import classes
from blemish.types import Batch, Classifier, Cropper, Encoder, Sample, TypedExamples

RAW = HERE / "defect_types.jsonl"
SHOTS: tuple[int | None, ...] = (1, 3, 5, 10, None)
BASELINE = "baseline"
AHEAD = ("ridge", "gedt-opt")
"""Classifiers that are compared with it pair by pair: the default, and the one that names a set together."""
HEAD = ("set", "encoder", "classifier", "of", "1", "3", "5", "10", "half", "seeds")
ABOUT = (
    "By `benchmarks/defect_types.py`: mean accuracy over seeds, and half of its 95 % interval over them (Student's t). "
    "Half of each type's pictures test, so many of the other half teach. `baseline`: logistic regression on the "
    "embedding of the whole picture. What is described, and how its parts weigh, was chosen on such halves of `xsdd` "
    "and `leather4`. That `ridge` adds how like any example a defect is, which only decides what is unknown, and "
    "the defaults of `prompt-images` and of most classifiers not listed here, were seen on the tested halves of all "
    "four sets: none of these numbers is of an untouched choice. The defaults of `gedt-opt`, which names all tested "
    "pictures together, were chosen on other splits of parts of `xsdd` and `leather4`, and of leaves, with uneven "
    "numbers of their types, before `magnetic_tile` was measured. Regions (`of` defects) are learned mirrored and "
    "named in one view, which was chosen on `leather4`; `plain` are those that are learned in one view too. "
    "`walls, drawn`, by `benchmarks/building.py`: six defects of buildings on 72 drawn walls, to compare wordings; one "
    "of six is chance. Paired over the five splits, sentences are ahead of a list of terms, and words with five "
    "pictures of each type of these pictures alone, as Yong et al. found; definitions of the field are "
    "ahead neither of general ones nor of names."
)


class Seen(NamedTuple):
    """What a classifier sees of a data set."""

    samples: list[Sample]
    types: list[str]
    numbers: Tensor  # (N,)
    views: Tensor  # (N, V, D), plain and mirrored, or crops
    crops: bool = False
    regions: bool = False  # of which new ones are seen in one view, as a recipe sees those that it finds

    def shown(self, rows: Tensor, *, mirrored: bool) -> Tensor:
        """What is seen of these: (R, V, D)."""
        return self.views[rows] if self.crops or mirrored else self.views[rows, :1]

    def asked(self, tested: Tensor, learned: Tensor) -> Tensor:
        """What is seen of those that test."""
        return self.shown(tested, mirrored=self.few(learned) and not self.regions)

    def few(self, rows: Tensor) -> bool:
        """Whether these are so few of each type that they are seen mirrored, and what is named as well."""
        return is_few(str(each) for each in self.numbers[rows].tolist())


def look(root: Path, make: Callable[[list[str]], Classifier], of: str) -> Seen:
    """Every picture, or every region that a mask marks, once."""
    samples = defects_of(root)
    types = sorted({sample.label for sample in samples})
    classifier = make(types)
    found = list(describe(classifier, samples, of=cast(Any, of), mirrored=True, batch_size=16))
    numbers = torch.tensor([types.index(each.sample.label) for each in found])
    views, crops = torch.stack([each.seen for each in found]), isinstance(classifier, Cropper)
    return Seen([each.sample for each in found], types, numbers, views, crops, of == "defects")


def split(seen: Seen, shots: int | None, seed: int) -> tuple[Tensor, Tensor]:
    """Rows that teach and rows that test: no picture is both."""
    pictures = list({sample.image: sample for sample in seen.samples}.values())
    learned, tested = ({sample.image for sample in part} for part in divide(pictures, shots, seed))
    images = [sample.image for sample in seen.samples]
    return tuple(torch.tensor([image in part for image in images]).nonzero()[:, 0] for part in (learned, tested))  # type: ignore[return-value]


def examples(seen: Seen, rows: Tensor, types: int) -> TypedExamples:
    """Of these rows, mirrored as well where there are few of each type."""
    numbers = seen.numbers[rows]
    views = seen.shown(rows, mirrored=seen.few(rows))
    return TypedExamples(views, torch.nn.functional.one_hot(numbers, types).bool())


def accuracy(seen: Seen, classifier: Classifier, shots: int | None, seed: int) -> float:
    """Of the tested half."""
    rows, tested = split(seen, shots, seed)
    classifier.fit(examples(seen, rows, len(seen.types)))
    said = logits_of(classifier, seen.asked(tested, rows)).argmax(1)
    return classes.accuracy(seen.numbers[tested].numpy(), said.numpy())


def baseline(seen: Seen, embedding: int, shots: int | None, seed: int) -> float:
    """Of logistic regression on the first numbers of what is seen, which are the picture's embedding."""
    from sklearn.linear_model import LogisticRegression

    rows, tested = split(seen, shots, seed)
    x = seen.views[:, 0, :embedding].double().numpy()
    middle, spread = x[rows].mean(0), x[rows].std(0) + 1e-6
    found = LogisticRegression(max_iter=1000).fit((x[rows] - middle) / spread, seen.numbers[rows].numpy())
    return float((found.predict((x[tested] - middle) / spread) == seen.numbers[tested].numpy()).mean())


def unknown(seen: Seen, classifier: Callable[[list[str]], Classifier], seed: int) -> dict[str, float]:
    """AUROC of each type's pictures when nothing was learned of it, by name."""
    rows, tested = split(seen, None, seed)
    found = {}
    for number, name in enumerate(seen.types):
        kept = rows[seen.numbers[rows] != number]
        rest = [each for each in range(len(seen.types)) if each != number]
        numbers = torch.tensor([rest.index(each) if each in rest else 0 for each in seen.numbers.tolist()])
        made = classifier([seen.types[each] for each in rest])
        made.fit(examples(seen._replace(numbers=numbers), kept, len(rest)))
        logits = logits_of(made, seen.asked(tested, kept))
        found[name] = classes.unknown_auroc((seen.numbers[tested] == number).numpy(), logits.numpy())
    return found


def covered(seen: Seen, classifier: Classifier, seed: int, coverage: float = 0.9) -> tuple[float, float]:
    """Share of sets that hold the right type, and types in a set."""
    rows, tested = split(seen, None, seed)
    asked = 1 if seen.regions and not seen.crops else None
    namer = learn(classifier, examples(seen, rows, len(seen.types)), coverage=coverage, seed=seed, asked=asked)
    sure = namer.sureness
    sets = sure.sets(sure.chances(logits_of(classifier, seen.asked(tested, rows)).numpy()))
    return classes.coverage(seen.numbers[tested].numpy(), sets), classes.set_size(sets)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half of its 95 % interval."""
    from scipy.stats import t

    found = np.asarray(values)
    half = t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / len(found) ** 0.5 if len(found) > 1 else float("nan")
    return float(found.mean()), float(half)


def time_naming(encoder: Encoder, repeats: int = 30) -> dict[str, float]:
    """What a picture costs with its worst region named, over TAB alone, in turn; and to learn 100 examples of ten."""
    types = [f"type {number}" for number in range(10)]
    generator = torch.Generator().manual_seed(0)
    side = encoder.image_size
    once = CachedEncoder(encoder, kept=quarters(encoder.depth))
    classifier = catalog.classifier("ridge", once, types)
    seen = torch.cat([classifier.look(torch.rand(10, 3, side, side, generator=generator)) for _ in types])
    examples = TypedExamples(seen[:, None].repeat(1, 4, 1), torch.eye(10, dtype=torch.bool).repeat_interleave(10, 0))
    begun = time.perf_counter()
    namer = learn(classifier, examples)
    learned = time.perf_counter() - begun
    plain = catalog.detector("tab", encoder, {})
    named = WithNames(catalog.detector("tab", once, {}), once, classifier, namer)
    for detector in (plain, named.detector):
        remember(cast(Any, detector), [Batch(torch.rand(8, 3, side, side, generator=generator))])
    picture, times = (
        torch.rand(1, 3, side, side, generator=generator).numpy(),
        {"plain": list[float](), "named": list[float]()},
    )
    for _ in range(repeats):
        begun = time.perf_counter()
        predict(plain, picture)
        times["plain"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        found = predict(named, picture)
        assert found.places is not None
        places = [Places(Region(0, 0, side, side), found.places[0])]
        namer.name(see_regions(classifier, picture[0], places, [inside_worst(found.anomaly_map[0])]))
        times["named"].append(time.perf_counter() - begun)
    alone, both = (float(np.median(times[name])) for name in ("plain", "named"))
    return {"plain_ms": 1000 * alone, "named_ms": 1000 * both, "ratio": both / alone, "learning_s": learned}


def write(row: dict[str, Any]) -> None:
    """Print a row and add it to the file."""
    row |= {"measured": str(datetime.datetime.now(tz=datetime.UTC).date())}
    with RAW.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)


def measure(root: Path, encoder: Encoder, name: str, seen: Seen, given: argparse.Namespace) -> None:
    """Rows of one classifier on one data set."""
    of = f"{given.of}, plain" if given.plain else given.of
    about = {"set": root.name, "encoder": Path(encoder.name).name, "classifier": name, "of": of}

    def make(types: list[str]) -> Classifier:
        return catalog.classifier(name, encoder, types)

    for shots in SHOTS:
        if name == BASELINE:
            found = [baseline(seen, encoder.width, shots, seed) for seed in range(given.seeds)]
        else:
            classifier = make(seen.types)
            found = [accuracy(seen, classifier, shots, seed) for seed in range(given.seeds)]
        mean, half = interval(found)
        write({**about, "shots": shots, "accuracy": mean, "half_interval": half, "seeds": given.seeds, "each": found})
    if given.hold_out and name != BASELINE:
        each = [unknown(seen, make, seed) for seed in range(given.seeds)]
        means = {kind: float(np.mean([found[kind] for found in each])) for kind in seen.types}
        write({**about, "unknown_auroc": float(np.mean([*means.values()])), "types": means, "seeds": given.seeds})
    if given.coverage and name != BASELINE:
        classifier = make(seen.types)
        pairs: NDArray[np.float64] = np.array([covered(seen, classifier, seed) for seed in range(given.coverage)])
        write({**about, "stated": 0.9, "coverage": float(pairs[:, 0].mean()), "least": float(pairs[:, 0].min()),
               "set_size": float(pairs[:, 1].mean()), "splits": given.coverage})  # fmt: skip


def main() -> None:
    """Measure what the options say."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, action="append", default=[], help="repeatable")
    made.add_argument("--encoder", default=encoders.DEFAULT, help="a name or a checkpoint (default: %(default)s)")
    made.add_argument("--teachers", type=Path, metavar="DIR", help="measure the MobileNetV2 that lies here")
    made.add_argument("--classifiers", nargs="+", default=[BASELINE, "ridge", "linear-probe", "nearest"])
    made.add_argument("--of", choices=["pictures", "defects"], default="pictures", help="(default: pictures)")
    made.add_argument("--plain", action="store_true", help="learn regions in one view, not mirrored as well")
    made.add_argument("--seeds", type=int, default=5, help="(default: 5)")
    made.add_argument("--hold-out", action="store_true")
    made.add_argument("--coverage", type=int, default=0, help="splits (default: 0)")
    made.add_argument("--threads", type=int, default=2, help="(default: 2)")
    made.add_argument("--speed", action="store_true", help="only what naming costs over a detector")
    given = made.parse_args()
    torch.set_num_threads(given.threads)
    encoder = mobilenet(given.teachers) if given.teachers else encoders.load(given.encoder)
    if given.speed:
        found = {"encoder": Path(encoder.name).name, "threads": given.threads, "load": os.getloadavg()[0]}
        write(found | time_naming(encoder))
        return
    for root in given.data:
        seen = dict[str, Seen]()
        for name in given.classifiers:
            kind = "ridge" if name == BASELINE else name
            made, begun = catalog.classifier(kind, encoder, ["a", "b"]), time.perf_counter()
            eyes = type(getattr(made, "sight", made)).look.__qualname__
            if eyes not in seen:
                seen[eyes] = look(root, lambda types, kind=kind: catalog.classifier(kind, encoder, types), given.of)
                if given.plain and not seen[eyes].crops:
                    seen[eyes] = seen[eyes]._replace(views=seen[eyes].views[:, :1])
                print(f"{root.name}: {len(seen[eyes].numbers)} seen, {time.perf_counter() - begun:.0f} s", flush=True)
            measure(root, encoder, name, seen[eyes], given)


def _ahead(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Of each set and encoder, the differences of `AHEAD` and `baseline` by shots; each seed's draw is theirs both."""
    each = {
        (row["set"], row["encoder"].removesuffix(".safetensors"), row["classifier"], row["shots"]): row["each"]
        for row in rows
        if row.get("of") == "pictures" and "each" in row
    }
    found = list[tuple[str, ...]]()
    for where in sorted({key[:2] for key in each if key[2] == BASELINE}):
        for name in AHEAD:
            pairs = [(each.get((*where, name, shots)), each.get((*where, BASELINE, shots))) for shots in SHOTS]
            if any(all(pair) for pair in pairs):
                seeds = str(max(len(pair[0] or ()) for pair in pairs))
                cells = (_difference(np.subtract(*pair)) if all(pair) else "" for pair in pairs)
                found.append((*where, name, *cells, seeds))
    return found


def _difference(found: NDArray[np.float64]) -> str:
    mean, half = interval(found.tolist())
    return f"{mean:+.3f} ± {half:.3f}"


def section(options: Options) -> str:
    """The tables of what has been measured."""
    rows = [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.exists() else []
    lines = dict[tuple[str, ...], dict[str, str]]()
    for row in rows:
        if "accuracy" in row:
            key = (row["set"], row["encoder"].removesuffix(".safetensors"), row["classifier"], row["of"])
            cell = f"{row['accuracy']:.3f} ± {row['half_interval']:.3f}"
            lines.setdefault(key, {"seeds": str(row["seeds"])})[str(row["shots"] or "half")] = cell
    names = ("1", "3", "5", "10", "half", "seeds")
    accuracies = table(HEAD, [(*key, *(cells.get(name, "") for name in names)) for key, cells in lines.items()])
    held = [
        (row["set"], row["encoder"].removesuffix(".safetensors"), row["classifier"], row["of"],
         f"{row['unknown_auroc']:.3f}",
         ", ".join(f"{name} {value:.2f}" for name, value in row["types"].items()))
        for row in rows if "unknown_auroc" in row
    ]  # fmt: skip
    sets = [
        (row["set"], row["encoder"].removesuffix(".safetensors"), row["classifier"], row["of"],
         f"{row['stated']:.2f}",
         f"{row['coverage']:.3f}", f"{row['set_size']:.2f}", str(row["splits"]))
        for row in rows if "coverage" in row
    ]  # fmt: skip
    fast = [
        (row["encoder"], f"{row['plain_ms']:.1f}", f"{row['named_ms']:.1f}", f"{row['ratio']:.2f}",
         f"{row['learning_s']:.2f}", str(row["threads"]), f"{row['load']:.1f}")
        for row in rows if "ratio" in row
    ]  # fmt: skip
    return "\n\n".join(
        [
            ABOUT,
            accuracies,
            "By how much `ridge`, the default, and `gedt-opt`, which names all tested pictures together, are ahead of "
            "`baseline` on the same pictures and features, and half of the 95 % interval of that over the seeds:",
            table(HEAD[:3] + HEAD[4:], _ahead(rows)),
            "AUROC of each type's pictures when nothing was learned of it, half of the others teaching, mean of seeds:",
            table(("set", "encoder", "classifier", "of", "mean", "each type"), held),
            "Sets of types that are to hold the right one, half of each type teaching:",
            table(("set", "encoder", "classifier", "of", "stated", "held", "types in a set", "splits"), sets),
            "A picture under TAB with 8 good parts, alone and with its worst region named, the median of 30 in turn; "
            "and learning 10 examples of each of 10 types once they are seen:",
            table(("encoder", "alone, ms", "named, ms", "ratio", "learning, s", "threads", "load before"), fast),
        ]
    )


if __name__ == "__main__":
    main()
