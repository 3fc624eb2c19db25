"""Whether each reconstructed method's own block does what its abstract says, and whether it learns at all.

    python benchmarks/claims.py [--only claims learning] [--methods NAME ...] [--threads 2]

Claims: every method is trained with its block and with the block off, on the same pictures, from the same seeds, and
measured by the figure that its abstract speaks of, on a small scene where that could fail; "untrained" is the same
after a step of no length. Learning: the method as it is, trained on sixteen categories of generated parts and measured
on eight others, beside its untrained self; what learns from the parts it inspects also on good parts of these eight.
Either holds where the mean difference over seeds exceeds its 95 % interval (Student's t, paired). Rows go to
`claims.jsonl` beside this file, and one that is there, of the same seeds, steps and code, is not measured again; the
tables are printed, `run.py --only claims` writes them into RESULTS.md, `make tables` what they say into the catalogue.
Nothing is tuned by them. What a tower without seams sees of a picture is computed once for all methods, and a detector
that several claims ask for is trained once.
"""

from __future__ import annotations

import argparse
import inspect
import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scenes
import torch
from album import Album
from harness import HERE, Options, table
from scipy import stats

from blemish import catalog, encoders
from blemish.catalog.reconstructions import RECONSTRUCTIONS
from blemish.fitting import remember
from blemish.metrics import image, pixel
from blemish.training import sentences
from blemish.training.loop import train
from blemish.types import GOOD, Batch, Encoder, Prediction

RAW = HERE / "claims.jsonl"
BATCH = 8


class Size(NamedTuple):
    """How much is measured, and on how much."""

    seeds: int
    steps: int
    tested: int  # pictures, half of them flawed
    shown: int  # good parts, to what remembers them
    batches: int  # that are drawn; then the first one is learned from again


OF_CLAIMS, OF_LEARNING = Size(5, 30, 32, 8, 30), Size(5, 250, 96, 32, 48)
PURIFIED = 30  # batches, the first that training sees
CLEAN = "precision of the clean set"
LEARNS = "it learns"
HEAD = ("method", "the block", "scene", "figure", "untrained", "without", "with", "difference", "held")
HEAD_OF_LEARNING = (
    "method", "encoder", "categories", "pixel AP untrained", "trained", "difference", "learns",
    "image AUROC untrained", "trained", "difference",
)  # fmt: skip
ABOUT = (
    "By `benchmarks/claims.py`: every reconstructed method with its own block and without, on one small generated "
    "scene a claim, the mean over seeds; the difference with its 95 % interval, paired by seed. `held` says whether "
    "it exceeds that in the direction claimed. The scenes are few, the trainings short and the encoder the shipped one "
    "(or `test-tiny`, random weights, where a method needs a transformer): a claim that does not hold here may hold on "
    "pictures, and the other way round. Before, there were three seeds, and intervals were twice as wide."
)
ABOUT_LEARNING = (
    "The same methods as they are, beside themselves before training. `held out`: trained on sixteen categories of "
    "generated parts, measured on eight others; what remembers good parts is shown 32 of these. What learns from the "
    "parts it inspects has batches of one category each there, and is trained once more `at home`: on good parts of "
    "the eight tested categories, half of them with flaws made by NSA, and measured on new parts. `learns`: pixel AP,"
    " for all methods, is higher than untrained by more than the interval; image AUROC stands beside it. All have 250"
    " steps at three times their own rate, 384 pictures a seed to learn from and 96 to be measured on. Flaws are "
    "changes of texture: ripples, grain, a smear. The shipped encoder was taught by drawn scratches, holes and "
    "stains; of such flaws, made faint, 14 of 25 methods learned in 100 steps, which was measured first. Kind and "
    "strength of these flaws, the number of steps and the last changes of anomaly-nlp, scale-clip, ov-as and ov-iad "
    "were chosen on other seeds (100 to 104). CLIP-Core's layer can change little: distances by the covariance of "
    "good parts are the same behind any invertible layer, but for shrinkage and dropped axes; one that was trained "
    "behind the whitening, on differences from the nearest good place, changed nothing either."
)
TRAINING = "blemish.training."  # where what methods have in common is
OLD = "; older code"
BOTH = "cannot be told: both are perfect"


