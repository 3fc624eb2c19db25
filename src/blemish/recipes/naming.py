"""The part of a recipe that names defects: its tensors -> a namer, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from blemish import catalog
from blemish.blocks.shown_types import count_types
from blemish.classification.learn import learn
from blemish.classification.namer import Namer
from blemish.classification.names import CERTAIN, DefectType, Names
from blemish.notices import list_names, notice
from blemish.progress import ShowProgress, no_progress
from blemish.recipes.examples_kept import LEARNED, LIKE, NUMBERS, OF, SEEN, shown_examples, texts_of
from blemish.recipes.tensors import arrays_of
from blemish.types import Classifier, Cropper, Encoder, TypedExamples

DEFAULT = "ridge"
"""The classifier that learns examples unless another is named."""


def classifier_of(names: Names, encoder: Encoder, product: str = "") -> Classifier:
    """As it is before it has learned anything; raises BadInput for arguments it does not have."""
    words = catalog.classifier_card(names.classifier).words
    said = {each.name: each.words for each in names.types if each.words}
    given: dict[str, Any] = {"words": said} if "words" in words and said else {}
    given |= {"product": product} if "product" in words and product else {}
    return catalog.classifier(names.classifier, encoder, names.known, given | dict(names.arguments))


def namer_of(names: Names, tensors: Mapping[str, Tensor], encoder: Encoder) -> Namer:
    """Ready to name; raises ValueError or KeyError for tensors that do not fit."""
    classifier = cast(nn.Module, classifier_of(names, encoder))
    state = {name.removeprefix(LEARNED): each for name, each in tensors.items() if name.startswith(LEARNED)}
    own = {name for name in classifier.state_dict() if not name.startswith("encoder.")}
    if odd := own ^ set(state):
        raise ValueError(f"its names differ by {min(odd)}")
    classifier.load_state_dict(state, strict=False)
    shown = shown_examples(arrays_of(tensors))
    return Namer(cast(Classifier, classifier.eval()), names.sureness, names.severities(), shown)


def by_words(types: Sequence[DefectType], encoder: Encoder, product: str) -> tuple[Names, dict[str, Tensor]]:
    """Names without an example, for an encoder that reads."""
    names = Names("words", {"product": product}, tuple(types))
    return names, state_of_classifier(classifier_of(names, encoder))


def by_examples(
    names: Names,
    encoder: Encoder,
    examples: Sequence[tuple[int, int, str, Tensor]],
    *,
    coverage: float = 0.9,
    watch: ShowProgress = no_progress,
) -> tuple[Names, dict[str, Tensor]]:
    """Names that learn from examples: of each its picture's number and name, its type's number, and what is seen.

    One type alone cannot be told from another: of it the examples are kept until there is a second. An example of
    several types is there once for each. Says so where there is one example of a type.
    """
    seen = _same_views([each for *_, each in examples]).half()
    numbers = torch.tensor([number for _, number, _, _ in examples])
    pictures = torch.tensor([picture for picture, *_ in examples])
    table = torch.zeros(len(numbers), len(names.types), dtype=torch.bool)
    table[torch.arange(len(numbers)), numbers] = True
    rows, table = _join_types(pictures, table) if names.arguments.get("several") else (torch.arange(len(table)), table)
    sure, state = CERTAIN, dict[str, Tensor]()
    if len(names.types) > 1:
        if alone := [name for name, count in zip(names.known, count_types(table).tolist(), strict=True) if count == 1]:
            notice("%s: one example is little to know a type by: show more", list_names(alone))
        classifier = classifier_of(names, encoder)
        asked = 1 if names.of == "defects" and not isinstance(classifier, Cropper) else None  # as new ones are seen
        shown = TypedExamples(seen[rows].float(), table)
        namer = learn(classifier, shown, coverage=coverage, asked=asked, watch=watch)
        sure, state = namer.sureness, state_of_classifier(namer.classifier)
    tensors = {
        SEEN: seen,
        NUMBERS: numbers,
        OF: pictures,
        LIKE: _bytes([name for _, _, name, _ in examples]),
        **state,
    }
    return Names(names.classifier, names.arguments, names.types, sure, names.of), tensors


def _join_types(pictures: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Of each picture its first row, and all types that the rows of it have in (M, K)."""
    rows: dict[int, int] = {}
    for row, picture in enumerate(pictures.tolist()):
        first = rows.setdefault(picture, row)
        table[first] |= table[row]
    kept = torch.tensor(list(rows.values()))
    return kept, table[kept]


def _same_views(seen: Sequence[Tensor]) -> Tensor:
    """Examples (V, D), of which those in one view stand for all views: (M, V, D)."""
    most = max(len(each) for each in seen)
    return torch.stack([each.expand(most, -1) if len(each) == 1 else each for each in seen])


def state_of_classifier(classifier: Classifier) -> dict[str, Tensor]:
    """What it has learned, by the names that a recipe has for it."""
    state = cast(nn.Module, classifier).state_dict()
    return {LEARNED + name: each.cpu() for name, each in state.items() if not name.startswith("encoder.")}


def examples_in(tensors: Mapping[str, Tensor]) -> list[tuple[int, int, str, Tensor]]:
    """The examples that a recipe's names were taught, as `by_examples` takes them."""
    if SEEN not in tensors:
        return []
    rows = zip(
        tensors[OF].tolist(), tensors[NUMBERS].tolist(), texts_of(tensors[LIKE].numpy()), tensors[SEEN], strict=True
    )
    return [(*each[:3], each[3].float()) for each in rows]


def without_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a recipe but those of its names."""
    return {name: each for name, each in tensors.items() if not name.startswith("names.")}


def _bytes(names: Sequence[str]) -> Tensor:
    packed = b"".join(name.replace("\0", "").encode() + b"\0" for name in names)
    return torch.frombuffer(bytearray(packed), dtype=torch.uint8)
