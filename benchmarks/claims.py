"""Whether each reconstructed method's own block does what its abstract says, on a scene where it could fail.

    python benchmarks/claims.py [--methods NAME ...] [--seeds 5] [--steps 60] [--threads 2]

Every method is trained with its block and with the block off, on the same pictures, from the same seeds, and measured
by the figure that its abstract speaks of, on parts that training never showed; "untrained" is the same after a step of
no length. A claim holds where the mean difference over seeds exceeds its 95 % interval (Student's t, paired). Rows go
to `claims.jsonl` beside this file, and `run.py --only claims` writes them into RESULTS.md. Nothing is tuned by them.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scenes
import torch
from harness import HERE, Options, table
from scipy import stats

from blemish import catalog, encoders
from blemish.fitting import remember
from blemish.metrics import image, pixel
from blemish.training.loop import train
from blemish.types import Batch, Features, Prediction

RAW = HERE / "claims.jsonl"
TESTED, BATCH, GOOD_PARTS, MOST_SEEN = 32, 8, 8, 2000
HEAD = ("method", "the block", "figure", "untrained", "without", "with", "difference", "held")
ABOUT = (
    "By `benchmarks/claims.py`: every reconstructed method with its own block and without, on one small generated "
    "scene a claim, the mean over seeds; the difference with its 95 % interval, paired by seed. `held` says whether "
    "it exceeds that in the direction claimed. The scenes are few, the trainings short and the encoder the shipped one "
    "(or `test-tiny`, random weights, where a method needs a transformer): a claim that does not hold here may hold on "
    "pictures, and the other way round."
)


class Claim(NamedTuple):
    """One switch of one method."""

    method: str
    scene: scenes.Scene
    figure: str
    switch: Mapping[str, Any]  # the arguments that switch the block off
    given: Mapping[str, Any] = {}  # arguments of both


@cache
def of(draw: scenes.Draw) -> scenes.Scene:
    return scenes.scene(draw)


TYPES = ("scratch", "hole", "stain")
UNKNOWN = "zorblax kufnet"
CLAIMS = (
    Claim("fe-clip", of(scenes.waves), "pixel AP", {"frequency": None}),
    Claim("genclip", of(scenes.many_products), "pixel AP", {"term_weights": False}, {"product": UNKNOWN}),
    Claim("genclip", of(scenes.many_products), "pixel AP", {"branches": "query"}),
    Claim("hieclip", of(scenes.two_sizes), "pixel AP", {"weights": "equal"}),
    Claim("fp-clip", of(scenes.clutter), "pixel AP", {"foreground": False}),
    Claim("dyc-clip", of(scenes.many_products), "pixel AP", {"dynamic": False}),
    Claim("ia-clip", of(scenes.faint), "pixel AP", {"triplet": 0.0}),
    Claim("ia-clip", of(scenes.faint), "pixel AP", {"focal": 0.0}),
    Claim("code-clip", of(scenes.many_products), "pixel AP", {"decouple": False}),
    Claim("iad-clip", of(scenes.many_products), "pixel AP", {"adapt_steps": 0}),
    Claim("attribute-clip", of(scenes.two_materials), "pixel AP", {"components": 1}),
    Claim("attribute-clip", of(scenes.many_products), "pixel AP", {"bridge": False}),
    Claim("dma-sap", of(scenes.fine_edges), "AUPRO", {"align": False}),
    Claim("dma-sap", of(scenes.two_sizes), "image AUROC", {"pooling": "class"}),
    Claim("dcs", of(scenes.fine_edges), "pixel AP", {"segment": "none"}),
    Claim("ov-as", of(scenes.three_types), "types", {"shots": 0}, {"vocabulary": TYPES, "shots": 5}),
    Claim("ov-iad", of(scenes.three_types), "types", {"words": "names"}, {"vocabulary": TYPES}),
    Claim("g-anomaly", of(scenes.grainy), "pixel AP", {"graph": False}),
    Claim("scale-clip", of(scenes.look_alike), "1 - FPR at 90 % recall", {"agreement": False}),
    Claim("normal-variation", of(scenes.four_looks), "image AUROC", {"normals": 1}),
    Claim("uniclip-ad", of(scenes.eight_products), "image AUROC", {"rank": 0}),
    Claim("text-adapted-medical", of(scenes.many_products), "pixel AP", {"text_adapter": False}),
    Claim("sea-clip", of(scenes.fine_edges), "pixel AP", {"decoder": False}),
    Claim("tgrf-clip", of(scenes.eight_products), "pixel AP", {"guide": False}),
    Claim("pro-clip", of(scenes.eight_products), "pixel AP", {"prompts": False}),
    Claim("clip-core", of(scenes.loud_channel), "pixel AP", {"metric": "euclidean"}),
    Claim("clip-core", of(scenes.eight_products), "image AUROC", {"plus": False}),
    *(
        Claim("anomaly-nlp", scenes.wrong_labels(share), "image AUROC", switch)
        for share in (0.1, 0.2, 0.4)
        for switch in ({"purify": False}, {"term": "cross-entropy"})
    ),
    Claim("clip-dsa", of(scenes.eight_products), "pixel AP", {"noise": 0.0}),
    Claim("ftpa-dmm", of(scenes.eight_products), "pixel AP", {"refine": False}),
    Claim("ftpa-dmm", of(scenes.shifted), "image AUROC", {"modulate": False}),
    Claim("semantic-splicing", of(scenes.eight_products), "image AUROC", {"margin": 0.0}),
    Claim("adp", of(scenes.eight_products), "image AUROC", {"regularise": 0.0}),
    Claim("adp", of(scenes.eight_products), "pixel AP", {"self_tune": 0.0}),
)


def section(given: Options) -> str:
    """The section of RESULTS.md: the last measurement of each claim."""
    found = rows()
    if not found:
        return f"## Claims of reconstructed methods\n\n{ABOUT}"
    last = {json.dumps([row["method"], row["claim"], row["scene"]]): row for row in found}
    first = next(iter(last.values()))
    runs = f"{first['seeds']} seeds, {first['steps']} steps of {BATCH}"
    machine = f"{first['measured']}, {first['machine']}, torch {first['torch']}, {runs}"
    return f"## Claims of reconstructed methods\n\n{ABOUT} {machine}.\n\n{table(HEAD, map(cells, last.values()))}"


def cells(row: Mapping[str, Any]) -> list[str]:
    untrained = f"{np.mean(row['untrained']):.3f}" if row["untrained"] else ""
    middle, half = row["difference"]
    said = "yes" if middle > half else "no: worse" if middle < -half else "no"
    values = [f"{np.mean(row[name]):.3f}" for name in ("without", "with")]
    return [row["method"], row["claim"], row["figure"], untrained, *values, f"{middle:+.3f} ± {half:.3f}", said]


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.exists() else []


def measure(claim: Claim, given: argparse.Namespace) -> dict[str, Any]:
    """Both settings over the seeds, and the one with the block untrained."""
    trained = catalog.card(claim.method).trained
    both = {"without": [], "with": [], "untrained": []}  # type: dict[str, list[float]]
    begun = time.monotonic()
    for seed in range(given.seeds):
        settings = {"with": dict(claim.given), "without": {**claim.given, **claim.switch}}
        for name, arguments in settings.items():
            both[name].append(figure(claim, run(claim, arguments, seed, given.steps), seed))
        if trained:
            both["untrained"].append(figure(claim, run(claim, settings["with"], seed, 0), seed))
    apart = np.subtract(both["with"], both["without"])
    spread = stats.sem(apart) if len(apart) > 1 else 0.0
    half = float(stats.t.ppf(0.975, len(apart) - 1) * spread) if len(apart) > 1 else float("nan")
    switch = ", ".join(f"{name}={value}" for name, value in claim.switch.items())
    return {
        "method": claim.method, "claim": f"not {switch}", "scene": name_of(claim), "figure": claim.figure, **both,
        "difference": [float(apart.mean()), half], "seeds": given.seeds, "steps": given.steps,
        "seconds": round(time.monotonic() - begun, 1), "measured": datetime.now(tz=UTC).date().isoformat(),
        "machine": platform.processor() or platform.machine(), "torch": torch.__version__,
    }  # fmt: skip


def name_of(claim: Claim) -> str:
    return str(CLAIMS.index(claim))


def run(claim: Claim, arguments: Mapping[str, Any], seed: int, steps: int) -> Any:
    """The method, trained on the scene and, where it remembers good parts, shown some. steps: 0 for a step of none."""
    card = catalog.card(claim.method)
    encoder = encoders.load(encoders.DEFAULT)
    if not card.needs <= encoder.can:
        encoder = encoders.load("test-tiny")
    seeded = {"seed": seed} if "seed" in signature(catalog.method(claim.method)).parameters else {}
    detector = catalog.method(claim.method)(encoder, image_size=scenes.SIDE, **seeded, **arguments)
    if card.trained:
        schedule = replace(detector.schedule, steps=max(1, steps), rate=3 * detector.schedule.rate * bool(steps))
        schedule = replace(schedule, batch_size=BATCH, seed=seed, device="cpu", save_every=10**6)
        with tempfile.TemporaryDirectory() as folder:
            train(detector, partial(seen_by, detector, claim.scene, seed), schedule, Path(folder))
    if hasattr(detector, "extract") and card.normal == "required":
        seen = claim.scene(1_000_000 + seed, 2 * GOOD_PARTS, False)
        good = Batch(seen.images[::2])
        remember(detector, [good])
    return detector


@lru_cache(maxsize=1500)
def batch_of(scene: scenes.Scene, seed: int, number: int) -> Batch:
    """The same for every setting; kept, since drawing takes as long as training."""
    return scene(10_000 * seed + number, BATCH, False)


SEEN: dict[tuple[Any, ...], Features] = {}
"""What frozen towers saw of one claim's batches: both settings, and often those of other methods, see the same."""


