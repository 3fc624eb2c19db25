"""Writes `tests/parity/methods/rad.safetensors`: what anomalib's RAD makes of random pictures by `encoders/dino`.

Not a test and not imported by one: it needs anomalib. Run `python -m tests.parity.reference.rad` from the root of the
repository in an environment that has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import timm  # type: ignore[import-not-found]
import torch
from anomalib.models.image.rad.torch_model import RadModel  # type: ignore[import-not-found]
from safetensors.torch import save_file
from tests.parity.reference.arrays import IMAGENET, ROOT, Arrays, normalised, pictures
from tests.parity.reference.timm_layouts import WIDE

FILE = Path(__file__).parents[1] / "methods" / "rad.safetensors"
SIDE = 32
RUNS: dict[str, dict[str, Any]] = {
    "plain": {"k_image": 3},
    "same_place": {"k_image": 2, "pos_radius": 0},
    "wide": {"k_image": 7, "pos_radius": 2},
    "anywhere": {"k_image": 3, "use_positional_bank": False, "max_ratio": 0.0},
}


def network(*_: Any, **__: Any) -> Any:
    made = timm.models.vit_small_patch16_224(**WIDE, num_classes=0, dynamic_img_size=True)
    made.load_state_dict(torch.load(ROOT / "dino" / "dino.pth", weights_only=True))
    return made


def main() -> None:
    torch.set_num_threads(1)
    good, test = pictures(81, SIDE, SIDE, count=5), pictures(82, SIDE, SIDE, count=2)
    test[1] = (good[3] * 255).round() / 255
    test[1, :, 8:16, 16:30] = 0
    arrays: Arrays = {"good": (good * 255).round().byte(), "images": (test * 255).round().byte()}
    for name, options in RUNS.items():
        with mock.patch.object(timm, "create_model", network):
            made = RadModel(backbone="vit_of_dino", pre_trained=False, layers=[0, 1], **options)
        made.train()
        for each in normalised(good, IMAGENET).split(2):
            made(each)
        made.build_memory_bank()
        found = made.eval()(normalised(test, IMAGENET))
        arrays[f"{name}.image_score"], arrays[f"{name}.anomaly_map"] = found.pred_score, found.anomaly_map[:, 0]
    save_file({key: value.detach().clone().contiguous() for key, value in arrays.items()}, FILE)


if __name__ == "__main__":
    main()
