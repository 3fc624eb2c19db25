"""What kept features save: steps of head-only training beside the frozen tower alone."""

from __future__ import annotations

import statistics

from harness import Options, options, ours, parser, table

METHODS = ("april-gan", "supersimplenet", "anomaly-clip")
ENCODERS = ("ViT-B-16", "embedded")
BATCH = 8


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    rows = []
    for encoder in ENCODERS[: 1 if given.small else None]:
        for method in given.methods or METHODS:
            found = ours("kept_ours", method, encoder, given=given)
            tower, plain, kept = (statistics.median(found[name]) / BATCH for name in ("tower", "plain", "kept"))
            seconds = (f"{1000 * each:.0f}" for each in (tower, plain, kept))
            rows.append((method, encoder, *seconds, f"{tower / plain:.2f}x", f"{plain / kept:.1f}x"))
    head = ("method", "encoder", "tower alone, ms", "step, ms", "step with kept features, ms", "tower / step", "gain")
    return "\n\n".join([
        "## Training on kept features",
        f"Milliseconds a picture, in batches of {BATCH}: what the frozen tower takes by itself, a training step, and "
        "the same step where `--cache` has what the tower saw; medians of one process. ViT-B-16 has random weights and "
        "sees 224 pixels. Wanted: a step at least .8x as fast as the tower, and at least 10x faster with kept features "
        "where nothing but a head is trained (AnomalyCLIP trains words, which pass the text tower in every step).",
        table(head, rows),
    ])  # fmt: skip


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
