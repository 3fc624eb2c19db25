"""Growing a recipe, showing it missed defects, and the streaming coreset, on one labelled data set.

teaching_ours.py ROOT WEIGHTS METHOD ROUNDS SEEDS SHARE
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from blemish import data, encoders
from blemish.blocks.exemplars import patch_descriptors
from blemish.blocks.memory import MemoryBank
from blemish.calibration.thresholds import upper_threshold
from blemish.data.masks import is_empty
from blemish.data.sampling import normals
from blemish.encoders.inputs import as_tensor
from blemish.images import keyed_batches
from blemish.inspection import prepare
from blemish.metrics import image
from blemish.recipes import detectors, provenance, update
from blemish.recipes.known_defects import WithKnownDefects
from blemish.recipes.recipe import Recipe
from blemish.types import GOOD, Batch, Detector, Encoder, Learner, Prediction, Sample

OVERKILL = 0.05
SHOWN = 2
HELD_OUT = 100
"""Good parts of the training split that set the threshold when defects are shown."""
CHECKED = 16
"""Pictures whose whole maps are compared after forgetting."""


class Seen(NamedTuple):
    """What a detector without shown defects finds in pictures, and what shown defects are compared with."""

    found: Prediction
    patches: Tensor


def main() -> None:
    root, weights, method, rounds, seeds, share = sys.argv[1:]
    encoder = encoders.load(weights)
    train = normals(data.samples(Path(root), layout=None, category=None, split="train"))
    test = [each for each in data.samples(Path(root), layout=None, category=None, split="test") if each.label]
    order = np.random.default_rng(0).permutation(len(train))[: int(len(train) * float(share))]
    test = [test[number] for number in range(0, len(test), round(1 / float(share)))]
    good = [train[number].image for number in order]
    report: dict[str, Any] = {"good": len(good), "test": len(test)}
    report["growing"] = growing(method, encoder, good, test, int(rounds))
    report["streaming"] = streaming(method, encoder, good, test) if method == "patchcore" else []
    report["showing"] = showing(method, encoder, good, test, int(seeds))
    print(json.dumps(report))


def growing(method: str, encoder: Encoder, good: list[Path], test: list[Sample], rounds: int) -> dict[str, Any]:
    """A tenth of the parts added to the others, against all of them learned at once."""
    more = len(good) // 10
    say(f"{method}: {len(good) - more} and {more} good parts, {rounds} rounds")
    first = update.freeze(method, encoder, good=good[:-more])
    adding, building = [], []
    for _ in range(rounds):
        grown, seconds = timed(lambda: update.add_good(first, good[-more:], encoder=encoder))
        adding.append(seconds)
        anew, seconds = timed(lambda: update.freeze(method, encoder, good=good))
        building.append(seconds)
    return {
        "known": len(good) - more,
        "more": more,
        "adding": adding,
        "building": building,
        "auroc grown": auroc(grown, encoder, test),
        "auroc anew": auroc(anew, encoder, test),
        "auroc before": auroc(first, encoder, test),
    }


def streaming(method: str, encoder: Encoder, good: list[Path], test: list[Sample]) -> list[dict[str, Any]]:
    """A bank that good parts come to in ten lots, with room for all and for half, against one chosen among all."""
    lot = len(good) // 10
    lots = [good[start : start + lot] for start in range(0, 10 * lot, lot)]
    whole = update.freeze(method, encoder, good=good[: 10 * lot])
    ratio = float(detectors.bare_detector(whole, {"encoder": encoder}).ratio)  # type: ignore[attr-defined]
    half = update.freeze(method, encoder, good=good[: 10 * lot], arguments={"ratio": ratio / 2})
    budget = size(whole, encoder) / 2
    pupil = detectors.bare_detector(whole, {"encoder": encoder})
    assert isinstance(pupil, Learner)
    rows = torch.cat([pupil.extract(Batch(images))[0][0] for _, images in loaded(good[: 10 * lot], pupil)])
    found = {
        "all at once": lambda: whole,
        "ten lots": lambda: in_lots(method, encoder, lots, None),
        "all at once, half the rows": lambda: half,
        "ten lots, room for half": lambda: in_lots(method, encoder, lots, budget),
    }
    return [measured(name, make(), encoder, rows, test) for name, make in found.items()]


def in_lots(method: str, encoder: Encoder, lots: list[list[Path]], budget: float | None) -> Recipe:
    recipe = update.freeze(method, encoder, good=lots[0])
    for number, lot in enumerate(lots[1:], start=2):
        say(f"lot {number} of {len(lots)}")
        recipe = update.add_good(recipe, lot, encoder=encoder, budget=budget)
    return recipe


def measured(name: str, recipe: Recipe, encoder: Encoder, rows: Tensor, test: list[Sample]) -> dict[str, Any]:
    """How well a recipe's bank covers all patches of its good parts, and what that does to its scores."""
    bank = MemoryBank("euclidean")
    bank.hold(recipe.tensors["detector.bank.rows"])
    apart = bank.distance(rows)
    return {
        "name": name,
        "rows": len(bank.rows),
        "radius": float(apart.max()),
        "mean": float(apart.mean()),
        "auroc": auroc(recipe, encoder, test),
    }


