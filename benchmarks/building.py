"""How defects of buildings are named by terms, sentences, definitions and pictures: rows of `defect_types.jsonl`.

    python benchmarks/building.py

Walls of concrete, plaster and brick are drawn, each with a defect of one of the types of `blocks.prompts.BUILDING`, and
named as `defect_types.py` does it: half of each type may teach, the other half tests, drawn anew by each seed.
Yong et al. (10.1111/mice.12954) found that definitions of the field beat general ones, whole sentences lists of terms,
and words with pictures either. The shipped encoder has seen such drawings with the names of their defects, and
pictures of real ones are not here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from defect_types import accuracy, interval, look, write
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
PICTURES, SIDE, SEEDS = 24, 224, 5
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


def main() -> None:
    """Draw, and measure each wording."""
    encoder, types = encoders.load(encoders.DEFAULT, needs={"text"}), sorted(BUILDING)
    with tempfile.TemporaryDirectory() as folder:
        for at, name in enumerate(types):
            (Path(folder) / name).mkdir()
            for number in range(PICTURES):
                draw_wall(np.random.default_rng((11, at, number)), name).save(Path(folder) / name / f"{number}.png")

        def named(classifier: str, words: dict[str, Any]) -> Any:
            return catalog.classifier(classifier, encoder, types, {"product": PRODUCT, "words": words})

        asked: list[tuple[str, Any, tuple[int | None, ...]]] = [
            ("words: list of terms", named("words", {}), (None,)),
            ("words: names in sentences", named("words", {}), (None,)),
            *((f"words: {name}", named("words", said), (None,)) for name, said in FORMS.items()),
            ("ridge", catalog.classifier("ridge", encoder, types), (1, 3, 5)),
            ("prompt-images: definitions of the field", named("prompt-images", BUILDING), (1, 3, 5)),
        ]
        asked[0][1].texts = F.normalize(encoder.encode_text([f"{PRODUCT}, {name}" for name in types]), dim=-1)
        for label, classifier, shots in asked:
            seen = look(Path(folder), lambda _, found=classifier: found, "pictures")
            for count in shots:
                each = [accuracy(seen, classifier, count, seed) for seed in range(SEEDS)]
                mean, half = interval(each)
                about = {"set": SET, "encoder": encoder.name, "classifier": label, "of": "pictures", "shots": count}
                write({**about, "accuracy": mean, "half_interval": half, "seeds": SEEDS, "each": each})


FIELD = "definitions of the field"
FORMS = {"general definitions": GENERAL, FIELD: BUILDING}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
