"""Models that `embedded.py` trained, on products that taught none of them: words, and few good parts.

    python benchmarks/students.py --models embedded more.safetensors --data DIR --data DIR [--draws 3]

Each DIR holds `good` and `defect`, and `masks` where there are any, as for `materials.py`. Rows go to `students.jsonl`
beside this file, those that it holds are not measured again, and `run.py --only students` writes them into RESULTS.md.
"""

from __future__ import annotations

import datetime
import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokens
import torch
from defect_types import interval
from harness import HERE, Options, options, parser, table
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.maps import fuse_mean, top_mean
from blemish.blocks.memory import MemoryBank
from blemish.blocks.patches import join_layers, pool_neighbours
from blemish.blocks.similarity import anomaly_probability
from blemish.data import every_sample
from blemish.data.masks import read_ground_truth
from blemish.data.sampling import normals, shuffle
from blemish.detectors.tab import HIGHEST, TAB
from blemish.encoders.embedded.network import Embedded
from blemish.encoders.inputs import as_tensor
from blemish.inspection import stream
from blemish.metrics import image
from blemish.types import Sample

RAW = HERE / "students.jsonl"
SHOTS, TESTED = (1, 4), 24
NAMES = ("", "object", "zqxv blorp")
"""What the part is called: by its name, by one that fits anything, and by one that is no word."""
COLUMNS = ("words alone", "called object", "called nonsense", *(f"{shots} good" for shots in SHOTS), "patches")
AGAINST = (
    ("heads-mean", "embedded, 30 November"),
    ("heads-real", "embedded, 30 November"),
    ("on-drawn", "embedded"),
    ("on-real", "embedded"),
    ("on-real", "on-drawn"),
    ("on-drawn-mean", "embedded"),
    ("on-real-mean", "embedded"),
    ("on-real-mean", "on-drawn-mean"),
    ("tokens", "residual"),
)
"""Models, and what each is compared with."""


class Looked(NamedTuple):
    """What the trunk sees of pictures."""

    pooled: Tensor  # (N, 768), for the whole of them
    neck: Tensor  # (N, h, w, C)
    patches: Tensor  # (N, h, w, D), TAB's, for the memory


def section(given: Options) -> str:
    """The section of RESULTS.md: all that was ever measured."""
    found, shown = _rows(), []
    for model in dict.fromkeys(row["model"] for row in found):
        own = _by_product(model, found)
        means = _means(list(own.values()))
        for data, columns in {**own, "**mean**": means}.items():
            shown.append((model, data, *(f"{columns[name]:.3f}" if name in columns else "" for name in COLUMNS)))
    apart = [
        (model, other, *(_difference(model, other, column, found) for column in COLUMNS)) for model, other in AGAINST
    ]
    return "\n\n".join([
        "## Models that went on from the shipped one, and tokens",
        f"Image AUROC of TAB, at most {TESTED} good and {TESTED} flawed pictures of products that taught none of the "
        "models, means over three draws of good parts and of pictures tested (`heads`: one); in the last column the "
        "AUROC of patches from words alone, where there are masks. `embedded` is what ships. How each was trained is "
        "in `benchmarks/README.md`: `heads` have its trunk, `on` went on from it with all weights, `mean` is the mean "
        "with it, and `residual` and `tokens` began at random.",
        table(("model", "data", *COLUMNS), shown),
        "The same as differences: the mean over products, and half of its 95 % interval over them (Student's t), which "
        "holds for the one training of each that there was. `heads` and `embedded, 30 November` are of "
        "another machine and of leaves that were gathered before.",
        table(("model", "less", *COLUMNS), [row for row in apart if any(row[2:])]),
    ])  # fmt: skip


