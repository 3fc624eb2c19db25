"""All parts by name: what has an outline, and often pieces that can be counted."""

from __future__ import annotations

from blemish.synth.drawn.parts.electric import ELECTRIC
from blemish.synth.drawn.parts.flat import FLAT
from blemish.synth.drawn.parts.long import LONG
from blemish.synth.drawn.parts.packed import PACKED
from blemish.synth.drawn.parts.turned import TURNED
from blemish.synth.drawn.scene import Part

PARTS: dict[str, Part] = {**TURNED, **LONG, **FLAT, **ELECTRIC, **PACKED}