def seen_by(detector: Any, scene: scenes.Scene, seed: int, number: int) -> Batch:
    """A batch, with what the detector's frozen tower sees in it if it has one."""
    found = batch_of(scene, seed, number)
    if not hasattr(detector, "frozen"):
        return found
    key = (type(detector).frozen, detector.taps if hasattr(detector, "taps") else (), scene, seed, number)
    if key not in SEEN:
        if len(SEEN) > MOST_SEEN:
            SEEN.clear()
        SEEN[key] = detector.frozen(found.images)
    return replace(found, features=SEEN[key])


@torch.inference_mode()
def figure(claim: Claim, detector: Any, seed: int) -> float:
    """What the abstract speaks of, on tested pictures of that seed."""
    seen = claim.scene(seed, TESTED, True)
    found: Prediction = detector(seen.images)
    assert seen.masks is not None
    assert seen.labels is not None
    if claim.figure == "image AUROC":
        return image.auroc(found.image_score.numpy(), seen.labels.numpy())
    if claim.figure == "types":
        assert found.type_scores is not None
        named = [detector.types[int(number)] for number in found.type_scores.argmax(1)]
        pairs = [
            (one, kind) for one, kind, bad in zip(named, seen.types or (), seen.labels.tolist(), strict=True) if bad
        ]
        return float(np.mean([one == kind for one, kind in pairs]))
    maps, masks = found.anomaly_map.numpy(), seen.masks.numpy()
    ranked = pixel.rank_pixels(list(maps), list(masks))
    if claim.figure == "AUPRO":
        return pixel.aupro(ranked)
    if claim.figure == "pixel AP":
        return pixel.average_precision(ranked)
    level = np.quantile(maps[masks], 0.1)
    return float(1 - (maps[~masks] >= level).mean())


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--methods", nargs="+", default=[])
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--steps", type=int, default=60)
    made.add_argument("--threads", type=int, default=2)
    given = made.parse_args()
    torch.set_num_threads(given.threads)
    for claim in CLAIMS:
        if not given.methods or claim.method in given.methods:
            row = measure(claim, given)
            with RAW.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(" | ".join(cells(row)), f"{row['seconds']} s", file=sys.stdout, flush=True)


if __name__ == "__main__":
    main()
