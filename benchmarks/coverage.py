"""Whether a calibration keeps what it promises: thresholds from random splits, false rejects among the parts left over.

Splits of one pool are exchangeable by construction, so what is measured is the arithmetic of the promise, ties and
detectors included, not whether tomorrow's parts are like today's. A bound that holds with 95 % confidence is a bound on
the rate; among finitely many later parts the rate is only seen through a draw. So beside the share of splits whose
later parts kept to the bound stands the least share that the promise allows for so many later parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import Options, options, ours, parser, table

SPLITS = 200


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    splits = SPLITS // 10 if given.small else SPLITS
    rows = []
    for source in ("drawn", *given.data):
        for method in given.methods or ("patchcore", "padim"):
            found = ours("coverage_ours", source, given.weights or "", method, str(splits), given=given)
            rows += [_row(getattr(source, "name", "drawn plates"), method, each) for each in found["ways"]]
    head = (
        "good parts",
        "method",
        "scheme",
        "asked for",
        "learned / held out / later",
        "false rejects on average: promised",
        "measured",
        "95 %: at most",
        "splits that kept to it",
        "wanted, at least",
    )
    return "\n\n".join([
        "## Coverage",
        f"{splits} random splits of each pool; pictures of one part count once, by the first of them. `measured`: the "
        "mean over the splits of the share of later parts that are rejected, and twice its standard error. `wanted`: "
        "what the promise allows among so many later parts, for 95 % of all later parts ever; less two standard "
        "errors of so many splits where a star says that it needs them.",
        table(head, rows),
    ])  # fmt: skip


def _row(pool: str, method: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    counts = f"{found['learned']} / {found['held']} / {found['later']}"
    bound = found["highest"]
    kept, least = found["kept"], found["least"]
    star = ""
    if bound is not None and kept < least:
        star = " *" if kept >= least - 2 * found["least_error"] else " MISSED"
    return (
        pool,
        method,
        found["scheme"],
        found["goal"],
        counts,
        f"{found['average']:.4f}",
        f"{found['measured']:.4f} ± {2 * found['error']:.4f}",
        "" if bound is None else f"{bound:.4f}",
        "" if bound is None else f"{kept:.3f}",
        "" if bound is None else f"{least:.3f}{star}",
    )


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
