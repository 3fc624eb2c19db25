"""`blemish batch` as a user runs it. argv: recipe, source, out, part size, options."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from timing import peak_mib, report

from blemish.cli.main import main

if __name__ == "__main__":  # workers import this file
    recipe, source, out, size, *more = sys.argv[1:]
    workers = int(more[more.index("--workers") + 1])
    start = time.perf_counter()
    words = [source, "--recipe", recipe, "--out", out, "--part-size", size, "--threads", "1", *more]
    main(["batch", *words], standalone_mode=False)
    seconds = time.perf_counter() - start
    ends = sorted(file.stat().st_mtime for file in Path(out, "results").iterdir())
    counted = ends[workers - 1 :]
    rate = int(size) * (len(counted) - 1) / (counted[-1] - counted[0]) if len(counted) > 1 else None
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    report(rate=rate, driver=peak_mib(), worker=largest, seconds=seconds)
