"""Exporting again what was taught more: a new graph against the one of before with what was learned since."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness import Options, options, ours, parser, table

METHODS = ("patchcore", "padim", "subspace-ad", "winclip", "tab")
GOOD, MORE, SHOWN = 16, 4, 8


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    rows = []
    for method in given.methods or METHODS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ours("deploy_pictures_ours", GOOD + MORE, SHOWN, folder / "good", folder / "shown", given=given)
            found = ours("again_ours", method, folder / "good", folder / "shown", GOOD, int(given.small), given=given)
        rows += [(method, *each) for each in found["rows"]]
    head = ("method", "variant", "rows before", "rows after", "new graph, s", "renewed, s", "scores differ by",
            "ms a picture, new", "renewed")  # fmt: skip
    return "\n\n".join([
        "## Exporting again",
        f"Embedded encoder, {given.threads} threads, drawn parts: {GOOD} good ones taught the recipe, {MORE} more were "
        f"taught then, {2 * SHOWN} pictures are compared each time. Renewed is nothing where a new graph is needed.",
        table(head, rows),
    ])  # fmt: skip


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
