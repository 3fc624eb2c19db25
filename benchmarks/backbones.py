"""The embedded model's trunk under methods that need no words, against random weights and against its teachers.

    python benchmarks/backbones.py --data DIR --teachers DIR [--shots 4]

All at 224 px, the same good parts, the methods' defaults otherwise. --teachers: the folder with teachers.py and both
networks. What was measured is kept in `backbones.jsonl`: remove it when the code or the model has changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from embedded import SEED, networks
from harness import HERE, Options, options, parser, table
from torch import Tensor

from blemish import encoders
from blemish.encoders.embedded.network import Embedded
from blemish.evaluation import evaluate as evaluation
from blemish.pretrain.loop import initialise
from blemish.types import Capability, Encoder, Features

RAW = HERE / "backbones.jsonl"
METHODS: dict[str, dict[str, Any]] = {
    "patchcore": {},
    "padim": {},
    "anomaly-dino": {"image_size": 224},
    "subspace-ad": {"image_size": 224},
}


class Frozen:
    """A network's maps as an encoder's layers."""

    sha256 = ""
    can: frozenset[Capability] = frozenset()
    image_size = 224
    patch_size = 32

    def __init__(self, name: str, maps: Callable[[Tensor], Sequence[Tensor]], depth: int) -> None:
        self.name, self.maps, self.depth = name, maps, depth
        self.widths = tuple(each.shape[1] for each in maps(torch.zeros(1, 3, self.image_size, self.image_size)))
        self.width = self.widths[-1]

    def __call__(self, images: Tensor, *, layers: Sequence[int] = ()) -> Features:
        """The maps are numbered from 1, finest first."""
        found = [each.permute(0, 2, 3, 1) for each in self.maps(images.to(memory_format=torch.channels_last))]
        return Features(found[-1].mean((1, 2)), tuple(found[number - 1] for number in layers))


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    parts = ["## The embedded trunk under other methods\n\n224 px, one seed, image / pixel AUROC."]
    for shots in given.shots:
        for root in given.data:
            rows = [[name, *(_cell(name, found, root, method, shots) for method in METHODS)] for name, found in
                    candidates(given.teachers).items()]  # fmt: skip
            parts += [f"### {root.name}, {shots} good parts", table(("encoder", *METHODS), rows)]
    return "\n\n".join(parts)


def candidates(teachers: Path | None) -> dict[str, Encoder]:
    """The encoders by what they are called in the table."""
    embedded = encoders.load(encoders.DEFAULT)
    assert isinstance(embedded, Embedded)
    with torch.device("meta"):
        empty = Embedded(embedded.words.vocabulary, embedded.config)
    blank = initialise(empty, SEED).eval().requires_grad_(False)
    found: dict[str, Encoder] = {"embedded": embedded, "the same, random weights": blank}
    if teachers:
        residual, _ = networks(teachers)

        def three(images: Tensor) -> list[Tensor]:
            """Strides 4 and 8 are one map: the network is given from stride 8 on."""
            fine, middle = residual(images)
            return [fine, fine, middle, middle]

        found["ResNet-101 v2 (teacher)"] = Frozen("resnet101_v2", three, 4)
        found["MobileNetV2 (teacher)"] = mobilenet(teachers)
    return found


def mobilenet(teachers: Path) -> Encoder:
    """MobileNetV2: three of its maps, and the last, of 1280 channels, whose mean is its embedding."""
    maps = networks(teachers)[1]
    return Frozen("mobilenet_v2", lambda images: [maps(images)[number] for number in (2, 5, 12, 16)], 4)


def _cell(name: str, encoder: Encoder, root: Path, method: str, shots: int) -> str:
    key = {"encoder": name, "data": root.name, "method": method, "shots": shots}
    for row in _measured():
        if key.items() <= row.items():
            return f"{row['image_auroc']['value']:.3f} / {row['pixel_auroc']['value']:.3f}"
    trial = evaluation.Trial(root, None, None, method, encoder, shots=shots, arguments=METHODS[method])
    report = evaluation.run_trial(trial).as_json()
    with RAW.open("a", encoding="utf-8") as file:
        file.write(json.dumps(key | {each: report[each] for each in ("image_auroc", "pixel_auroc")}) + "\n")
    return _cell(name, encoder, root, method, shots)


def _measured() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.exists() else []


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
