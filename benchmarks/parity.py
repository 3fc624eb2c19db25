"""The verdict of a deployed recipe without torch beside that of the recipe, for every picture of labelled data sets."""

from __future__ import annotations

from harness import Numbers, Options, options, ours, parser, table

METHODS = ("patchcore", "tab")
PRECISION, BACKEND = "float32", "onnxruntime"
HEAD = (
    "data",
    "method",
    "backend",
    "precision",
    "pictures",
    "verdicts",
    "verdicts that differ",
    "pictures whose regions differ",
    "largest difference of a score",
    "verdicts changed by calibrating",
)


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    if not given.data:
        return "## The same verdict without torch\n\nNot run: it needs `--data`."
    count, rows = min(given.shots), []
    for root in given.data:
        for method in given.methods or METHODS:
            asked = (method, root, PRECISION, BACKEND, str(count), str(int(given.small)))
            rows.append((root.name, method, BACKEND, PRECISION, *_cells(ours("parity_ours", *asked, given=given))))
    return "\n\n".join([
        "## The same verdict without torch",
        f"Embedded encoder, {count} good parts taught the recipe and 60 others calibrated it for 10 % of false "
        "rejects. Every test picture goes through `blemish inspect`, by the recipe with torch and by what "
        "`blemish export` made of it where torch cannot be imported. Wanted: no verdict differs, and scores by "
        "1e-5 of the largest at most. Then `blemish calibrate --false-reject 0.05` sets thresholds of the "
        "deployed file without torch, which is to change verdicts and not the graph.",
        table(HEAD, rows),
    ])  # fmt: skip


def _cells(found: Numbers) -> tuple[str, ...]:
    verdicts = ", ".join(f"{found['verdicts'].get(name, 0)} {name}" for name in ("accept", "review", "reject"))
    graph = "the same graph" if found["same_graph"] else "another graph"
    share = f"{found['apart'] / found['largest']:.1e}"
    regions = f"{found['moved']}, {found['regions']} regions"
    return (f"{found['pictures']}", verdicts, f"{found['flipped']}", regions, share, f"{found['changed']}, {graph}")


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
