"""What bfloat16 changes: scores and maps of the same pictures, and the metrics of a labelled data set."""

from __future__ import annotations

from harness import Options, options, ours, parser, table


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    count = 8 if given.small else 40
    rows = [
        (
            name,
            f"{row['images']:.4f}",
            f"{row['pixels']:.5f}",
            f"{row['score']:.1e} of {row['score_range']:.1e}",
            f"{row['map']:.1e} of {row['map_range']:.1e}",
        )
        for name, row in ours("precision_ours", str(count), given=given)["rows"].items()
    ]
    head = ("", "rank correlation, images", "rank correlation, pixels", "score, greatest of range", "map, of range")
    return "\n\n".join([
        "## bfloat16 against float32",
        f"{count} generated pictures, half of them with a defect, and a ViT-B-16-plus-240 with random weights, which "
        "is harder than a trained one: its scores lie close together. Spearman's correlation of both results, and "
        "their greatest absolute difference beside the range of the float32 result.",
        table(head, rows),
        *_measured(given),
    ])  # fmt: skip


def _measured(given: Options) -> list[str]:
    """The same question asked of labelled data and trained weights, if there are any."""
    if not given.weights:
        return []
    rows = []
    for root in given.data:
        found = ours("precision_data_ours", root, given.weights, "patchcore", "4", given=given)
        single, half = found["float32"], found["bfloat16"]
        rows.append((root.name, *(f"{single[name]:.4f} / {half[name]:.4f}" for name in single)))
    about = f"PatchCore with the trained network `{given.weights.name}` and 4 good parts; float32 / bfloat16:"
    return [about, table(("data", "image AUROC", "pixel AUROC", "AUPRO"), rows)]


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
