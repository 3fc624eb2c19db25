"""All parts by name: what has an outline, and often pieces that can be counted."""

from __future__ import annotations

from blemish.synth.parts_electric import ELECTRIC
from blemish.synth.parts_flat import FLAT
from blemish.synth.parts_long import LONG
from blemish.synth.parts_packed import PACKED
from blemish.synth.parts_turned import TURNED
from blemish.synth.scene import Part

PARTS: dict[str, Part] = {**TURNED, **LONG, **FLAT, **ELECTRIC, **PACKED}
