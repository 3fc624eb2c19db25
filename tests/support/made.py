"""Small labelled data sets in MVTec's layout, plans for them, and trials that are measured in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from tests.cli.test_inspect import picture

from blemish.benchmark.plan import PlannedTrial, read, trials
from blemish.benchmark.running import Failure
from blemish.benchmark.trial import Measured, measure
from blemish.errors import BlemishError
from blemish.progress import ShowProgress, no_progress

PLAN = """
encoders = ["test-tiny"]
shots = [2]
seeds = [0, 1]
[[methods]]
name = "patchcore"
arguments = { ratio = 0.5 }
[[data]]
root = "parts"
"""


TYPES = ("spot", "stain")


def category(folder: Path, *, good: int = 6, first: int = 0, masks: bool = False) -> Path:
    """Good parts to learn, two good parts and two defects of each type to test, of another seed for another `first`.

    Masks take time: pixel metrics have intervals too.
    """
    for number in range(good):
        picture(folder / f"train/good/{number}.png", seed=first + number)
    for number in range(2):
        picture(folder / f"test/good/{number}.png", seed=first + 30 + number)
        for place, kind in enumerate(TYPES):
            picture(folder / f"test/{kind}/{number}.png", seed=first + 50 + 10 * place + number, spot=True)
            if not masks:
                continue
            mask = np.zeros((64, 64), np.uint8)
            mask[24:40, 24:40] = 255
            target = folder / f"ground_truth/{kind}/{number}_mask.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(target)
    return folder


def data_set(folder: Path, *names: str, masks: bool = False) -> Path:
    """`folder`/parts with these categories, bolt and nut unless named; returns `folder`."""
    for number, name in enumerate(names or ("bolt", "nut")):
        category(folder / "parts" / name, first=200 * number, masks=masks)
    return folder


def plan_file(folder: Path, text: str = PLAN) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def planned(folder: Path, text: str = PLAN) -> list[PlannedTrial]:
    return trials(read(plan_file(folder, text)))


def here(planned: PlannedTrial, watch: ShowProgress = no_progress) -> Measured | Failure:
    """In this process, with invented times and memory, so that two runs can be compared."""
    try:
        found = measure(planned, watch)
    except BlemishError as error:
        return Failure(str(error))
    invented = {"seconds_per_image": 0.5, "learning_seconds": 1.0, "peak_bytes": 1 << 26}
    return found._replace(outcome=found.outcome | invented)
