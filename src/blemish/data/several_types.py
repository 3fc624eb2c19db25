"""Pictures whose defects are of several types: one label that names them all."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from blemish.files import sha256_of
from blemish.types import Sample

JOINED = "+"
"""Between the types of one label; a semicolon is read too."""


def types_of(sample: Sample) -> tuple[str, ...]:
    """The types that its label names, "crack+stain" or "crack; stain", each once; none of a good part or an unknown."""
    return split_label(sample.label) if sample.is_anomalous else ()


def split_label(label: str) -> tuple[str, ...]:
    """The types that a label names, each once."""
    parts = (part.strip() for part in re.split(r"[+;]", label))
    return tuple(dict.fromkeys(part for part in parts if part))


def spelling_of(name: str) -> str:
    """What all spellings of a type's name share: neither case, spaces nor punctuation; the name, if it is no more."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(each for each in plain if unicodedata.category(each)[0] not in "CPZ") or plain.strip()


def join_types(samples: Sequence[Sample]) -> list[Sample]:
    """The same defective picture in the folders of several types, byte by byte, as one with all of them."""
    sizes = defaultdict[int, list[Sample]](list)
    for sample in samples:
        if sample.is_anomalous:
            sizes[sample.image.stat().st_size].append(sample)
    alike = [group for group in sizes.values() if len({each.label for each in group}) > 1]
    joined = dict[Path, Sample | None]()
    for group in alike:
        for same in _same(group):
            joined |= dict.fromkeys((each.image for each in same[1:]), None)
            joined[same[0].image] = _one(same)
    return [found for each in samples if (found := joined.get(each.image, each)) is not None]


def _same(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Groups of one picture under several labels."""
    found = defaultdict[str, list[Sample]](list)
    for sample in samples:
        found[sha256_of(sample.image)].append(sample)
    return [group for group in found.values() if len({each.label for each in group}) > 1]


def _one(same: Sequence[Sample]) -> Sample:
    label = JOINED.join(dict.fromkeys(name for each in same for name in types_of(each)))
    return replace(same[0], label=label, masks=tuple(dict.fromkeys(mask for each in same for mask in each.masks)))
