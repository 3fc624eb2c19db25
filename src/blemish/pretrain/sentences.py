"""Sentences to train on: a part by one of its names, in a good or a bad state, or with a named flaw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from blemish.blocks.prompts import APRIL_GAN, WINCLIP

ANYTHING = ("object", "part", "product", "surface", "item", "component", "workpiece", "sample", "material", "texture")
"""What any part may be called, so that the name of one that was never seen does not matter much."""
NORMAL = (
    *WINCLIP.normal, "good {}", "undamaged {}", "intact {}", "clean {}", "faultless {}", "{} without blemish",
    "{} in good condition", "{} without anomaly", "normal {}", "{} without flaw",
)  # fmt: skip
ABNORMAL = (
    *APRIL_GAN.anomalous, "defective {}", "flawed {}", "faulty {}", "{} with a defect", "{} with a flaw",
    "{} with an anomaly", "abnormal {}", "{} with blemish", "imperfect {}", "{} in bad condition", "{} with a fault",
)  # fmt: skip
TEMPLATES = (*WINCLIP.templates, *("{}",) * 8, *("a photo of {}", "{} under inspection", "a picture of {}") * 2)
WITH = (
    "{product} with {noun}", "{product} with a {noun}", "{noun} on the {product}", "{noun} in the {product}",
    "a {noun} on a {product}", "{noun}", "a {noun}", "{product}, {noun}", "{product} has {noun}",
)  # fmt: skip


class Facts(NamedTuple):
    """What is known about a drawn picture: names of the part, and the family of its flaw or ""."""

    product: tuple[str, ...]
    family: str


class Naming:
    """Draws sentences; a flaw goes by any of its words, and now and then by one beside its product's name."""

    def __init__(self, nouns: dict[str, Sequence[str]], adjectives: dict[str, Sequence[str]]) -> None:
        self.nouns, self.adjectives = nouns, adjectives
        self.families = tuple(sorted(nouns))

    def product(self, names: Sequence[str], rng: np.random.Generator) -> str:
        """Mostly one of its names, the usual one most often; sometimes a name that fits anything."""
        if not names or rng.random() < 0.25:
            return str(rng.choice(ANYTHING))
        return names[0] if rng.random() < 0.5 else str(rng.choice(names))

    def normal(self, product: str, rng: np.random.Generator) -> str:
        """A sentence that says the part is good."""
        return str(rng.choice(TEMPLATES)).format(str(rng.choice(NORMAL)).format(product))

    def abnormal(self, product: str, rng: np.random.Generator) -> str:
        """A sentence that says the part is bad, and not how."""
        return str(rng.choice(TEMPLATES)).format(str(rng.choice(ABNORMAL)).format(product))

    def flawed(self, product: str, family: str, rng: np.random.Generator) -> str:
        """A sentence that names the flaw."""
        adjectives = self.adjectives.get(family, ())
        if adjectives and rng.random() < 0.2:
            state = f"{rng.choice(adjectives)} {product}"
        else:
            state = str(rng.choice(WITH)).format(product=product, noun=rng.choice(self.nouns[family]))
        return str(rng.choice(TEMPLATES)).format(state) if rng.random() < 0.5 else state


def vocabulary(texts: Sequence[str]) -> tuple[str, ...]:
    """The distinct words of texts, sorted."""
    from blemish.encoders.embedded.words import split

    return tuple(sorted({word for text in texts for word in split(text)}))
