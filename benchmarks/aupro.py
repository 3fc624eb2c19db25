"""AUPRO of 200 maps against anomalib's."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import HERE, Options, comparison, in_turn, options, parser, table

sys.path.append(str(HERE / "workers"))
from aupro_maps import maps_and_masks

SIDE = 448


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    count = 20 if given.small else 200
    with tempfile.TemporaryDirectory() as name:
        maps, masks = maps_and_masks(count, SIDE)
        np.save(Path(name) / "maps.npy", maps)
        np.save(Path(name) / "masks.npy", masks)
        mine, theirs = in_turn("aupro", name, given=given)
    more = [("the value", "value", "{:.6f}"), ("memory that it adds to the maps, MiB", "memory", "{:.0f}")]
    lines = [(what, form.format(mine[key]), form.format(theirs[key]) if theirs else "") for what, key, form in more]
    return "\n\n".join([
        "## AUPRO",
        f"{count} generated maps of {SIDE} px, defects in every second one, limit 0.3.",
        comparison({"aupro": "all maps|10x"}, mine, theirs),
        table(("", "blemish", "anomalib"), lines),
    ])  # fmt: skip


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
