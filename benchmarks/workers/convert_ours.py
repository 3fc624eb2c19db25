"""`blemish convert` with these words: its seconds, and the most memory that it had, in MiB."""

import json
import resource
import sys
import time

from blemish.cli.main import main

begun = time.perf_counter()
try:
    main(["convert", *sys.argv[1:]], standalone_mode=False)
except SystemExit as ended:
    if ended.code:
        raise
seconds = time.perf_counter() - begun
print(json.dumps({"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
