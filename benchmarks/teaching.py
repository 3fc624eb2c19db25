"""What teaching a recipe costs and gains: good parts added, missed defects shown, a coreset of a stream."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import Options, options, ours, parser, spread, table

SEEDS = 5


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    if not given.data or not given.weights:
        return "## Teaching\n\nNot run: it needs `--data` and `--weights`."
    parts = [f"## Teaching\n\nEncoder `{given.weights.name}`."]
    for root in given.data:
        for method in given.methods or ("patchcore",):
            parts += _measured(root, method, given)
    return "\n\n".join(parts)


def _measured(root: Path, method: str, given: Options) -> list[str]:
    rounds, seeds, share = (1, 2, 0.1) if given.small else (given.rounds, SEEDS, 1.0)
    arguments = (root, given.weights or "", method, str(rounds), str(seeds), str(share))
    found = ours("teaching_ours", *arguments, given=given)
    parts = [f"### {root.name}, {method}: {found['good']} good parts, {found['test']} test pictures"]
    parts += [_growing(found["growing"]), _showing(found["showing"])]
    return [*parts, _streaming(found["streaming"])] if found["streaming"] else parts


def _growing(found: Mapping[str, Any]) -> str:
    ratio = statistics.median(found["adding"]) / statistics.median(found["building"])
    apart = found["auroc grown"] - found["auroc anew"]
    rows = [
        (f"adding {found['more']} good parts to {found['known']}, s", spread(found["adding"]), ""),
        ("building anew with all of them, s", spread(found["building"]), ""),
        ("ratio of medians", f"{ratio:.3f}", "less than 0.1"),
        ("image AUROC before", f"{found['auroc before']:.4f}", ""),
        ("image AUROC, added", f"{found['auroc grown']:.4f}", ""),
        ("image AUROC, built anew", f"{found['auroc anew']:.4f}", ""),
        ("difference", f"{apart:+.4f}", "within 0.005"),
    ]
    return table(("", "measured", "wanted"), rows)


def _showing(found: Sequence[Mapping[str, Any]]) -> str:
    kinds = sorted({row["kind"] for row in found})
    rows = [_kind(kind, [row for row in found if row["kind"] == kind]) for kind in kinds]
    seconds = statistics.median(row["seconds"] for row in found)
    exact = sum(row["forgotten"] for row in found)
    return "\n\n".join([
        "Two pictures of one type shown, with their masks. Escape: the share of the other pictures of that type below "
        "a threshold that at most 5 % of held-out good parts of the training split reach, before and after alike; "
        "overkill: the share of good test pictures that reach it. Means over the seeds that drew the two pictures.",
        table(("type", "pictures", "escape before", "after", "seeds that fell / rose", "overkill before", "after",
               "AUROC before", "after"), rows),
        f"Showing two pictures takes {seconds:.2f} s. Forgetting them restored every tensor, score and map bit for bit "
        f"in {exact} of {len(found)} cases.",
    ])  # fmt: skip


def _kind(kind: str, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    def mean(when: str, what: str) -> str:
        return f"{statistics.mean(row[when][what] for row in rows):.3f}"

    changes = [row["after"]["escape"] - row["before"]["escape"] for row in rows]
    return (
        kind,
        str(rows[0]["rest"]),
        mean("before", "escape"),
        mean("after", "escape"),
        f"{sum(change < 0 for change in changes)} / {sum(change > 0 for change in changes)} of {len(rows)}",
        mean("before", "overkill"),
        mean("after", "overkill"),
        mean("before", "auroc"),
        mean("after", "auroc"),
    )


def _streaming(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (row["name"], row["rows"], f"{row['radius']:.4f}", f"{row['mean']:.4f}", f"{row['auroc']:.4f}") for row in found
    ]
    head = ("bank", "rows", "greatest distance of a good patch to it", "mean distance", "image AUROC")
    return "The coreset of a stream against that of all good patches at once:\n\n" + table(head, rows)


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
