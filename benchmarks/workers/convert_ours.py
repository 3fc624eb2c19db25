"""`blemish convert` with these words: its seconds, and the most memory that it had, in MiB."""

import sys
import time

from timing import peak_mib, report

from blemish.cli.main import main

begun = time.perf_counter()
try:
    main(["convert", *sys.argv[1:]], standalone_mode=False)
except SystemExit as ended:
    if ended.code:
        raise
seconds = time.perf_counter() - begun
report(seconds=seconds, peak=peak_mib())
