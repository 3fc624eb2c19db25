"""Models with the shipped one's trunk and other heads, on products that taught none of them: words, and few good parts.

    python benchmarks/heads.py --models embedded more.safetensors --data DIR --data DIR

Each DIR holds `good` and `defect`, and `masks` where there are any, as for `materials.py`. The trunk of the first model
looks at every picture once, for all of them: `embedded.py --parts dense whole words` leaves it as it is. Rows go to
`heads.jsonl` beside this file, and `run.py --only heads` writes them into RESULTS.md.
"""

from __future__ import annotations

import datetime
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
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
from blemish.pretrain.pipeline import trainable
from blemish.types import Sample

RAW = HERE / "heads.jsonl"
SHOTS, TESTED = (1, 4), 24
NAMES = ("", "object", "zqxv blorp")
"""What the part is called: by its name, by one that fits anything, and by one that is no word."""
COLUMNS = ("words alone", "called object", "called nonsense", *(f"{shots} good" for shots in SHOTS), "patches")


class Looked(NamedTuple):
    """What the trunk sees of pictures."""

    pooled: Tensor  # (N, 768), for the whole of them
    neck: Tensor  # (N, h, w, C)
    patches: Tensor  # (N, h, w, D), TAB's, for the memory


def section(given: Options) -> str:
    """The section of RESULTS.md: all that was ever measured."""
    found, shown = _rows(), []
    for model in dict.fromkeys(row["model"] for row in found):
        own = [row for row in found if row["model"] == model]
        means = {name: statistics.fmean(row[name] for row in own if name in row) for name in COLUMNS}
        for row in (*own, {"data": "**mean**", **means}):
            shown.append((model, row["data"], *(f"{row[name]:.3f}" if name in row else "" for name in COLUMNS)))
    return "\n\n".join([
        "## Other heads on the shipped trunk, taught by real flaws",
        f"Image AUROC of TAB, at most {TESTED} good and {TESTED} flawed pictures of products that taught none of the "
        "models, one draw of good parts; in the last column the AUROC of patches from words alone, where there are "
        "masks. How each was trained is in `benchmarks/README.md`. `embedded` is what ships: on products that taught "
        "nothing, words said less after three other products had taught them.",
        table(("model", "data", *COLUMNS), shown),
    ])  # fmt: skip


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--models", nargs="+", default=[encoders.DEFAULT], help="names or files, one trunk")
    arguments = made.parse_args()
    given = options(arguments)
    torch.set_num_threads(given.threads)
    models = {Path(each).stem: trainable(encoders.load(each, precision="float32")) for each in arguments.models}
    for root in given.data:
        today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
        for name, columns in measured(models, root):
            with RAW.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"model": name, "data": root.name, "measured": today} | columns) + "\n")
            print(name, root.name, columns, flush=True)
    print(section(given))


@torch.inference_mode()
def measured(models: dict[str, Embedded], root: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Each model with its columns."""
    found, trunk = every_sample(root), next(iter(models.values()))
    good, bad = shuffle(normals(found)), shuffle([each for each in found if each.is_anomalous])[:TESTED]
    tested, learned = [*good[max(SHOTS) :][:TESTED], *bad], good[: max(SHOTS)]
    labels = [each.is_anomalous for each in tested]
    detector = TAB(trunk)
    inputs = _inputs(detector, learned)
    seen = look(trunk, _inputs(detector, tested))
    views = [look(trunk, torch.cat([*detector.views(inputs[:shots])])) for shots in SHOTS]
    nearest = [_nearest(seen, view) for view in views]
    for name, model in models.items():
        columns = {}
        for column, called in zip(COLUMNS, NAMES, strict=False):
            whole, words = said(model, seen, called or root.name.replace("-", " "))
            columns[column] = float(image.auroc(fuse_mean(whole, top_mean(words, HIGHEST)).tolist(), labels))
            if not called:
                columns |= _by_patch(words, tested)
                for shots, view, (distance, row) in zip(SHOTS, views, nearest, strict=True):
                    before = said(model, view, root.name.replace("-", " "))[1].flatten()[row]
                    grid = distance + detector.trust * (words - before).clamp_min(0)
                    score = top_mean(grid, HIGHEST) + detector.breadth * grid.mean((1, 2))
                    columns[f"{shots} good"] = float(image.auroc(score.tolist(), labels))
        yield name, columns


def look(trunk: Embedded, images: Tensor) -> Looked:
    """As `TAB._look` and `Embedded.outputs` do, up to the heads."""
    parts = []
    for part in images.split(8):
        fine, middle, coarse, neck = trunk(part, layers=(2, 3, 4, 5)).patches
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
