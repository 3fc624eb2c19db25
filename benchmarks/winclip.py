"""WinCLIP with a random ViT-B-16-plus-240 against anomalib's WinClipModel with the same weights."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from harness import Options, comparison, in_turn, options, ours, parser, peers, table

PRODUCT = "metal bottle cap"


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    if not given.peer:
        return "## WinCLIP\n\nNot run: it needs anomalib's environment (`--peer`)."
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        random = np.random.default_rng(0)
        shapes = {"image": (1, 3, 240, 240), "references": (4, 3, 240, 240)}
        np.savez(folder / "images.npz", **{key: random.random(shape, np.float32) for key, shape in shapes.items()})
        peers("winclip_checkpoint_peer", folder, PRODUCT, given=given)
        mine, theirs = in_turn("winclip", folder, PRODUCT, given=given)
        apart = ours("winclip_maps_ours", folder, PRODUCT, given=given)
    rows = {
        "zero": "zero-shot, one image|7x with matrix units",
        "few": "4 references, one image|7x with matrix units",
        "words": "embedding the sentences|30x",
        "recipe": "sentences and 4 references|8x",
    }
    exact = {f"{key}32": f"{what.partition('|')[0]}, float32" for key, what in rows.items()}
    both = theirs and theirs | {f"{key}32": theirs[key] for key in rows}
    differences = [(key.replace("_", "-shot "), f"{value:.1e}", "1e-4") for key, value in apart.items()]
    return "\n\n".join([
        "## WinCLIP",
        "ViT-B-16-plus-240 with random weights, 240 px, batch 1. blemish with `--precision auto`, then in "
        "float32; anomalib in float32, which is all it has. Matrix units are those of bfloat16 (amx_bf16); without "
        "them 3x is wanted. What the products alone take of a picture's time is in the section below.",
        comparison(rows | exact, mine, both),
        "Greatest absolute difference from anomalib's float32 result on the same weights, given its sentences, "
        "normalised references and patch tokens as they leave the last block (its own have passed the last norm, which "
        "the paper does not do):",
        table(("", "difference", "wanted, at most"), differences),
    ])  # fmt: skip


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
