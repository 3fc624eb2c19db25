"""Sentences to train on: a part by one of its names, in a good or a bad state, or with a named flaw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from blemish.blocks.prompts import APRIL_GAN, WINCLIP
from blemish.encoders.embedded.words import split
from blemish.synth.drawn.flaws.flaws import FLAWS
from blemish.synth.drawn.words import SYNONYMS, bad_sentence, flaw_sentence, good_sentence, photo, word_list

ANYTHING = ("object", "part", "product", "surface", "item", "component", "workpiece", "sample", "material", "texture")
"""What any part may be called, so that the name of one that was never seen does not matter much."""
FAMILIES = tuple(sorted(FLAWS))
PUBLISHED = 0.4
"""Share of sentences worded as in WinCLIP and APRIL-GAN, whose ensembles the trained model will be asked with."""


def product_name(names: Sequence[str], rng: np.random.Generator) -> str:
    """Mostly one of its names, the usual one most often; sometimes a name that fits anything."""
    if not names or rng.random() < 0.25:
        return str(rng.choice(ANYTHING))
    return names[0] if rng.random() < 0.5 else str(rng.choice(names))


def normal_sentence(product: str, rng: np.random.Generator) -> str:
    """A sentence that says the part is good."""
    if rng.random() < PUBLISHED:
        return _worded(APRIL_GAN.normal, product, rng)
    return _captioned(good_sentence(product, rng), rng)


def abnormal_sentence(product: str, rng: np.random.Generator) -> str:
    """A sentence that says the part is bad, and not how."""
    if rng.random() < PUBLISHED:
        return _worded(APRIL_GAN.anomalous, product, rng)
    return _captioned(bad_sentence(product, rng), rng)


def defect_sentence(product: str, family: str, rng: np.random.Generator) -> str:
    """A sentence that names the flaw."""
    if rng.random() < PUBLISHED:
        return _worded((f"{{}} with {rng.choice(FLAWS[family].words)}",), product, rng)
    return _captioned(flaw_sentence(product, family, rng), rng)


def other_family(family: str, rng: np.random.Generator) -> str:
    """A family that a picture with a flaw of this one does not show by any of its names."""
    close = SYNONYMS.get(family, frozenset()) | {family}
    return str(rng.choice([name for name in FAMILIES if name not in close]))


def vocabulary(products: Iterable[str]) -> tuple[str, ...]:
    """Every word that training can draw, sorted."""
    published = (WINCLIP.templates, APRIL_GAN.templates, APRIL_GAN.normal, APRIL_GAN.anomalous)
    texts = chain(products, ANYTHING, word_list(), *published)
    return tuple(sorted({word for text in texts for word in split(text.replace("{}", " "))}))


def _captioned(phrase: str, rng: np.random.Generator) -> str:
    return photo(phrase, rng) if rng.random() < 0.5 else phrase


def _worded(states: Sequence[str], product: str, rng: np.random.Generator) -> str:
    templates = WINCLIP.templates if rng.random() < 0.7 else APRIL_GAN.templates
    return str(rng.choice(templates)).format(str(rng.choice(states)).format(product))