def showing(method: str, encoder: Encoder, good: list[Path], test: list[Sample], seeds: int) -> list[dict[str, Any]]:
    """Escapes of each type before and after two of it were shown, at thresholds from held-out good parts alone."""
    held = min(HELD_OUT, len(good) // 3)
    recipe = update.freeze(method, encoder, good=good[:-held])
    detector = detectors.bare_detector(recipe, {"encoder": encoder})
    say(f"{method}: looking at {held} held-out and {len(test)} test pictures")
    validation, seen = (look(detector, encoder, paths) for paths in (good[-held:], [each.image for each in test]))
    return [
        shown(recipe, encoder, test, kind, seed, validation, seen)
        for kind in sorted({each.label for each in test} - {GOOD})
        for seed in range(seeds)
    ]


def shown(
    recipe: Recipe, encoder: Encoder, test: list[Sample], kind: str, seed: int, validation: Seen, seen: Seen
) -> dict[str, Any]:
    kinds = np.array([each.label for each in test])
    drawn = np.random.default_rng([seed, len(kind)]).permutation(np.flatnonzero(kinds == kind))
    examples = [test[number] for number in drawn[:SHOWN]]
    masks = {each.image: each.mask for each in examples if each.mask and not is_empty(each.mask)}
    taught, seconds = timed(
        lambda: update.add_defects(recipe, kind, [each.image for each in examples], masks=masks, encoder=encoder)
    )
    ready = detectors.detector(taught, encoder)
    assert isinstance(ready, WithKnownDefects)
    raised = [ready.raised(*part).image_score.numpy() for part in (validation, seen)]
    plain = [part.found.image_score.numpy() for part in (validation, seen)]
    rest, fine = drawn[SHOWN:], np.flatnonzero(kinds == GOOD)
    say(f"{kind}, seed {seed}")
    return {
        "kind": kind,
        "seed": seed,
        "rest": len(rest),
        "seconds": seconds,
        "before": rates(*plain, rest, fine),
        "after": rates(*raised, rest, fine),
        "forgotten": forgotten(recipe, taught, encoder, [each.image for each in test[:CHECKED]]),
    }


def rates(held: np.ndarray, scores: np.ndarray, defects: np.ndarray, fine: np.ndarray) -> dict[str, float]:
    """Escape and overkill on test pictures; at most OVERKILL of the held-out good parts reach the threshold."""
    threshold = upper_threshold(held.tolist(), int(OVERKILL * len(held)) + 1)
    labels = np.r_[np.ones(len(defects), bool), np.zeros(len(fine), bool)]
    return {
        "escape": float((scores[defects] < threshold).mean()),
        "overkill": float((scores[fine] >= threshold).mean()),
        "auroc": float(image.auroc(scores[np.r_[defects, fine]], labels)),
    }


def forgotten(recipe: Recipe, taught: Recipe, encoder: Encoder, paths: list[Path]) -> bool:
    """Whether forgetting the shown defects restores tensors, scores and maps bit for bit."""
    back = update.forget(taught, [each.id for each in taught.taught if each not in recipe.taught], encoder=encoder)
    tensors = back.tensors.keys() == recipe.tensors.keys() and all(
        torch.equal(tensor, back.tensors[name]) for name, tensor in recipe.tensors.items()
    )
    one, other = (predicted(detectors.detector(each, encoder), paths) for each in (recipe, back))
    return (
        tensors and torch.equal(one.image_score, other.image_score) and torch.equal(one.anomaly_map, other.anomaly_map)
    )


def look(detector: Detector, encoder: Encoder, paths: list[Path]) -> Seen:
    found, patches = [], []
    with torch.inference_mode():
        for _, images in loaded(paths, detector):
            found.append(detector(images))
            patches.append(patch_descriptors(encoder, images))
    scores, maps = (torch.cat(each) for each in zip(*(each[:2] for each in found), strict=True))
    return Seen(Prediction(scores, maps), torch.cat(patches))


def predicted(detector: Detector, paths: list[Path]) -> Prediction:
    with torch.inference_mode():
        found = [detector(images) for _, images in loaded(paths, detector)]
    return Prediction(torch.cat([each.image_score for each in found]), torch.cat([each.anomaly_map for each in found]))


def loaded(paths: Sequence[Path], detector: Detector) -> Any:
    inputs = ((path, next(iter(prepare(path, detector.geometry).inputs))) for path in paths)
    return ((names, as_tensor(images)) for names, images in keyed_batches(inputs, 8))


def auroc(recipe: Recipe, encoder: Encoder, test: list[Sample]) -> float:
    scores = predicted(detectors.detector(recipe, encoder), [each.image for each in test]).image_score
    return float(image.auroc(scores.numpy(), np.array([each.is_anomalous for each in test])))


def size(recipe: Recipe, encoder: Encoder) -> float:
    """MiB of what good parts have taught."""
    pupil = detectors.bare_detector(recipe, {"encoder": encoder})
    assert isinstance(pupil, Learner)
    return provenance.memory_of(pupil, recipe.tensors).bytes / 2**20


def timed(make: Callable[[], Recipe]) -> tuple[Recipe, float]:
    start = time.perf_counter()
    return make(), time.perf_counter() - start


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
