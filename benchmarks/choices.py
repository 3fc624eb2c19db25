"""Other defaults for TAB, on photographs of materials: four good crops of each, others with drawn flaws.

    python benchmarks/choices.py --photos DIR [--sets 30]

--photos: as `embedded.py` takes them. No picture of a test set is looked at. The embedded model saw other crops of
these photographs in its training: the numbers serve to compare with each other, not to tell how good it is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from harness import HERE, Options, table
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from blemish import encoders
from blemish.blocks.maps import maximum, top_mean
from blemish.detectors.tab import TAB
from blemish.errors import BadInput
from blemish.images import read, resize, unit
from blemish.metrics import image
from blemish.pretrain.sources import on_photograph

RAW = HERE / "choices.json"
SIDE, SHOTS, TESTED = 256, 4, 8
SIZES, TRUSTS = (224, 288, 320), (0.0, 0.25, 0.5)


class Material(NamedTuple):
    """Crops (3, SIDE, SIDE) of one photograph, in [0, 1]."""

    good: Tensor
    test: Tensor
    masks: NDArray[np.bool_]  # (N, SIDE, SIDE), of the test crops


def section(given: Options) -> str:
    """The section of RESULTS.md: what was measured last."""
    if not RAW.exists():
        return "## Other defaults for TAB, on photographs of materials\n\nNot run: see `benchmarks/choices.py`."
    found = json.loads(RAW.read_text(encoding="utf-8"))
    rows = [(name, f"{each[0]:.3f}", f"{each[1]:.3f}") for name, each in found["rows"].items()]
    about = (
        f"{found['sets']} photographed materials, {SHOTS} good crops learned, {TESTED} good ones and {TESTED} with "
        "drawn flaws tested; mean over the materials. Nothing was changed by it: larger pictures and the mean of the "
        "highest 1 % would have been, but on the two test sets 288 and 320 px found magnetic tiles worse (4 good "
        "parts: image AUROC 0.784 and 0.778 against 0.798; words alone, 320 px: 0.747 against 0.765) and bottles "
        "hardly better (0.974 against 0.970; words alone 0.537 against 0.784), so the defaults stay what they were "
        "before: 224 px, trust 0.5, the highest patch. For small flaws `--set image_size=320` is worth a try."
    )
    return f"## Other defaults for TAB, on photographs of materials\n\n{about}\n\n" + table(
        ("", "image AUROC", "pixel AUROC"), rows
    )


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--photos", type=Path, required=True)
    made.add_argument("--sets", type=int, default=30)
    given = made.parse_args()
    paths = sorted((given.photos / "ambientcg-previews").iterdir())
    order = np.random.default_rng(5).permutation(len(paths))[: given.sets].tolist()
    encoder = encoders.load_with_text(encoders.DEFAULT)
    found: dict[str, list[tuple[float, float]]] = {}
    for number, place in enumerate(order):
        print(f"{number} of {given.sets}", flush=True)
        material = crops(paths[place], np.random.default_rng((9, number)))
        for size in SIZES:
            with torch.inference_mode():
                for name, scores, maps in tried(TAB(encoder, product="material", image_size=size), material, size):
                    found.setdefault(name, []).append(measured(scores, maps, material.masks))
    rows = {name: np.mean(each, axis=0).tolist() for name, each in found.items()}
    RAW.write_text(json.dumps({"sets": given.sets, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def crops(path: Path, rng: np.random.Generator) -> Material:
    """Squares of half the shorter side at random places."""
    picture = (unit(read(path)) * 255).round().byte().permute(1, 2, 0).numpy()
    edge = min(picture.shape[:2]) // 2

    def crop() -> NDArray[np.uint8]:
        top, left = (int(rng.integers(0, length - edge + 1)) for length in picture.shape[:2])
        square = Image.fromarray(picture[top : top + edge, left : left + edge])
        return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))

    good = [crop() for _ in range(SHOTS)]
    test, masks = [crop() for _ in range(TESTED)], [np.zeros((SIDE, SIDE), bool)] * TESTED
    for _ in range(30):
        with suppress(BadInput):  # a flaw that cannot be seen there
            drawn = on_photograph(crop(), rng, ("material",))
            test, masks = [*test, drawn.flawed], [*masks, drawn.mask]
        if len(test) == 2 * TESTED:
            break
    return Material(tensor(good), tensor(test), np.stack(masks))


def tensor(pictures: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def tried(detector: TAB, material: Material, size: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Scores and maps of every way to come from patches to them."""
    good, test = (torch.stack([resize(each, (size, size)) for each in part]) for part in material[:2])
    found = detector(test)
    yield f"words alone, {size} px", found.image_score, found.anomaly_map
    detector.fit([good])
    _, words, patches = detector._look(test)
    distance, row = (each.squeeze(-1) for each in detector.bank.nearest(patches))
    worse = (words - detector.worded.get_buffer("scores")[row]).clamp_min(0)
    for trust in TRUSTS:
        grid = distance + trust * worse
        maps = detector._spread(grid, test)
        yield f"{SHOTS} good parts, {size} px, trust {trust}, the highest patch", maximum(grid), maps
        yield f"{SHOTS} good parts, {size} px, trust {trust}, the highest 1 %", top_mean(grid, 0.01), maps


def measured(scores: Tensor, maps: Tensor, masks: NDArray[np.bool_]) -> tuple[float, float]:
    """Image and pixel AUROC; every second pixel of each axis will do."""
    whole = F.interpolate(maps[:, None], (SIDE, SIDE), mode="bilinear")[:, 0, ::2, ::2].numpy()
    pixels = masks[:, ::2, ::2]
    by_image = image.auroc(scores.numpy(), masks.any((1, 2)))
    return float(by_image), float(image.auroc(whole.ravel(), pixels.ravel()))


if __name__ == "__main__":
    main()