class Claim(NamedTuple):
    """One switch of one method."""

    method: str
    scene: scenes.Scene
    figure: str
    switch: Mapping[str, Any]  # the arguments that switch the block off
    given: Mapping[str, Any] = {}  # arguments of both


of, wrong = cache(scenes.scene), cache(scenes.wrong_labels)


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
    Claim("dma-sap", of(scenes.two_faint_sizes), "image AUROC", {"pooling": "class"}),
    Claim("dcs", of(scenes.fine_edges), "pixel AP", {"segment": "none"}),
    Claim("ov-as", of(scenes.three_types), "types", {"shots": 0}, {"vocabulary": TYPES, "shots": 5}),
    Claim("ov-iad", of(scenes.three_types), "types", {"words": "names"}, {"vocabulary": TYPES}),
    Claim("g-anomaly", of(scenes.grainy), "pixel AP", {"graph": False}),
    Claim("scale-clip", of(scenes.look_alike), "1 - FPR at 90 % recall", {"agreement": False}),
    Claim("normal-variation", of(scenes.four_looks), "image AUROC", {"normals": 1}),
    Claim("uniclip-ad", of(scenes.eight_products_faint), "image AUROC", {"rank": 0}),
    Claim("text-adapted-medical", of(scenes.many_products), "pixel AP", {"text_adapter": False}),
    Claim("sea-clip", of(scenes.fine_edges), "pixel AP", {"decoder": False}),
    Claim("tgrf-clip", of(scenes.eight_products), "pixel AP", {"guide": False}),
    Claim("pro-clip", of(scenes.eight_products), "pixel AP", {"prompts": False}),
    Claim("clip-core", of(scenes.loud_channel), "pixel AP", {"metric": "euclidean"}),
    Claim("clip-core", of(scenes.eight_products_faint), "image AUROC", {"plus": False}),
    *(
        Claim("anomaly-nlp", wrong(share), figure, {name: value})
        for share in (0.1, 0.2, 0.4)
        for figure, name, value in (
            ("image AUROC", "purify", False),
            ("image AUROC", "term", "cross-entropy"),
            (CLEAN, "purify", False),
        )
    ),
    Claim("clip-dsa", of(scenes.eight_products), "pixel AP", {"noise": 0.0}),
    Claim("ftpa-dmm", of(scenes.eight_products), "pixel AP", {"refine": False}),
    Claim("ftpa-dmm", of(scenes.shifted), "image AUROC", {"modulate": False}),
    Claim("semantic-splicing", of(scenes.eight_products_faint), "image AUROC", {"margin": 0.0}),
    Claim("adp", of(scenes.eight_products_faint), "image AUROC", {"regularise": 0.0}),
    Claim("adp", of(scenes.eight_products), "pixel AP", {"self_tune": 0.0}),
)


MIXED, IN_TURN, AT_HOME = scenes.held_out(), scenes.held_out_in_turn(), scenes.at_home()
LEARNING = tuple(
    Claim(name, scene, "pixel AP", {})
    for name, card in RECONSTRUCTIONS.items()
    if card.trained
    for scene in (
        *((MIXED,) if card.normal == "none" or card.balanced else (IN_TURN,)),
        *(() if card.auxiliary or card.balanced else (AT_HOME,)),
    )
)


def section(given: Options) -> str:
    """The section of RESULTS.md: the last measurement of each claim, and of each method's learning."""
    last = {key_of(row): row for row in rows()}
    found, learned = (
        [(each, row) for each in claims for row in last.values() if names_of(each).items() <= row.items()]
        for claims in (CLAIMS, LEARNING)
    )
    parts = ["## Claims of reconstructed methods", f"{ABOUT} {circumstances(found)}"]
    parts += [found and table(HEAD, [cells(*each) for each in found]), lacking(CLAIMS, found)]
    parts += ["### Learning", f"{ABOUT_LEARNING} {circumstances(learned)}"]
    parts += [learned and table(HEAD_OF_LEARNING, [cells_of_learning(*each) for each in learned])]
    parts += [lacking(LEARNING, learned), f"Both together: {durations(found + learned)}."]
    return "\n\n".join(part.strip() for part in parts if part)


