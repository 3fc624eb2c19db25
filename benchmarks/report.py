"""How long `blemish evaluate --report` takes beyond `blemish evaluate`, and how large its page is."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import SOURCE, Options, environment, options, parser, table

sys.path.insert(0, str(SOURCE))
from blemish import data

CODE = "from blemish.cli.main import main; main()"


def section(given: Options, keep: Path | None = None) -> str:
    """The section of RESULTS.md; `keep` is a folder for the pages."""
    if not given.data or not given.weights:
        return "## The report\n\nNot run: it needs `--data` and `--weights`."
    with tempfile.TemporaryDirectory() as name:
        rows = [_row(root, given, Path(name), keep or Path(name)) for root in given.data]
    head = ("data", "pictures", "page, MB", "kB a picture", "without, s", "with, s", "more, ms a picture")
    about = f"PatchCore on `{given.weights.name}`; all pictures of the test split, one process each without and with."
    return "\n\n".join(["## The report", about, table(head, rows)])


def _row(root: Path, given: Options, folder: Path, pages: Path) -> tuple[object, ...]:
    listed, count = _listed(root, folder, every=10 if given.small else 1)
    page = pages / f"{root.name}.html"
    without, written = _seconds(listed, given), _seconds(listed, given, "--report", str(page))
    size, more = page.stat().st_size, 1000 * (written - without) / count
    print(f"{page}: {size / 1e6:.1f} MB", file=sys.stderr, flush=True)
    return root.name, count, f"{size / 1e6:.1f}", f"{size / 1e3 / count:.1f}", *_short(without, written), f"{more:.0f}"


def _listed(root: Path, folder: Path, *, every: int) -> tuple[Path, int]:
    """A table of the data set, or of one in `every` of its pictures; and how many of them are tested."""
    chosen = {split: data.samples(root, split=split)[::every] for split in ("train", "test")}
    path = folder / f"{root.name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "label", "mask", "split"))
        for split, samples in chosen.items():
            for each in samples:
                mask = each.mask.resolve() if each.mask else ""
                writer.writerow((each.image.resolve(), each.label, mask, split))
    return path, len(chosen["test"])


def _seconds(listed: Path, given: Options, *more: str) -> float:
    chosen = ["--method", "patchcore", "--encoder", str(given.weights), *more]
    command = [sys.executable, "-c", CODE, "evaluate", str(listed), *chosen]
    start = time.perf_counter()
    subprocess.run(command, env=environment(given, str(SOURCE)), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _short(*seconds: float) -> tuple[str, ...]:
    return tuple(f"{each:.1f}" for each in seconds)


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--keep", type=Path, help="a folder for the pages, to look at")
    arguments = made.parse_args()
    print(section(options(arguments), arguments.keep))
