"""The embedded model: loading, one picture zero-shot, and the sentences."""

from __future__ import annotations

from typing import cast

import torch
from timing import report, seconds

from blemish import encoders
from blemish.detectors.tab import TAB
from blemish.types import TextEncoder

loading = seconds(lambda: encoders.load("embedded"), repeats=5)
encoder = cast(TextEncoder, encoders.load("embedded"))
words = seconds(lambda: TAB(encoder, product="magnetic tile"), repeats=5)
detector = TAB(encoder, product="magnetic tile")
image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
with torch.inference_mode():
    looking = seconds(lambda: detector(image), repeats=30, warm=5)
report(loading=loading, words=words, looking=looking)
