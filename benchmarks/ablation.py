"""Which part of the embedded model's recipe carries it: short runs of equal length, each with other aims.

    python benchmarks/ablation.py --work DIR --steps 600 [--data DIR ...]

--work: the folder that `embedded.py` filled with pictures and teachers' features; runs and models are kept there, so it
can be interrupted. The last iterate is measured; nothing is chosen on the data. Rows go to `ablation.jsonl` beside this
file, and `run.py --only ablation` writes them into RESULTS.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from embedded import LESSONS, SEED, SIDE, Run, learn
from harness import HERE, Options, table

from blemish.encoders import load
from blemish.encoders.embedded.network import EmbeddedConfig
from blemish.evaluation import evaluate as evaluation
from blemish.pretrain import pipeline
from blemish.pretrain.course import Weights
from blemish.pretrain.loop import write
from blemish.pretrain.store import Store
from blemish.progress import no_progress

NOTHING = Weights(distillation=0, patches=0, types=0, whole=0, products=0, tab=0)
VARIANTS: dict[str, tuple[Weights | None, bool]] = {
    "random weights": (None, True),
    "TAB's objective alone": (Weights(distillation=0, patches=0, types=0, whole=0, products=0, tab=1), True),
    "teachers alone": (Weights(patches=0, types=0, whole=0, products=0), True),
    "words alone (patches, whole, types, products)": (Weights(distillation=0), True),
    "words without types and products": (Weights(distillation=0, types=0, products=0), True),
    "teachers and words, drawn pictures only": (Weights(), False),
    "teachers and words (the recipe)": (Weights(), True),
    "the recipe, more twins, in other frames": (Weights(), True),
}
"""The aims, and whether photographs are learned from too. The last is the recipe again, once `pretrain.batches` had got
other frames and `--more` had grown to 30,000; with this code the other rows would see other frames too."""
TRIALS = (("tab", 0), ("tab", 4), ("patchcore", 4))
RAW = HERE / "ablation.jsonl"


def section(given: Options) -> str:
    """The section of RESULTS.md: all that was ever measured."""
    found = rows()
    steps = sorted({row["steps"] for row in found} - {0})
    about = (
        f"Runs of {' or '.join(map(str, steps))} steps from the same start, each with other aims, image / pixel AUROC "
        "of the last iterate, one seed. The shipped model went on from 4,500 steps of the recipe. The rows of "
        "2026-11-24 took the highest patch for the picture, trusted words by a half and mirrored nothing; the others, "
        "of 2026-11-28, were tried with TAB as it is now and on photographs gathered anew, so compare them with the "
        "rest under patchcore. All rows but the last saw fewer twins, and each in one frame, before `pretrain.batches` "
        "had others. Rows of 2026-11-28: "
        f"{'; '.join(sorted({row['variant'] for row in found if row['measured'] == '2026-11-28'}))}. "
        "`benchmarks/ablation.py`."
    )
    return f"## Which part of the training carries the embedded model\n\n{about}\n\n{shown()}"


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--work", type=Path, required=True)
    made.add_argument("--steps", type=int, default=600)
    made.add_argument("--data", type=Path, action="append", default=[])
    made.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    given = made.parse_args()
    torch.set_num_threads(2)
    for name in given.only:
        measured(name, trained(name, given.work, given.steps), given.data, given.steps)
    print(shown())


def trained(name: str, work: Path, steps: int) -> Path:
    """The checkpoint of a variant, trained unless it is there."""
    weights, with_photos = VARIANTS[name]
    slug = name.partition(" (")[0].replace(" ", "-").replace("'", "").replace(",", "")
    path = work / "ablation" / f"{slug}.safetensors"
    if path.exists():
        return path
    stores = [Store(work / part, SIDE) for part in ("photos", "specimens", "more") if with_photos or part != "photos"]
    if weights is None:
        write(pipeline.initial_student(EmbeddedConfig(), pipeline.words_of(stores), None, SEED).eval(), path)
        return path
    lessons = LESSONS if weights.distillation else ()
    learn(stores, lessons, weights, Run(work / "ablation" / slug, steps=steps, out=path), no_progress)
    return path


def measured(name: str, checkpoint: Path, data: Sequence[Path], steps: int) -> None:
    """Add to `ablation.jsonl` what is not there yet."""
    encoder = load(checkpoint)
    for root in data:
        for method, shots in TRIALS:
            key = {"variant": name, "data": root.name, "method": method, "shots": shots}
            if any(key.items() <= row.items() for row in rows()):
                continue
            report = evaluation.run_trial(evaluation.Trial(root, None, None, method, encoder, shots=shots))
            found = report.as_json()
            key |= {"steps": steps, "measured": datetime.datetime.now(tz=datetime.UTC).date().isoformat()}
            with RAW.open("a", encoding="utf-8") as file:
                file.write(json.dumps(key | {name: found[name] for name in ("image_auroc", "pixel_auroc")}) + "\n")


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.exists() else []


def shown() -> str:
    """A table a data set: image and pixel AUROC."""
    parts, found = [], rows()
    for data in sorted({row["data"] for row in found}):
        named = {name: [_cell(name, data, *trial, found) for trial in TRIALS] for name in VARIANTS}
        head = [
            "",
            *(f"{method}, {shots} good parts" if shots else f"{method}, words alone" for method, shots in TRIALS),
        ]
        parts.append(f"### {data}\n\n{table(head, [[name, *cells] for name, cells in named.items() if any(cells)])}")
    return "\n\n".join(parts)


def _cell(name: str, data: str, method: str, shots: int, found: Sequence[dict[str, Any]]) -> str:
    key = {"variant": name, "data": data, "method": method, "shots": shots}
    fits = [row for row in found if key.items() <= row.items()]
    return " / ".join(f"{fits[0][each]['value']:.3f}" for each in ("image_auroc", "pixel_auroc")) if fits else ""


if __name__ == "__main__":
    main()
