"""Prompt ensembles: words -> sentences -> prototypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.errors import BadInput, UnknownName
from blemish.types import TextEncoder


class Reader(Protocol):
    """Whatever reads sentences."""

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """(len(texts), D), not normalised."""


class Wording(NamedTuple):
    """State phrases with {} for the product, and sentence templates with {} for the phrase."""

    normal: tuple[str, ...]
    anomalous: tuple[str, ...]
    templates: tuple[str, ...]


NORMAL_STATES = (
    "{}",
    "flawless {}",
    "perfect {}",
    "unblemished {}",
    "{} without flaw",
    "{} without defect",
    "{} without damage",
)

WINCLIP = Wording(
    NORMAL_STATES,
    ("damaged {}", "{} with flaw", "{} with defect", "{} with damage"),
    (
        "a cropped photo of the {}.",
        "a cropped photo of a {}.",
        "a close-up photo of a {}.",
        "a close-up photo of the {}.",
        "a bright photo of a {}.",
        "a bright photo of the {}.",
        "a dark photo of the {}.",
        "a dark photo of a {}.",
        "a jpeg corrupted photo of a {}.",
        "a jpeg corrupted photo of the {}.",
        "a blurry photo of the {}.",
        "a blurry photo of a {}.",
        "a photo of a {}.",
        "a photo of the {}.",
        "a photo of a small {}.",
        "a photo of the small {}.",
        "a photo of a large {}.",
        "a photo of the large {}.",
        "a photo of the {} for visual inspection.",
        "a photo of a {} for visual inspection.",
        "a photo of the {} for anomaly detection.",
        "a photo of a {} for anomaly detection.",
    ),
)
"""WinCLIP's compositional ensemble, 7 + 4 states x 22 templates (Jeong et al., arXiv:2303.14814, appendix)."""

_LOOKS = (
    "bad",
    "low resolution",
    "cropped",
    "bright",
    "dark",
    "close-up",
    "black and white",
    "jpeg corrupted",
    "blurry",
    "good",
)
_KINDS = ("my {}", "the cool {}", "a cool {}", "one {}", "the {}", "a {}", "a large {}", "the large {}", "a small {}")

APRIL_GAN = Wording(
    NORMAL_STATES,
    ("damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage"),
    (
        *(f"a {look} photo of {article} {{}}." for look in _LOOKS for article in ("a", "the")),
        *(f"a photo of {kind}." for kind in (*_KINDS, "the small {}")),
        "there is a {} in the scene.",
        "there is the {} in the scene.",
        "this is a {} in the scene.",
        "this is the {} in the scene.",
        "this is one {} in the scene.",
    ),
)
"""APRIL-GAN's ensemble, 7 + 5 states x 35 templates (Chen et al., arXiv:2305.17382)."""

AA_CLIP = Wording(
    ("{}", "a {}", "the {}"),
    ("a damaged {}", "a broken {}", "a {} with flaw", "a {} with defect", "a {} with damage"),
    ("{}.", "a photo of {}."),
)
"""AA-CLIP's ensemble, 3 + 5 states x 2 templates (Ma et al., arXiv:2503.06661)."""

ADA_CLIP = Wording(
    NORMAL_STATES,
    APRIL_GAN.anomalous,
    (
        "a bad photo of a {}.",
        "a low resolution photo of the {}.",
        "a bad photo of the {}.",
        "a cropped photo of the {}.",
    ),
)
"""AdaCLIP's ensemble, 7 + 5 states x 4 templates (Cao et al., arXiv:2407.15795)."""

UNIADC = Wording(
    ("{}",),
    ("damaged {}",),
    (
        *(f"{what} of {article}{{}}" for article in ("", "a ") for what in ("a photo", "an image")),
        "a photo of the {}",
        "an image of the {}",
        "a photograph of {}",
        "a picture of {}",
        "a close-up photo of {}",
        "a cropped image featuring {}",
    ),
)
"""UniADC's ten templates (arXiv:2511.06644); its sentences are of a defect alone."""

