"""What people call good parts, bad parts and their flaws: states, sentences and templates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blemish.synth.drawn.flaws.flaws import FLAWS

GOOD = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "undamaged {}",
    "intact {}",
    "good {}",
    "normal {}",
    "clean {}",
    "spotless {}",
    "faultless {}",
    "healthy {}",
    "{} without defect",
    "{} without flaw",
    "{} without damage",
    "{} without defects",
    "{} free of defects",
    "{} in good condition",
    "{} in perfect condition",
    "{} that passed inspection",
    "accepted {}",
)
BAD = (
    "damaged {}",
    "defective {}",
    "flawed {}",
    "faulty {}",
    "broken {}",
    "bad {}",
    "abnormal {}",
    "imperfect {}",
    "blemished {}",
    "spoiled {}",
    "{} with a defect",
    "{} with a flaw",
    "{} with flaw",
    "{} with defect",
    "{} with damage",
    "{} with defects",
    "{} with an anomaly",
    "{} with a fault",
    "{} in bad condition",
    "{} that failed inspection",
    "rejected {}",
)
TEMPLATES = (
    "{}",
    "{}.",
    "a {}",
    "the {}",
    "a photo of {}",
    "a photo of a {}",
    "a photo of the {}",
    "a picture of a {}",
    "an image of a {}",
    "a close-up photo of {}",
    "a close-up photo of a {}",
    "a close-up of the {}",
    "a cropped image of {} for visual inspection",
    "a cropped photo of a {}",
    "a photo of a {} for visual inspection",
    "an inspection image of a {}",
    "a grey-scale picture of a {}",
    "a bright photo of a {}",
    "a dark photo of a {}",
    "a blurry photo of a {}",
    "a low resolution photo of the {}",
    "a noisy picture of a {}",
    "a camera picture of the {} on the line",
    "a macro photo of a {}",
    "a top view of a {}",
    "there is a {} in the picture",
    "this is a {} in quality control",
)
# Families that an inspector may call by each other's name: a sentence about one is not wrong about the other.
SYNONYMS: dict[str, frozenset[str]] = {
    "scratch": frozenset({"gouge", "abrasion", "cut"}),
    "gouge": frozenset({"scratch", "dent"}),
    "abrasion": frozenset({"scratch", "swirl"}),
    "swirl": frozenset({"abrasion"}),
    "cut": frozenset({"scratch", "crack"}),
    "crack": frozenset({"crazing", "cut", "break"}),
    "crazing": frozenset({"crack"}),
    "fibre": frozenset({"thread", "contamination"}),
    "thread": frozenset({"fibre"}),
    "wrinkle": frozenset({"fold"}),
    "fold": frozenset({"wrinkle"}),
    "dent": frozenset({"gouge", "roller mark"}),
    "roller mark": frozenset({"dent"}),
    "hole": frozenset({"blowhole"}),
    "blowhole": frozenset({"hole", "pitting"}),
    "pitting": frozenset({"blowhole", "corrosion"}),
    "bubble": frozenset({"nodule"}),
    "nodule": frozenset({"bubble"}),
    "contamination": frozenset({"fibre", "glue", "mould"}),
    "spatter": frozenset({"solder", "contamination"}),
    "solder": frozenset({"spatter"}),
    "inclusion": frozenset({"contamination", "scale"}),
    "scale": frozenset({"inclusion", "patch", "corrosion"}),
    "stain": frozenset({"oil", "water mark", "discoloration", "color spot", "patch"}),
    "oil": frozenset({"stain", "water mark"}),
    "water mark": frozenset({"stain", "oil"}),
    "rust": frozenset({"corrosion"}),
    "corrosion": frozenset({"rust", "scale"}),
    "discoloration": frozenset({"stain", "faded", "uneven", "color spot"}),
    "burn": frozenset({"stain"}),
    "uneven": frozenset({"discoloration", "patch"}),
    "color spot": frozenset({"stain", "discoloration"}),
    "mould": frozenset({"contamination", "stain"}),
    "faded": frozenset({"discoloration"}),
    "glue": frozenset({"contamination", "stain"}),
    "patch": frozenset({"stain", "scale", "uneven"}),
    "peeling": frozenset({"spall", "patch"}),
    "print fault": frozenset({"stain"}),
    "chip": frozenset({"spall", "break"}),
    "spall": frozenset({"chip", "peeling"}),
    "break": frozenset({"chip", "crack"}),
    "fray": frozenset({"break"}),
    "burr": frozenset({"flash"}),
    "flash": frozenset({"burr"}),
    "missing": frozenset({"damaged piece"}),
    "misplaced": frozenset({"turned"}),
    "turned": frozenset({"misplaced"}),
    "damaged piece": frozenset({"missing", "break"}),
}


def good_sentence(product: str, rng: np.random.Generator) -> str:
    """A phrase for a part without flaws: "flawless bottle"."""
    return _pick(GOOD, rng).format(product)


def bad_sentence(product: str, rng: np.random.Generator) -> str:
    """A phrase for a part with some flaw that is not named: "bottle with a defect"."""
    return _pick(BAD, rng).format(product)


def defect_sentence(product: str, noun: str, rng: np.random.Generator) -> str:
    """A phrase that names the flaw, and mostly the product: "bottle with a crack"."""
    one = with_article(noun)
    forms = (f"{product} with {one}", f"{product} with {noun}", f"{one} on the {product}", f"{noun} on {product}", noun)
    return _pick((*forms, f"{product} showing {noun}", f"{noun} defect", f"{product}, {noun}"), rng)


def flaw_sentence(product: str, family: str, rng: np.random.Generator) -> str:
    """A phrase about a flaw of a family in one of its words, noun or adjective: "scratched bottle"."""
    flaw = FLAWS[family]
    if flaw.adjectives and rng.random() < 0.2:
        return f"{_pick(flaw.adjectives, rng)} {product}"
    # The family's first name is the one most people use.
    noun = flaw.words[0] if rng.random() < 0.4 else _pick(flaw.words, rng)
    return defect_sentence(product, noun, rng)


def photo(phrase: str, rng: np.random.Generator) -> str:
    """The phrase as the caption of a picture, from a random template."""
    return (
        _pick(TEMPLATES, rng).format(phrase).replace("a a ", "a ").replace("a an ", "an ").replace("the the ", "the ")
    )


def with_article(noun: str) -> str:
    """A singular noun with "a" or "an", a plural or a substance as it is."""
    head = noun.split()[-1]
    bare = (head.endswith("s") and not head.endswith(("ss", "us"))) or head.endswith("ing") or head in SUBSTANCES
    return noun if bare else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


SUBSTANCES = frozenset(
    [
        "oil",
        "grease",
        "rust",
        "corrosion",
        "dirt",
        "debris",
        "dust",
        "lint",
        "yarn",
        "slag",
        "mould",
        "mold",
        "mildew",
        "rot",
        "glue",
        "adhesive",
        "residue",
        "scale",
        "porosity",
        "wear",
        "oxidation",
        "tarnish",
        "oxide",
        "delamination",
        "discoloration",
        "discolouration",
        "flash",
        "solder",
        "spatter",
        "color",
        "breakage",
        "damage",
        "contamination",
        "unevenness",
        "waviness",
        "excess",
        "material",
        "loss",
        "variation",
    ]
)


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def word_list() -> list[str]:
    """Every word that the flaws, states and templates use, sorted; materials and parts bring their own."""
    nouns = [word for flaw in FLAWS.values() for phrase in (*flaw.words, *flaw.adjectives) for word in phrase.split()]
    frames = [*GOOD, *BAD, *TEMPLATES, "a an with on the showing defect"]
    used = [word.strip("{}.,") for frame in frames for word in frame.split()]
    return sorted({word for word in (*nouns, *used) if word})
