"""All parts of a batch in this process, which has one thread. argv: recipe, source, out, part size."""

from __future__ import annotations

import os
import sys
import time

from timing import report

from blemish.batch.manifest import Asked, begin
from blemish.batch.targets import target_of
from blemish.batch.work import Work, Worker
from blemish.progress import no_progress
from blemish.runs.shards import only_shard

recipe, source, out, size = sys.argv[1:5]
worker = Worker(Work(recipe, out, threads=int(os.environ["OMP_NUM_THREADS"])))
settings = only_shard(worker.plan, "1/1").settings
made = begin(target_of(out), Asked(source, settings, size=int(size)), no_progress)
ends = []
for number in range(made.parts):
    worker(number)
    ends.append(time.perf_counter())
report(rate=int(size) * (len(ends) - 1) / (ends[-1] - ends[0]))
