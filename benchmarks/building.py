"""How defects of buildings are named by terms, sentences, definitions and pictures: rows of `defect_types.jsonl`.

    python benchmarks/building.py

Walls of concrete, plaster and brick are drawn, each with a defect of one of the types of `blocks.prompts.BUILDING`, and
named as `defect_types.py` does it: half of each type may teach, the other half tests, drawn anew by each seed.
Yong et al. (10.1111/mice.12954) found that definitions of the field beat general ones, whole sentences lists of terms,
and words with pictures either. The shipped encoder has seen such drawings with the names of their defects, and
pictures of real ones are not here.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from album import Album
from defect_types import RAW, Seen, accuracy, interval, look, write
from PIL import Image
from torch.nn import functional as F

from blemish import catalog, encoders
from blemish.blocks.prompts import BUILDING
from blemish.errors import BadInput
from blemish.synth.drawn.flaws.flaws import add_flaw
from blemish.synth.drawn.materials.minerals import MINERALS
from blemish.synth.drawn.optics import draw_camera, draw_light, illuminate, meter, photograph
from blemish.synth.drawn.scene import Scene
from blemish.synth.drawn.specimens import SMALLEST, visible

WALLS, PRODUCT, SET = ("brick", "concrete", "plaster"), "wall", "walls, drawn"
PICTURES, SIDE, SEEDS, SHOTS = 12, 224, 5, (1, 3, 5)
GENERAL = {
    "crack": ("a line on the surface of something along which it has split without breaking apart",),
    "mould": ("a soft growth that develops on old food or on things that have been left in warm wet air",),
    "peeling": ("coming off in strips or small pieces",),
    "rust": ("a reddish brown substance that forms on the surface of iron and steel",),
    "spall": ("a splinter or chip",),
    "water mark": ("a mark that is left by water",),
}
"""Of the same words, as a dictionary has them."""


def draw_wall(rng: np.random.Generator, family: str) -> Image.Image:
    """A wall with a defect that can be seen."""
    while True:
        material = MINERALS[str(rng.choice(WALLS))]
        surface, whole = material.draw(rng, SIDE, float(rng.uniform(0, np.pi))), np.ones((SIDE, SIDE), bool)
        scene, light = Scene(surface, whole, product=material.words), draw_light(rng)
        before = illuminate(surface, light)
        camera = meter(draw_camera(rng), before)
        broken = scene.copy()
        try:
            _, mask = add_flaw(broken, rng, family)
        except BadInput:  # no place for it here
            continue
        flawed = photograph(illuminate(broken.surface, light), camera)
        if visible(photograph(before, camera), flawed, mask).sum() >= 8 * SMALLEST:
            return Image.fromarray(flawed)


def draw_walls(folder: Path, types: list[str]) -> None:
    """A folder a type."""
    for at, name in enumerate(types):
        (folder / name).mkdir()
        for number in range(PICTURES):
            draw_wall(np.random.default_rng((11, at, number)), name).save(folder / name / f"{number}.png")


def classifiers(encoder: Any, types: list[str]) -> dict[str, Any]:
    """Each wording, and pictures, by what stands in the table."""

    def named(classifier: str, words: dict[str, Any]) -> Any:
        return catalog.classifier(classifier, encoder, types, {"product": PRODUCT, "words": words})

    terms = named("words", {})
    terms.texts = F.normalize(encoder.encode_text([f"{PRODUCT}, {name}" for name in types]), dim=-1)
    return {
        "words: list of terms": terms,
        "words: names in sentences": named("words", {}),
        "words: general definitions": named("words", GENERAL),
        "words: definitions of the field": named("words", BUILDING),
        "pictures alone: ridge": catalog.classifier("ridge", encoder, types),
        "prompt-images: definitions of the field": named("prompt-images", BUILDING),
    }


def main() -> None:
    """Draw, and measure what has no row yet."""
    encoder, types = Album(encoders.load(encoders.DEFAULT, needs={"text"})), sorted(BUILDING)
    known = {
        row["classifier"] for line in RAW.read_text("utf-8").splitlines() if (row := json.loads(line)).get("set") == SET
    }
    with tempfile.TemporaryDirectory() as folder:
        draw_walls(Path(folder), types)
        seen = dict[str, Seen]()
        for label, classifier in classifiers(encoder, types).items():
            if label in known:
                continue
            eyes = type(classifier).look.__qualname__
            if eyes not in seen:
                seen[eyes] = look(Path(folder), lambda _, found=classifier: found, "pictures")
            for shots in (None,) if label.startswith("words") else SHOTS:
                each = [accuracy(seen[eyes], classifier, shots, seed) for seed in range(SEEDS)]
                mean, half = interval(each)
                about = {"set": SET, "encoder": encoder.name, "classifier": label, "of": "pictures", "shots": shots}
                write({**about, "accuracy": mean, "half_interval": half, "seeds": SEEDS, "each": each})
    compare()


PAIRS = (
    ("words: names in sentences", "words: list of terms", None),
    ("words: definitions of the field", "words: general definitions", None),
    ("words: definitions of the field", "words: names in sentences", None),
    *(("prompt-images: definitions of the field", "pictures alone: ridge", shots) for shots in SHOTS),
)


def compare() -> None:
    """Print by how much wordings are ahead on the same splits, with 95 % intervals over these."""
    rows = [row for line in RAW.read_text("utf-8").splitlines() if (row := json.loads(line)).get("set") == SET]
    each = {(row["classifier"], row["shots"]): row["each"] for row in rows}
    for one, other, shots in PAIRS:
        mean, half = interval(np.subtract(each[one, shots], each[other, shots]).tolist())
        print(f"{one} over {other}, {shots} shots: {mean:+.3f} ± {half:.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
