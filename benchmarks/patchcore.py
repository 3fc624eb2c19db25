"""PatchCore's fit and query against anomalib's on identical features."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from harness import HERE, Options, comparison, in_turn, options, parser, table

sys.path.append(str(HERE / "workers"))
from patchcore_features import SIDE, WIDTH, features


def section(given: Options) -> str:
    """The section of RESULTS.md; each side fits once, since one fit takes minutes."""
    pictures = 20 if given.small else 200
    with tempfile.TemporaryDirectory() as name:
        np.save(Path(name) / "fit.npy", features(pictures, seed=1))
        np.save(Path(name) / "query.npy", features(8, seed=2).reshape(8, -1, WIDTH))
        mine, theirs = in_turn("patchcore", name, given=replace(given, rounds=1))
    rows = {"fit": "fit: coreset of 10 %|1x", "query": "query, one picture|1x"}
    more = [
        ("memory that fitting adds to the features, MiB", "memory", "less than anomalib"),
        ("greatest distance of a feature to the bank", "radius", ""),
    ]
    lines = [(what, f"{mine[key]:.4g}", f"{theirs[key]:.4g}" if theirs else "", wanted) for what, key, wanted in more]
    return "\n\n".join([
        "## PatchCore",
        f"{pictures} good pictures of 224 px: {pictures * SIDE**2} generated features of width {WIDTH}, the same for "
        "both. Each side runs in a process of its own.",
        comparison(rows, mine, theirs),
        table(("", "blemish", "anomalib", "wanted"), lines),
    ])  # fmt: skip


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
