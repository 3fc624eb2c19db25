"""Milliseconds of one picture under CLIP-MDC: the backbone alone, one head, both heads, and from file to verdict.

    python benchmarks/mdc.py [--threads 2] [--rounds 3]

What it reaches on labelled data is measured by `trained.py`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from harness import HERE, Options, options, parser, table
from PIL import Image
from torch import Tensor

from blemish import encoders
from blemish.blocks.maps import smooth, upsample
from blemish.calibration.thresholds import calibrate_thresholds
from blemish.detectors.clip_mdc import CLIPMDC
from blemish.images import Inspected
from blemish.inspection import inspect
from blemish.runs.decision import decision

sys.path.append(str(HERE / "workers"))
from pictures import texture

ABOUT = (
    "By `benchmarks/mdc.py`: one picture of 256 px through the embedded encoder, median of {rounds} turns and the "
    "least, threads: {threads}, by `--precision auto`. Wanted: from file to verdict with types in 25 ms, or 1.5 times "
    "the backbone; both heads in 1.2 times one."
)


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    torch.set_num_threads(given.threads)
    rounds = 10 * given.rounds
    with tempfile.TemporaryDirectory() as folder:
        taken = _times(_calls(Path(folder) / "part.png"), rounds)
    bare, one = (statistics.median(taken[name]) for name in ("backbone", "backbone and one head"))
    rows = [
        (name, f"{statistics.median(each):.1f} ({min(each):.1f})", f"{statistics.median(each) / bare:.2f}x",
         f"{statistics.median(each) / one:.2f}x")
        for name, each in taken.items()
    ]  # fmt: skip
    about = ABOUT.format(rounds=rounds, threads=given.threads)
    return "\n\n".join([
        "## CLIP-MDC, one picture",
        about,
        table(("what", "ms", "of the backbone", "of one head"), rows),
    ])  # fmt: skip


def _calls(path: Path) -> dict[str, Callable[[], object]]:
    """What is timed."""
    encoder = encoders.load(encoders.DEFAULT, precision="auto")
    detector = CLIPMDC(encoder, defects=["crack", "hole", "stain"], product="part")
    detector.updates.add()
    Image.fromarray((texture(np.random.default_rng(0), 256) * 255).astype(np.uint8)).save(path)
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    decide = decision(calibrate_thresholds([0.0, 0.1, 0.2], scheme="split", peaks=[0.4, 0.45, 0.5]), detector)
    return {
        "backbone": lambda: encoder(image, layers=detector.taps),
        "backbone and one head": lambda: _only_detect(detector, image),
        "backbone and both heads": lambda: detector(image),
        "file to verdict with types": lambda: [decide(cast(Inspected, each)) for each in inspect(detector, [path])],
    }


def _times(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds; all in turn, so that whatever else the machine does falls on all alike. The first turn is free."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        for _ in range(rounds + 1):
            for name, call in calls.items():
                begun = time.perf_counter()
                call()
                taken[name].append(1000 * (time.perf_counter() - begun))
    return {name: each[1:] for name, each in taken.items()}


def _only_detect(detector: CLIPMDC, image: Tensor) -> Tensor:
    raw = detector._join(detector.encoder(image, layers=detector.taps))
    grid = detector.map_head.after(detector.adapter, raw)
    detector.score_head(raw, grid)
    return smooth(upsample(grid.squeeze(1).sigmoid(), image.shape[-2:]), detector.sigma)


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