_DOMAINS = ("industrial photo", "industrial image", "manufacturing image")
ANOVL = Wording(
    ("normal {}", "flawless {}", "perfect {}", "unblemished {}", *NORMAL_STATES[4:]),
    ("damaged {}", "abnormal {}", "imperfect {}", "blemished {}", *WINCLIP.anomalous[1:]),
    tuple(
        template.removesuffix(".").replace("photo", domain).replace("a industrial", "an industrial")
        for template in WINCLIP.templates
        for domain in _DOMAINS
    ),
)
"""AnoVL's ensemble for objects, 7 + 7 states x 22 templates in 3 domains (Deng et al., arXiv:2308.15939)."""

DEFECTS = (
    "abrasion", "bend", "blowhole", "break", "bubble", "burn", "burr", "chip", "color spot", "contamination",
    "corrosion", "crack", "crazing", "cut", "damaged piece", "dent", "discoloration", "extra", "faded", "fibre",
    "flash", "fold", "fray", "glue", "gouge", "hole", "inclusion", "misplaced", "missing", "mould", "nodule", "oil",
    "patch", "peeling", "pitting", "print fault", "roller mark", "rust", "scale", "scratch", "solder", "spall",
    "spatter", "stain", "swapped", "swirl", "thread", "turned", "uneven", "water mark", "wrinkle",
)  # fmt: skip
"""What goes wrong with manufactured parts, by one name each: what a defect that is asked for is told apart from."""

BUILDING = {
    "crack": ("a thin dark branching line where concrete, plaster or masonry has split",),
    "mould": ("clusters of dark green or black spots of fungus that spread over a damp wall",),
    "peeling": ("paint or plaster that has come loose from the wall and flakes off, with bare ground below",),
    "rust": ("a reddish brown streak or spot that corroding reinforcement leaves on concrete",),
    "spall": ("a shallow crater where the surface of concrete broke away, with rough aggregate inside",),
    "water mark": ("a damp patch with a darker or whitish rim where water soaked the wall and dried",),
}
"""Defects of buildings, each by a definition of the field: `words` of the classifiers `words` and `prompt-images`.

Yong et al. (10.1111/mice.12954) found such definitions to be better than names and general definitions.
"""

WORDINGS = {"aa-clip": AA_CLIP, "ada-clip": ADA_CLIP, "anovl": ANOVL, "april-gan": APRIL_GAN, "winclip": WINCLIP}


def ensemble(name: str) -> Wording:
    """A published ensemble by name; raises UnknownName."""
    if name not in WORDINGS:
        raise UnknownName(f"no wording {name!r}: choose from {', '.join(WORDINGS)}")
    return WORDINGS[name]


def sentences(states: Sequence[str], templates: Sequence[str], product: str) -> list[str]:
    """Every template filled with every state of the product."""
    return [template.format(state.format(product)) for template in templates for state in states]


def defect_prototypes(
    encoder: TextEncoder,
    product: str,
    defects: Sequence[str],
    words: Wording = WINCLIP,
    *,
    normalize_sentences: bool = False,
) -> Tensor:
    """Unit text embeddings of the product with each of these defects, a row a defect, see `prototypes`: (K, D)."""
    if isinstance(defects, str) or any(not defect.strip() for defect in defects):
        raise BadInput(f"defects={defects!r}: give a list of what can go wrong, none of it empty, as ['scratch']")
    groups = [[template.format(f"{product} with {defect}") for template in words.templates] for defect in defects]
    embedded = encoder.encode_text([sentence for group in groups for sentence in group])
    if normalize_sentences:
        embedded = F.normalize(embedded, dim=-1)
    return F.normalize(embedded.unflatten(0, (len(groups), -1)).mean(1), dim=-1)


