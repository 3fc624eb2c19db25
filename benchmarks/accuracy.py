"""What the methods reach on labelled data sets, through `blemish evaluate`; the data and the weights are yours."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import HERE, SOURCE, Options, environment, options, parser, table

RAW = HERE / "accuracy.jsonl"
METHODS = ("patchcore", "anomaly-dino", "subspace-ad", "padim")
METRICS = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "aupro")
LAST = ("s an image", "measured")


def section(given: Options) -> str:
    """The section of RESULTS.md: all that was ever measured; what is there is kept, so it can be interrupted."""
    for root in given.data if given.weights else ():
        for method in given.methods or METHODS:
            for shots in given.shots:
                _measure(root, method, shots, given)
    parts = ["## Accuracy\n\n`blemish evaluate`, one seed; 95 % bootstrap intervals over the test pictures."]
    for data in sorted({row["data"] for row in _measured()}):
        found = [row for row in _measured() if row["data"] == data]
        head = ("encoder", "method", "good parts", *(metric.replace("_", " ") for metric in METRICS), *LAST)
        tested = f"{found[0]['n_normal']} good and {found[0]['n_anomalous']} anomalous pictures"
        parts += [f"### {data}: {tested}", table(head, map(_cells, found))]
    return "\n\n".join(parts)


def _measure(root: Path, method: str, shots: int, given: Options) -> None:
    assert given.weights
    key = {"data": root.name, "weights": given.weights.name, "asked": [method, shots]}
    if any(key.items() <= row.items() for row in _measured()):
        return
    print(f"{root.name}, {method}, {shots} good parts", file=sys.stderr, flush=True)
    report = _evaluated(root, method, shots, given)
    del report["encoder"], report["unreadable"]
    today = datetime.datetime.now(tz=datetime.UTC).date()
    key["measured"] = f"{today}, {given.threads} threads"
    with RAW.open("a", encoding="utf-8") as file:
        file.write(json.dumps(key | report).replace(f"{root.resolve().parent}/", "") + "\n")  # notes name pictures


def _measured() -> list[dict[str, Any]]:
    rows = RAW.read_text(encoding="utf-8").splitlines() if RAW.is_file() else []
    return sorted(map(json.loads, rows), key=lambda row: (row["weights"], row["asked"]))


def _cells(report: dict[str, Any]) -> list[str]:
    cells = [_cell(report[metric]) for metric in METRICS]
    encoder = report["weights"].removesuffix(".safetensors")
    last = f"{report['seconds_per_image']:.3f}", report["measured"]
    return [encoder, report["method"], str(report["shots"]), *cells, *last]


def _evaluated(root: Path, method: str, shots: int, given: Options) -> dict[str, Any]:
    code = "from blemish.cli.main import main; main()"
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