def _by_product(model: str, found: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The columns of a model on each product, means over the draws."""
    own: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        if row["model"] == model:
            own[row["data"]].append(row)
    return {data: _means(rows) for data, rows in own.items()}


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    present = [name for name in COLUMNS if any(name in row for row in rows)]
    return {name: statistics.fmean(row[name] for row in rows if name in row) for name in present}


def _difference(model: str, other: str, column: str, found: Sequence[dict[str, Any]]) -> str:
    """On the draws that both have seen."""
    draws = [{(row["data"], row["draw"]) for row in found if row["model"] == each} for each in (model, other)]
    both = [row for row in found if (row["data"], row["draw"]) in draws[0] & draws[1]]
    one, two = (_by_product(each, both) for each in (model, other))
    values = [one[data][column] - two[data][column] for data in one if column in one[data]]
    mean, half = interval(values) if len(values) > 1 else (0.0, 0.0)
    return f"{mean:+.3f} ± {half:.3f}" if values else ""


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--models", nargs="+", default=[encoders.DEFAULT], help="names or files")
    made.add_argument("--draws", type=int, default=3, help="of good parts and tested pictures")
    arguments = made.parse_args()
    given = options(arguments)
    torch.set_num_threads(given.threads)
    for each in arguments.models:
        model = tokens.load(each)
        for root in given.data:
            for draw in range(arguments.draws):
                key = {"model": Path(each).stem, "data": root.name, "draw": draw}
                if any(key.items() <= row.items() for row in _rows()):
                    continue
                today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
                row = key | {"measured": today} | measured(model, root, draw)
                with RAW.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, flush=True)
    print(section(given))


@torch.inference_mode()
def measured(model: Embedded, root: Path, draw: int) -> dict[str, float]:
    """The columns of a model on a product."""
    found, product = every_sample(root), root.name.replace("-", " ")
    good = shuffle(normals(found), seed=draw)
    bad = shuffle([each for each in found if each.is_anomalous], seed=draw)[:TESTED]
    tested, learned = [*good[max(SHOTS) :][:TESTED], *bad], good[: max(SHOTS)]
    labels = [each.is_anomalous for each in tested]
    detector, columns = TAB(model), dict[str, float]()
    inputs, seen = _inputs(detector, learned), look(model, _inputs(detector, tested))
    for column, called in zip(COLUMNS, NAMES, strict=False):
        whole, words = said(model, seen, called or product)
        columns[column] = float(image.auroc(fuse_mean(whole, top_mean(words, HIGHEST)).tolist(), labels))
        if not called:
            columns |= _by_patch(words, tested)
    _, words = said(model, seen, product)
    for shots in SHOTS:
        view = look(model, torch.cat([*detector.views(inputs[:shots])]))
        distance, row = _nearest(seen, view)
        before = said(model, view, product)[1].flatten()[row]
        grid = distance + detector.trust * (words - before).clamp_min(0)
        score = top_mean(grid, HIGHEST) + detector.breadth * grid.mean((1, 2))
        columns[f"{shots} good"] = float(image.auroc(score.tolist(), labels))
    return columns


def look(model: Embedded, images: Tensor) -> Looked:
    """As `TAB._look` and `Embedded.outputs` do, up to the heads."""
    parts = []
    for part in images.split(8):
        fine, middle, coarse, neck = model(part, layers=(2, 3, 4, 5)).patches
        pooled = [pool for x in (coarse, F.relu(neck)) for pool in (x.mean((1, 2)), x.amax((1, 2)))]
        joined = join_layers([F.normalize(pool_neighbours(layer), dim=-1) for layer in (fine, middle, neck)])
        parts.append((torch.cat(pooled, 1), neck, joined))
    return Looked(*(torch.cat(each) for each in zip(*parts, strict=True)))


def said(model: Embedded, seen: Looked, product: str) -> tuple[Tensor, Tensor]:
    """Probability of anomalous words, of the whole (N,) and of each patch (N, h, w)."""
    detector = TAB(model, product=product)
    whole, patches = model.whole(seen.pooled), model.project(seen.neck)
    one, other = (anomaly_probability(each, detector.texts, detector.temperature) for each in (whole, patches))
    return one, other


def _nearest(seen: Looked, learned: Looked) -> tuple[Tensor, Tensor]:
    bank = MemoryBank()
    bank.hold(F.normalize(learned.patches, dim=-1).flatten(0, 2))
    distance, row = (found.squeeze(-1) for found in bank.nearest(seen.patches))
    return distance, row


def _inputs(detector: TAB, samples: Sequence[Sample]) -> Tensor:
    paths = [each.image for each in samples]
    return as_tensor(np.stack([each for _, found in stream(paths, detector.geometry) for each in found.inputs]))


def _by_patch(words: Tensor, samples: Sequence[Sample]) -> dict[str, float]:
    """The column of patches: those that a flaw touches against all others, in pictures of which that is known."""
    known = [at for at, each in enumerate(samples) if each.masks or not each.is_anomalous]
    if not any(samples[at].masks for at in known):
        return {}
    truth = torch.stack([_touched(samples[at], words.shape[-1]) for at in known])
    return {COLUMNS[-1]: float(image.auroc(words[known].flatten().numpy(), truth.flatten().numpy()))}


def _touched(sample: Sample, side: int) -> Tensor:
    mask = torch.from_numpy(read_ground_truth(sample.masks, sample.image).astype(np.float32))
    return F.adaptive_max_pool2d(mask[None, None], (side, side))[0, 0] > 0


def _rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.is_file() else []


if __name__ == "__main__":
    main()
