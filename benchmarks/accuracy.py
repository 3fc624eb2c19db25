"""What the methods reach on labelled data sets, through `blemish evaluate`; the data and the weights are yours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import SOURCE, Options, environment, options, parser, table

METHODS = ("patchcore", "anomaly-dino", "subspace-ad", "padim")
METRICS = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "aupro")


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    if not given.data or not given.weights:
        return "## Accuracy\n\nNot run: it needs `--data` and `--weights`."
    parts = [f"## Accuracy\n\nEncoder `{given.weights.name}`; 95 % bootstrap intervals over the test pictures."]
    for root in given.data:
        rows = [_row(root, method, shots, given) for method in METHODS for shots in given.shots]
        found = next((row for row in rows if row), None)
        title = f"### {root.name}" + (f": {found[1]}" if found else "")
        head = ("method", "good parts", *(metric.replace("_", " ") for metric in METRICS), "s an image")
        parts += [title, table(head, [cells for cells, _ in rows])]
    return "\n\n".join(parts)


def _row(root: Path, method: str, shots: int, given: Options) -> tuple[list[str], str]:
    """The cells of a line, and how many pictures were tested."""
    print(f"{root.name}, {method}, {shots} good parts", file=sys.stderr, flush=True)
    report = _evaluated(root, method, shots, given)
    cells = [_cell(report[metric]) for metric in METRICS]
    tested = f"{report['n_normal']} good and {report['n_anomalous']} anomalous pictures"
    return [method, str(report["shots"]), *cells, f"{report['seconds_per_image']:.3f}"], tested


def _evaluated(root: Path, method: str, shots: int, given: Options) -> dict[str, Any]:
    code = "from blemish.cli import main; main()"
    chosen = ["--method", method, "--encoder", str(given.weights), "--shots", str(shots), "--json"]
    command = [sys.executable, "-c", code, "evaluate", str(root), *chosen]
    done = subprocess.run(command, env=environment(given, str(SOURCE)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:])} failed:\n{done.stderr[-4000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _cell(estimate: dict[str, float] | None) -> str:
    return "{value:.3f} [{low:.3f}, {high:.3f}]".format_map(estimate) if estimate else ""


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