def prototypes(
    encoder: Reader, product: str | Sequence[str], words: Wording = WINCLIP, *, normalize_sentences: bool = False
) -> Tensor:
    """Unit text embeddings of the normal (row 0) and the anomalous (row 1) product, or of several at once: (2, D).

    The mean over all sentences of a class, of unit vectors when `normalize_sentences` (as in APRIL-GAN and one
    public WinCLIP), of embeddings as they are otherwise (as in the other WinCLIPs, anomalib's among them).
    """
    names = [product] if isinstance(product, str) else product
    if not all(name.strip() for name in names):
        raise BadInput("the product's name is empty: say what the part is, for example 'metal bottle cap'")
    both = (words.normal, words.anomalous)
    groups = [[said for name in names for said in sentences(states, words.templates, name)] for states in both]
    embedded = encoder.encode_text([sentence for group in groups for sentence in group])
    if normalize_sentences:
        embedded = F.normalize(embedded, dim=-1)
    means = torch.stack([group.mean(0) for group in torch.split(embedded, [len(group) for group in groups])])
    return F.normalize(means, dim=-1)


def state_sentences(encoder: Reader, product: str, words: Wording) -> Tensor:
    """Unit embeddings of every state of the product, the normal ones first, each the mean over templates: (S, D)."""
    states = [*words.normal, *words.anomalous]
    said = [template.format(state.format(product)) for state in states for template in words.templates]
    return F.normalize(F.normalize(encoder.encode_text(said), dim=-1).unflatten(0, (len(states), -1)).mean(1), dim=-1)


class ProductTexts:
    """What sentences say of products, read once for each that is asked about."""

    def __init__(self, read: Callable[[str], Tensor]) -> None:
        self.read = read  # of a product: (C, D)
        self.known: dict[str, Tensor] = {}

    def __call__(self, products: Sequence[str], device: torch.device) -> Tensor:
        """Of each of N: (N, C, D), there."""
        self.known |= {name: self.read(name) for name in {*products} - {*self.known}}
        return torch.stack([self.known[name] for name in products]).to(device)


def type_words(defects: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Names of types and their words: given with them, then by name since a recipe knows no order; or `_` a space."""
    if isinstance(defects, Mapping):
        return dict(sorted(defects.items()))
    return {name: name.replace("_", " ") for name in defects}


def type_prompts(product: str, defects: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """What a part with a defect of each type is called, and with an unknown one (""); the only type may be "defect"."""
    named = {name: f"{product} with {words}" for name, words in type_words(defects or {"defect": "a defect"}).items()}
    return named | {"": f"{product} with an unknown defect"}


def type_prototypes(
    encoder: TextEncoder,
    product: str,
    defects: Sequence[str] | Mapping[str, str],
    words: Wording = WINCLIP,
    *,
    normalize_sentences: bool = False,
) -> Tensor:
    """Unit text embeddings of a good product (row 0) and of the product with each defect: (1 + K, D).

    Without any, of the product with any damage.
    """
    either = prototypes(encoder, product, words, normalize_sentences=normalize_sentences)
    if not (named := [*type_words(defects).values()]):
        return either
    own = defect_prototypes(encoder, product, named, words, normalize_sentences=normalize_sentences)
    return torch.cat([either[:1], own])


def class_prototypes(
    encoder: TextEncoder, product: str, defects: Sequence[str], words: Wording = WINCLIP, *, same: float = 0.95
) -> tuple[Tensor, int]:
    """Unit text embeddings (C, D), and how many of them, the first ones, are no anomaly that is asked for.

    Without defects the normal product and the anomalous one. With them the normal one, those of `DEFECTS` that mean
    something else (whose cosine with each defect is less than `same`), and then the defects.
    """
    either = prototypes(encoder, product, words)
    if not defects:
        return either, 1
    own = defect_prototypes(encoder, product, defects, words)
    others = defect_prototypes(encoder, product, DEFECTS, words)
    others = others[(others @ own.T).amax(1) < same]
    return torch.cat([either[:1], others, own]), 1 + len(others)
