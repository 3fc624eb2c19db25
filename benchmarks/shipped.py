"""How long the model that ships with the package takes: to load, to look at a picture, and to the first result."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import SOURCE, Options, environment, options, ours, parser, spread, table
from PIL import Image

CODE = "from blemish.cli.main import main; main()"


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    reports = [ours("embedded_ours", given=given) for _ in range(given.rounds)]
    taken = {key: [value for report in reports for value in report[key]] for key in ("loading", "words", "looking")}
    rows = [
        ("loading the model", spread(taken["loading"]), "less than 1"),
        ("embedding the sentences", spread(taken["words"]), ""),
        ("one picture, zero-shot, 224 px", spread(taken["looking"]), "less than 0.06"),
        ("a cold `blemish inspect` of one picture, whole process", spread(_cold(given)), "less than 3"),
    ]
    return "\n\n".join(["## The embedded model", table(("", "seconds", "wanted"), rows)])


def _cold(given: Options) -> list[float]:
    taken = []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder) / "part.png"
            noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
            Image.fromarray(noise).save(picture)
            command = [sys.executable, "-c", CODE, "inspect", str(picture), "--out", f"{folder}/out"]
            start = time.perf_counter()
            subprocess.run(command, env=environment(given, str(SOURCE)), check=True, capture_output=True)
            taken.append(time.perf_counter() - start)
    return taken


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
