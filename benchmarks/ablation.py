"""Which part of the embedded model's recipe carries it: short runs of equal length, each with other aims.

    python benchmarks/ablation.py --work DIR --steps 600 [--data DIR ...]

--work: the folder that `embedded.py` filled with pictures and teachers' features; runs and models are kept there, so it
can be interrupted. The last iterate is measured; nothing is chosen on the data.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from embedded import LESSONS, SEED, SIDE, Run, learn
from harness import table

from blemish import evaluation
from blemish.encoders import load
from blemish.encoders.embedded.network import EmbeddedConfig
from blemish.pretrain import pipeline
from blemish.pretrain.course import Weights
from blemish.pretrain.loop import write
from blemish.pretrain.store import Store

NOTHING = Weights(distillation=0, patches=0, types=0, whole=0, products=0, tab=0)
VARIANTS: dict[str, tuple[Weights | None, bool]] = {
    "random weights": (None, True),
    "TAB's objective alone": (Weights(distillation=0, patches=0, types=0, whole=0, products=0, tab=1), True),
    "teachers alone": (Weights(patches=0, types=0, whole=0, products=0), True),
    "words alone (patches, whole, types, products)": (Weights(distillation=0), True),
    "words without types and products": (Weights(distillation=0, types=0, products=0), True),
    "teachers and words, drawn pictures only": (Weights(), False),
    "teachers and words (the recipe)": (Weights(), True),
}
"""The aims, and whether photographs are learned from too."""
TRIALS = (("tab", 0), ("tab", 4), ("patchcore", 4))


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--work", type=Path, required=True)
    made.add_argument("--steps", type=int, default=600)
    made.add_argument("--data", type=Path, action="append", default=[])
    made.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    given = made.parse_args()
    torch.set_num_threads(2)
    for name in given.only:
        measured(name, trained(name, given.work, given.steps), given.data, given.work)
    print(f"{given.steps} steps each.\n\n{shown(given.work, given.data)}")


def trained(name: str, work: Path, steps: int) -> Path:
    """The checkpoint of a variant, trained unless it is there."""
    weights, with_photos = VARIANTS[name]
    slug = name.partition(" (")[0].replace(" ", "-").replace("'", "").replace(",", "")
    path = work / "ablation" / f"{slug}.safetensors"
    if path.exists():
        return path
    stores = [Store(work / part, SIDE) for part in ("photos", "specimens", "more") if with_photos or part != "photos"]
    if weights is None:
        write(pipeline.beginning(EmbeddedConfig(), pipeline.words_of(stores), None, SEED).eval(), path)
        return path
    lessons = LESSONS if weights.distillation else ()
    learn(stores, lessons, weights, Run(work / "ablation" / slug, steps=steps, out=path))
    return path


def measured(name: str, checkpoint: Path, data: Sequence[Path], work: Path) -> None:
    """Add to `ablation.jsonl` what is not there yet."""
    encoder = load(checkpoint)
    for root in data:
        for method, shots in TRIALS:
            key = {"variant": name, "data": root.name, "method": method, "shots": shots}
            if any(key.items() <= row.items() for row in rows(work)):
                continue
            report = evaluation.run(evaluation.Trial(root, None, None, method, encoder, shots=shots))
            found = report.as_json()
            with (work / "ablation.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(key | {name: found[name] for name in ("image_auroc", "pixel_auroc")}) + "\n")


def rows(work: Path) -> list[dict[str, Any]]:
    file = work / "ablation.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def shown(work: Path, data: Sequence[Path]) -> str:
    """A table a data set: image and pixel AUROC."""
    parts = []
    for root in data:
        head = [
            "",
            *(f"{method}, {shots} good parts" if shots else f"{method}, words alone" for method, shots in TRIALS),
        ]
        lines = [[name, *(_cell(name, root.name, *trial, work) for trial in TRIALS)] for name in VARIANTS]
        parts.append(f"### {root.name}, image / pixel AUROC\n\n{table(head, lines)}")
    return "\n\n".join(parts)


def _cell(name: str, data: str, method: str, shots: int, work: Path) -> str:
    key = {"variant": name, "data": data, "method": method, "shots": shots}
    found = [row for row in rows(work) if key.items() <= row.items()]
    return " / ".join(f"{found[0][each]['value']:.3f}" for each in ("image_auroc", "pixel_auroc")) if found else ""


if __name__ == "__main__":
    main()
