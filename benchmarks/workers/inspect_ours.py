"""`blemish inspect` of a folder, and the greatest memory that took. argv: pictures, good parts, output."""

from __future__ import annotations

import subprocess
import sys
import time
from resource import RUSAGE_CHILDREN, getrusage

from timing import report

pictures, good, out = sys.argv[1:4]
code = "from blemish.cli import main; main()"
method = ["--method", "patchcore", "--encoder", "test-tiny"]
command = [sys.executable, "-c", code, "inspect", pictures, "--normal", good, "--out", out, *method]
start = time.perf_counter()
subprocess.run([*command, "--json"], check=True, stdout=subprocess.DEVNULL)
report(peak=getrusage(RUSAGE_CHILDREN).ru_maxrss / 1024, seconds=time.perf_counter() - start)
