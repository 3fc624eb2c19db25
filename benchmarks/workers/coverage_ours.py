"""False rejects among later parts, by calibrations from many random splits of one pool of good parts.

coverage_ours.py ROOT|drawn WEIGHTS METHOD SPLITS
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from plates import plate
from scipy.stats import betabinom
from torch import Tensor, nn

from blemish import catalog, data, encoders
from blemish.calibration.guarantees import false_rejects
from blemish.calibration.thresholds import Goal, Scheme, calibrate_thresholds
from blemish.fitting import good_parts, remember
from blemish.recipes.holdout import draw_folds, parts_of
from blemish.types import GOOD, Batch, Encoder, Features, Geometry, Learner

SIDE = 64
"""Small pictures: what is measured does not depend on how well a method tells them apart."""
DRAWN = 1000
LATER = 200
"""Parts that a calibration is held against, of those that are left over."""
FOLDS = 5
ARGUMENTS: dict[str, dict[str, Any]] = {
    "patchcore": {"width": 96, "ratio": 0.02, "image_size": SIDE},
    "padim": {"channels": 32, "image_size": SIDE},
}


class Way(NamedTuple):
    """A calibration as a user would ask for it."""

    scheme: Scheme
    learned: int
    held: int
    asked: str
    goal: Goal


WAYS = (
    Way("split", 20, 60, "strictest", Goal()),
    Way("split", 20, 60, "2 % false rejects", Goal(false_reject=0.02)),
    Way("split", 20, 100, "5 % false rejects", Goal(false_reject=0.05)),
    Way("cross", 60, 60, "strictest", Goal()),
    Way("cross", 60, 60, "30 % false rejects", Goal(false_reject=0.3)),
)


class Pool(nn.Module):
    """An encoder that has seen all parts before: its images are one number each, and say which part they are of."""

    def __init__(self, encoder: Encoder, images: Sequence[Tensor], layers: tuple[int, ...]) -> None:
        super().__init__()
        self.name, self.sha256, self.depth = encoder.name, encoder.sha256, encoder.depth
        self.image_size, self.patch_size = encoder.image_size, encoder.patch_size
        self.can, self.width, self.widths = encoder.can, encoder.width, encoder.widths
        found = [encoder(batch, layers=layers).patches for batch in images]
        self.layers = {layer: torch.cat([each[at] for each in found]) for at, layer in enumerate(layers)}

    def forward(self, images: Tensor, *, layers: Sequence[int] = ()) -> Features:
        """The features of the parts that the images name."""
        parts = images[:, 0, 0, 0].long()
        return Features(torch.zeros(len(parts), 1), tuple(self.layers[layer][parts] for layer in layers))


def main() -> None:
    source, weights, method, splits = sys.argv[1:]
    encoder = encoders.load(weights or encoders.DEFAULT)
    layers = (encoder.depth // 2, encoder.depth * 3 // 4)
    with torch.inference_mode(), _pictures(source) as paths:
        parts = [part[0] for part in parts_of(paths, every_picture=source == "drawn")]
        pool = Pool(
            encoder, [batch.images for batch in good_parts(parts, Geometry(SIDE, multiple=encoder.patch_size))], layers
        )
        detector = catalog.detector(method, cast("Encoder", pool), ARGUMENTS[method] | {"layers": layers})
        ways = [_covered(way, cast("Learner", detector), len(parts), int(splits)) for way in WAYS]
    print(json.dumps({"ways": ways}))


@contextmanager
def _pictures(source: str) -> Iterator[list[Path]]:
    """All good parts of a data set, or drawn plates."""
    if source != "drawn":
        every = [each for split in ("train", "test") for each in data.samples(Path(source), split=split)]
        yield [each.image for each in every if each.label == GOOD]
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.png" for number in range(DRAWN)]
        for number, path in enumerate(paths):
            plate(np.random.default_rng(number)).save(path)
        yield paths


def _covered(way: Way, detector: Learner, parts: int, splits: int) -> dict[str, Any]:
    """What the calibrations of all splits promised, and how often it was kept."""
    rates, promised = [], None
    for seed in range(splits):
        order = np.random.default_rng([seed, parts]).permutation(parts)[: way.learned + way.held + LATER]
        learned, rest = order[: way.learned], order[way.learned :]
        if way.scheme == "split":
            score = _fitted(detector, learned)
            held, later, fold = score(rest[: way.held]), score(rest[way.held :]), 1
        else:
            folds = [learned[numbers] for numbers in draw_folds(len(learned), FOLDS, seed)]
            held = np.concatenate([_fitted(detector, np.setdiff1d(learned, out))(out) for out in folds])
            later, fold = _fitted(detector, learned)(rest[:LATER]), len(folds[0])
        calibration = calibrate_thresholds(held.tolist(), scheme=way.scheme, fold=fold, goal=way.goal)
        promised = false_rejects(calibration)
        rates.append(float(np.mean([calibration.verdict(each) == "reject" for each in later.tolist()])))
        if seed % 50 == 0:
            print(f"{way.scheme}, {way.asked}: {seed} of {splits}", file=sys.stderr, flush=True)
    assert promised
    least = _least(way, promised.highest, promised.cases, len(later))
    return {
        "scheme": way.scheme,
        "goal": way.asked,
        "learned": way.learned,
        "held": way.held,
        "later": len(later),
        "average": promised.average,
        "measured": statistics.mean(rates),
        "error": statistics.stdev(rates) / len(rates) ** 0.5,
        "highest": promised.highest,
        "kept": statistics.mean(rate <= (promised.highest or 0.0) for rate in rates),
        "least": least,
        "least_error": (least * (1 - least) / splits) ** 0.5,
    }


def _fitted(detector: Learner, parts: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    remember(detector, map(Batch, _images(parts)))

    def scores(others: np.ndarray) -> np.ndarray:
        return torch.cat([detector(batch).image_score for batch in _images(others)]).double().numpy()

    return scores


def _images(parts: np.ndarray) -> list[Tensor]:
    """Pictures that say which parts they are of, as large as a detector expects."""
    return [batch.float()[:, None, None, None].expand(-1, 3, SIDE, SIDE) for batch in torch.from_numpy(parts).split(64)]


def _least(way: Way, highest: float | None, exceeded: int, later: int) -> float:
    """How probably at most that share of so many later parts is rejected, by the law of the rate itself.

    A rate that follows Beta(k, n + 1 - k) rejects a Beta-binomial number of later parts.
    """
    if highest is None or highest == 0:
        return 1.0
    k = exceeded + 1
    return float(betabinom.cdf(int(highest * later + 1e-9), later, k, way.held + 1 - k))


if __name__ == "__main__":
    main()