Found = Sequence[tuple[Claim, Mapping[str, Any]]]


def circumstances(found: Found) -> str:
    """When, where and how long, of all rows together."""
    if not found:
        return ""
    measured = [row for _, row in found]
    said = {f"{row['seeds']} seeds, {row['steps']} steps of {BATCH}" for row in measured}
    places = [sorted({row[name] for row in measured}) for name in ("measured", "machine", "torch")]
    days, machines, versions = (", ".join(each) for each in places)
    return f"{days}, {machines}, torch {versions}, {' or '.join(sorted(said))}; {durations(found)}."


def durations(found: Found) -> str:
    """How long the measurements took, of the processor too, as far as they say so."""
    measured = [row for _, row in found]
    told = [row["processor_seconds"] for row in measured if "processor_seconds" in row]
    which = "they" if len(told) == len(measured) else f"{len(told)} of these {len(measured)} rows"
    minutes = f"{sum(row['seconds'] for row in measured) / 60:.0f} minutes by the clock, beside other work"
    return f"{minutes}; {which} took {sum(told) / 60:.1f} of one core" if told else minutes


def lacking(claims: Sequence[Claim], found: Found) -> str:
    """What there is no row of yet."""
    known = {id(claim) for claim, _ in found}
    rest = [each for each in claims if id(each) not in known]
    names = [f"{each.method} ({said_of(each)}: {each.figure}, {each.scene.name})" for each in rest]
    return f"Not measured yet: {'; '.join(names)}." if names else ""


def cells(claim: Claim, row: Mapping[str, Any]) -> list[str]:
    untrained = f"{np.mean(row['untrained']):.3f}" if row["untrained"] else ""
    values = [f"{np.mean(row[name]):.3f}" for name in ("without", "with")]
    said = verdict(*row["difference"]) if min(map(min, (row["without"], row["with"]))) < 1 else BOTH
    said += OLD if row["code"] != code_of(claim) else ""
    scene = row["scene"].replace("_", " ")
    return [row["method"], row["claim"], scene, row["figure"], untrained, *values, interval(row["difference"]), said]


def cells_of_learning(claim: Claim, row: Mapping[str, Any]) -> list[Any]:
    pixels, images = ([f"{np.mean(row[name]):.3f}" for name in both] for both in (("untrained", "trained"), OF_IMAGES))
    said = verdict(*row["difference"]) + (OLD if row["code"] != code_of(claim) else "")
    more = interval(row["difference_of_images"])
    where = row["scene"].partition(", ")[2]
    return [row["method"], row["encoder"], where, *pixels, interval(row["difference"]), said, *images, more]


OF_IMAGES = ("untrained_images", "trained_images")


def verdict(middle: float, half: float) -> str:
    return "yes" if middle > half else "no: worse" if middle < -half else "no"


def interval(found: Sequence[float]) -> str:
    return f"{found[0]:+.3f} ± {found[1]:.3f}"


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RAW.read_text(encoding="utf-8").splitlines()] if RAW.exists() else []


def key_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("method", "claim", "scene", "figure"))


def said_of(claim: Claim) -> str:
    return f"not {', '.join(f'{name}={value}' for name, value in claim.switch.items())}" if claim.switch else LEARNS


def names_of(claim: Claim) -> dict[str, Any]:
    """What a row says of its claim."""
    return {"method": claim.method, "claim": said_of(claim), "scene": claim.scene.name, "figure": claim.figure}


def code_of(claim: Claim) -> str:
    """Of the method's file, of what such methods have in common, and of what draws the scene."""
    made = catalog.method(claim.method)
    names = dict.fromkeys(each.__module__ for each in inspect.getmro(made) if each.__module__.startswith(TRAINING))
    bases = [sys.modules[name] for name in names if name != sentences.__name__]
    parts = (sys.modules[made.__module__], *bases, sentences, claim.scene.source)
    return sha256("".join(map(inspect.getsource, parts)).encode()).hexdigest()[:12]


