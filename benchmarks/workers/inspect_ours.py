"""`blemish inspect` of a folder, and the memory that took. argv: pictures, good parts, output, more options."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from timing import report

PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20

pictures, good, out = sys.argv[1:4]
code = "from blemish.cli.main import main; main()"
method = ["--method", "patchcore", "--encoder", "test-tiny", "--json", *sys.argv[4:]]
command = [sys.executable, "-c", code, "inspect", pictures, "--normal", good, "--out", out, *method]
start, resident = time.perf_counter(), []
with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
    while running.poll() is None:
        resident.append(int(Path(f"/proc/{running.pid}/statm").read_text().split()[1]) * PAGE)
        time.sleep(0.02)
if running.returncode:
    raise SystemExit(running.returncode)
# The peak is one moment's, and more moments hold higher ones; a leak shows in what is resident near the end.
late = statistics.median(resident[-len(resident) // 4 :])
report(peak=getrusage(RUSAGE_CHILDREN).ru_maxrss / 1024, late=late, seconds=time.perf_counter() - start)
