"""Learns types from so many drawn examples, as long as the embedded encoder describes them: its memory and time.

python types_ours.py COUNT TYPES CLASSIFIER
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from timing import peak_mib, report

from blemish import catalog, encoders
from blemish.classification.describe import Description
from blemish.classification.learn import learn, typed_examples
from blemish.types import Sample


def examples(count: int, types: list[str], length: int) -> Iterator[Description]:
    """Round a point of each type, one after the other."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(len(types), length, generator=generator)
    for number in range(count):
        own = number % len(types)
        seen = centres[own] + 3 * torch.randn(1, length, generator=generator)
        yield Description(Sample(Path(f"{number}.png"), types[own]), seen)


def main() -> None:
    """Report it as one line of JSON."""
    count, kinds, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    types = [f"type {number:03}" for number in range(kinds)]
    classifier = catalog.classifier(name, encoders.DEFAULT, types)
    length = classifier.look(torch.rand(1, 3, 64, 64)).shape[1]
    before, begun = peak_mib(), time.perf_counter()
    shown, _ = typed_examples(examples(count, types, length), types)
    namer = learn(classifier, shown)
    report(
        length=length,
        kept=len(shown.seen),
        before=before,
        peak=peak_mib(),
        seconds=time.perf_counter() - begun,
        coverage=namer.sureness.coverage,
    )


if __name__ == "__main__":
    main()