def paired(ones: Sequence[float], others: Sequence[float]) -> list[float]:
    """The mean of how much higher the first are, and half of its 95 % interval."""
    apart = np.subtract(ones, others)
    if len(apart) < 2:
        return [float(apart.mean()), float("nan")]
    return [float(apart.mean()), float(stats.t.ppf(0.975, len(apart) - 1) * stats.sem(apart))]


def measure(claim: Claim, seeds: int, steps: int) -> dict[str, Any]:
    """Both settings over the seeds, and the one with the block untrained."""
    trained = catalog.card(claim.method).trained
    both = {"without": [], "with": [], "untrained": []}  # type: dict[str, list[float]]
    for seed in range(seeds):
        settings = {"with": dict(claim.given), "without": {**claim.given, **claim.switch}}
        for name, arguments in settings.items():
            both[name].append(figure(claim, run(claim, arguments, seed, steps), seed)[claim.figure])
        if trained:
            both["untrained"].append(figure(claim, run(claim, settings["with"], seed, 0), seed)[claim.figure])
    return {**both, "difference": paired(both["with"], both["without"])}


def measure_learning(claim: Claim, seeds: int, steps: int) -> dict[str, Any]:
    """The method trained, and after a step of no length, over the seeds."""
    found = {
        name: [figure(claim, run(claim, {}, seed, length), seed) for seed in range(seeds)]
        for name, length in (("untrained", 0), ("trained", steps))
    }
    pixels = {name: [each[claim.figure] for each in values] for name, values in found.items()}
    images = {f"{name}_images": [each["image AUROC"] for each in values] for name, values in found.items()}
    return {
        "encoder": encoder_of(claim.method).name, **pixels, **images,
        "difference": paired(pixels["trained"], pixels["untrained"]),
        "difference_of_images": paired(images["trained_images"], images["untrained_images"]),
    }  # fmt: skip


def size_of(claim: Claim) -> Size:
    return OF_CLAIMS if claim.switch else OF_LEARNING


@cache
def encoder_of(method: str) -> Encoder:
    """The shipped one, or random weights where a method asks for more than it can."""
    return shipped() if catalog.card(method).needs <= shipped().can else encoders.load("test-tiny")


@cache
def shipped() -> Album:
    return Album(encoders.load(encoders.DEFAULT))


def run(claim: Claim, arguments: Mapping[str, Any], seed: int, steps: int) -> Any:
    """The method, trained on the scene and, where it remembers good parts, shown some. steps: 0 for a step of none."""
    return teach(claim.method, claim.scene, size_of(claim), tuple(sorted(arguments.items())), seed, steps)


@lru_cache(maxsize=64)
def teach(
    method: str, scene: scenes.Scene, size: Size, arguments: tuple[tuple[str, Any], ...], seed: int, steps: int
) -> Any:
    """As `run`, once for all claims that ask for the same."""
    card, made = catalog.card(method), catalog.method(method)
    seeded = {"seed": seed} if "seed" in inspect.signature(made).parameters else {}
    detector = made(encoder_of(method), image_size=scenes.SIDE, **seeded, **dict(arguments))
    if card.trained:
        schedule = replace(detector.schedule, steps=max(1, steps), rate=3 * detector.schedule.rate * bool(steps))
        schedule = replace(schedule, batch_size=BATCH, seed=seed, device="cpu", save_every=10**6)
        with tempfile.TemporaryDirectory() as folder:
            train(detector, lambda number: batch_of(scene, seed, number % size.batches), schedule, Path(folder))
    if hasattr(detector, "extract") and card.normal == "required":
        tested = size is OF_LEARNING  # good parts of the categories that it is measured on
        seen = drawn(scene, 1_000_000 + seed, 2 * size.shown, tested)
        remember(detector, [Batch(seen.images[::2].contiguous())])
    return detector


@lru_cache(maxsize=1500)
def drawn(scene: scenes.Scene, number: int, count: int, test: bool) -> Batch:
    """The same for every setting; kept, since drawing takes as long as training."""
    with torch.inference_mode(False):  # what is first drawn to be measured on may be learned from
        return scene.batch(number, count, test)


def batch_of(scene: scenes.Scene, seed: int, number: int) -> Batch:
    return drawn(scene, 10_000 * seed + number, BATCH, False)


