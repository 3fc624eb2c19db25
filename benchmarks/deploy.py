"""Deployed recipes against the recipes they came from: time, memory, start, size and what int8 costs."""

from __future__ import annotations

import re
import statistics
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from harness import HERE, Numbers, Options, options, ours, parser, table

METHODS = ("patchcore", "tab")
BARS = {"onnxruntime-float32": "1.0", "openvino-bfloat16": "0.5", "openvino-int8": "0.4", "onnxruntime-int8": "0.4"}
"""Wanted at most, of torch's time for one picture."""
GOOD, SHOWN = 16, 20


def section(given: Options) -> str:
    """The section of RESULTS.md; all ratios are of one run."""
    methods = given.methods or METHODS
    parts = [section_of(method, given) for method in methods]
    return "\n\n".join([
        "## Deployed recipes",
        f"Embedded encoder, batch 1, {given.threads} threads, drawn parts; torch in float32. Time is that in the "
        "detector; start is from a new process to the first verdict; peak is the whole process.",
        *parts,
        accuracy(given, methods),
        installed(),
    ])  # fmt: skip


def section_of(method: str, given: Options) -> str:
    """Of one method: torch and every backend and precision, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours("deploy_pictures_ours", GOOD, SHOWN, folder / "good", folder / "shown", given=given)
        made = ours("deploy_make_ours", method, folder / "good", folder / "shown", folder, given=given)
        files = sorted(folder.glob("*.blemish"))
        runs: dict[str, list[Numbers]] = {file.stem: [] for file in files}
        for _ in range(given.rounds):
            for file in files:
                runs[file.stem].append(ours("deploy_run_ours", file, folder / "shown", given=given))
        sizes = {file.stem: file.stat().st_size / 2**20 for file in files}
    base = runs.pop("torch")
    rows = [_row("torch", base, base, sizes, {})]
    rows += [_row(name, found, base, sizes, made) for name, found in sorted(runs.items())]
    head = ("", "ms a picture", "of torch", "wanted", "start, s", "of torch", "peak, MiB", "of torch", "file, MiB",
            "export, s", "scores differ by")  # fmt: skip
    return f"`{method}` (wanted of torch, besides: start <= 0.35, peak <= 0.65; export < 60 s)\n\n{table(head, rows)}"


def _row(
    name: str, found: Sequence[Numbers], base: Sequence[Numbers], sizes: Mapping[str, float], made: Numbers
) -> tuple[str, ...]:
    time, before = (statistics.median([each for run in runs for each in run["seconds"]]) for runs in (found, base))
    start, peak = (statistics.median([run[key] for run in found]) for key in ("first", "peak"))
    starts, peaks = (statistics.median([run[key] for run in base]) for key in ("first", "peak"))
    took = f"{made['export'][name]:.1f}" if made else ""
    apart = f"{made['parity'][name]['score']:.1e}" if made else ""
    shares = (f"{1e3 * time:.1f}", f"{time / before:.2f}", BARS.get(name, ""))
    rest = (f"{start:.2f}", f"{start / starts:.2f}", f"{peak:.0f}", f"{peak / peaks:.2f}")
    return (name, *shares, *rest, f"{sizes[name]:.1f}", took, apart)


def accuracy(given: Options, methods: Sequence[str]) -> str:
    """Image AUROC of every precision on labelled data sets."""
    if not given.data:
        return "Image AUROC by precision was not measured: it needs `--data`."
    rows = []
    for root in given.data:
        for method in methods:
            found = ours("deploy_accuracy_ours", method, root, max(given.shots), int(given.small), given=given)
            rows += [(root.name, method, *each) for each in found["rows"]]
    head = ("data", "method", "variant", "image AUROC", "torch's", "differs by", "scores differ by")
    return "Wanted of int8: within 0.005.\n\n" + table(head, rows)


def installed() -> str:
    """What the packages take on disk, with torch and without."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: Mapping[str, Sequence[str]] = project["optional-dependencies"]
    rows = []
    for name in ("runtime", "torch"):
        closure = packages([*project["dependencies"], *extras.get(name, ())])
        rows.append((f"`blemish[{name}]`", len(closure), f"{sum(map(size_of, closure)):.0f}"))
    return "Packages on disk (wanted: runtime at most a quarter of torch's)\n\n" + table(("", "packages", "MiB"), rows)


def packages(asked: Iterable[str]) -> set[str]:
    """Names of these and of all they need, of those that are installed."""
    found, left = set[str](), list(asked)
    while left:
        line = left.pop()
        name = re.match(r"[\w.-]+", line.strip())
        known = name and name[0].lower().replace("_", "-")
        if not known or "extra ==" in line or known in found:
            continue
        try:
            needs = distribution(known).requires or []
        except PackageNotFoundError:
            continue
        found.add(known)
        left += needs
    return found


def size_of(package: str) -> float:
    """MiB of its files."""
    files = distribution(package).files or []
    return sum(path.stat().st_size for each in files if (path := Path(str(each.locate()))).is_file()) / 2**20


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
