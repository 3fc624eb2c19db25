"""Whether words matter: pictures with one kind of defect, ranked above those with another by naming it.

    python benchmarks/words.py [--weights ENCODER] [--data xsdd] [--data leather4] [--data magnetic_tile]

For every ordered pair of kinds (a, b) of a set: the AUROC of the score for "a", pictures of a against pictures of b.
0.5 is what words that do not matter give, on average over a pair and its reverse. Kinds in one set are named as its
folders are; no picture was used to choose a word. That TAB tells a named defect apart from the other common kinds was
chosen after it had been tried on 24 pictures a kind of xsdd, leather4 and magnetic_tile: not untouched evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import cast

import numpy as np
import torch
from harness import Options, options, parser, table
from torch import Tensor

from blemish import encoders
from blemish.detectors.tab import TAB
from blemish.images import find, read, resize
from blemish.metrics import image
from blemish.synth.drawn.flaws.flaws import FLAWS
from blemish.synth.drawn.specimens import specimen
from blemish.types import TextEncoder

XSDD = {
    "finishing_roll_printing": "roller mark",
    "iron_sheet_ash": "ash contamination",
    "oxide_scale_of_plate_system": "oxide scale",
    "oxide_scale_of_temperature_system": "temperature oxide scale",
    "red_iron": "red rust",
    "slag_inclusion": "slag inclusion",
    "surface_scratch": "scratch",
}
LEATHER = {name: name for name in ("cut", "hole", "line", "wrinkle")}
TILES = {"blowhole": "blowhole", "break": "break", "crack": "crack", "fray": "fray", "uneven": "uneven"}
SETS = {"xsdd": ("steel strip", XSDD), "leather4": ("leather", LEATHER), "magnetic_tile": ("magnetic tile", TILES)}
"""What the product is called, and each kind of defect by the name of its folder."""
CHOSEN = "How it tells kinds apart was chosen after a look at part of the real sets."
MOST = 60
"""Pictures of a kind."""


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    encoder = cast(TextEncoder, encoders.load(given.weights or encoders.DEFAULT, needs={"text"}))
    size = (encoder.image_size, encoder.image_size)
    rows = [("drawn specimens", *compared(encoder, "object", {}, drawn(size)))]
    for root in given.data:
        if root.name in SETS:
            product, names = SETS[root.name]
            kinds = {name: pictures(root, name, size) for name in names}
            rows.append((root.name, *compared(encoder, product, names, kinds)))
    head = ("pictures", "kinds", "mean AUROC over pairs", "lowest", "pairs above 0.5")
    about = f"TAB, the defect named, encoder `{encoder.name}`. {CHOSEN}"
    return f"## Words\n\n{about}\n\n{table(head, rows)}"


def compared(
    encoder: TextEncoder, product: str, words: Mapping[str, str], kinds: Mapping[str, Tensor]
) -> tuple[str, str, str, str]:
    """Number of kinds, and the pairs' AUROC: mean, lowest and the share above one half."""
    scores = {}
    for named in kinds:
        detector = TAB(encoder, product=product, defects=[words.get(named, named)])
        scores[named] = {kind: scored(detector, images) for kind, images in kinds.items()}
    found = []
    for a, b in permutations(kinds, 2):
        labels = torch.cat([torch.ones(len(scores[a][a])), torch.zeros(len(scores[a][b]))])
        found.append(image.auroc(torch.cat([scores[a][a], scores[a][b]]).numpy(), labels.bool().numpy()))
    above = sum(value > 0.5 for value in found)
    return str(len(kinds)), f"{sum(found) / len(found):.3f}", f"{min(found):.3f}", f"{above} of {len(found)}"


@torch.inference_mode()
def scored(detector: TAB, images: Tensor) -> Tensor:
    return torch.cat([detector(batch).image_score for batch in images.split(16)])


def pictures(root: Path, kind: str, size: tuple[int, int]) -> Tensor:
    folder = next(path for path in (root / kind, root / "test" / kind, root / "images" / kind) if path.is_dir())
    paths = find([folder])
    some = paths[:: max(1, len(paths) // MOST)][:MOST]
    return torch.from_numpy(np.stack([resize(read(path), size) for path in some]))


def drawn(size: tuple[int, int]) -> dict[str, Tensor]:
    """Specimens that training never saw, 12 of each of 12 families."""
    families: Sequence[str] = sorted(FLAWS)[::4]
    return {
        family: torch.stack([
            torch.from_numpy(specimen(7, number, size[0], family=family).flawed.copy()).permute(2, 0, 1) / 255
            for number in range(12)
        ])
        for family in families
    }  # fmt: skip


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