@torch.inference_mode()
def figure(claim: Claim, detector: Any, seed: int) -> dict[str, float]:
    """What the abstract speaks of, and image AUROC, on tested pictures of that seed."""
    seen = drawn(claim.scene, seed, size_of(claim).tested, True)
    found: Prediction = detector(seen.images)
    assert seen.masks is not None
    assert seen.labels is not None
    known = {"image AUROC": image.auroc(found.image_score.numpy(), seen.labels.numpy())}
    if claim.figure == CLEAN:
        return known | {CLEAN: precision_of_clean(detector, claim.scene, seed)}
    return known if claim.figure in known else known | {claim.figure: value_of(claim.figure, detector, found, seen)}


def precision_of_clean(detector: Any, scene: scenes.Scene, seed: int) -> float:
    """Share of right labels among those it takes for clean, of pictures it learned from; all, if it does not ask."""
    right, taken = 0, 0
    for number in range(PURIFIED):
        seen = batch_of(scene, seed, number)
        assert seen.labels is not None
        honest = torch.tensor([kind != GOOD for kind in seen.types or ()])
        logits = sentences.picture_logits(detector.frozen(seen.images).image, detector.texts[None])
        clean = detector.clean(logits, seen.labels) if detector.purify else torch.ones_like(honest)
        right, taken = right + int((clean & (honest == seen.labels)).sum()), taken + int(clean.sum())
    return right / taken if taken else float("nan")


def value_of(name: str, detector: Any, found: Prediction, seen: Batch) -> float:
    """The figure of that name."""
    assert seen.masks is not None
    assert seen.labels is not None
    if name == "types":
        assert found.type_scores is not None
        named = [detector.types[int(number)] for number in found.type_scores.argmax(1)]
        pairs = [
            (one, kind) for one, kind, bad in zip(named, seen.types or (), seen.labels.tolist(), strict=True) if bad
        ]
        return float(np.mean([one == kind for one, kind in pairs]))
    maps, masks = found.anomaly_map.numpy(), seen.masks.numpy()
    ranked = pixel.rank_pixels(list(maps), list(masks))
    if name == "AUPRO":
        return pixel.aupro(ranked)
    if name == "pixel AP":
        return pixel.average_precision(ranked)
    level = np.quantile(maps[masks], 0.1)
    return float(1 - (maps[~masks] >= level).mean())


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--only", nargs="+", choices=("claims", "learning"), default=["claims", "learning"])
    made.add_argument("--methods", nargs="+", default=[])
    for name, (one, other) in zip(("seeds", "steps"), zip(OF_CLAIMS, OF_LEARNING, strict=True), strict=False):
        made.add_argument(f"--{name}", type=int, help=f"(default: {one} of claims, {other} of learning)")
    made.add_argument("--threads", type=int, default=2)
    given = made.parse_args()
    torch.set_num_threads(given.threads)
    known = rows()
    for claim in (*(CLAIMS if "claims" in given.only else ()), *(LEARNING if "learning" in given.only else ())):
        seeds, steps = given.seeds or size_of(claim).seeds, given.steps or size_of(claim).steps
        asked = names_of(claim) | {"seeds": seeds, "steps": steps, "code": code_of(claim)}
        if (given.methods and claim.method not in given.methods) or any(asked.items() <= row.items() for row in known):
            continue
        begun, worked = time.monotonic(), time.process_time()
        row = asked | (measure if claim.switch else measure_learning)(claim, seeds, steps)
        row |= {
            "instead_of": {name: claim.given[name] for name in claim.switch if name in claim.given},
            "seconds": round(time.monotonic() - begun, 1),
            "processor_seconds": round(time.process_time() - worked, 1),
            "measured": datetime.now(tz=UTC).date().isoformat(),
            "machine": platform.processor() or platform.machine(), "torch": torch.__version__,
        }  # fmt: skip
        with RAW.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        said = map(str, (cells if claim.switch else cells_of_learning)(claim, row))
        print(" | ".join(said), f"{row['seconds']} s, {row['processor_seconds']} of a processor", flush=True)
    print(section(Options()))


if __name__ == "__main__":
    main()
