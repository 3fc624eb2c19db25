"""Workers that only wait, each on a node of its own of a Ray cluster on this machine.

argv: workers, pieces of work for each, seconds of one.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable

from ray.cluster_utils import Cluster
from timing import report

from blemish.cluster import Crew, spread

workers, rounds, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])


def waiting() -> Callable[[int], str]:
    def wait(number: int) -> str:
        start = time.time()
        time.sleep(seconds)
        return json.dumps([os.getpid(), start, time.time()])

    return wait


cluster = Cluster()
for _ in range(workers):
    cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
try:
    found = spread(range(workers * rounds), waiting, Crew(workers, 1, cluster.address))
    times = [json.loads(each) for each in found]
finally:
    cluster.shutdown()
spans = defaultdict[int, list[tuple[float, float]]](list)
for worker, start, end in times:
    spans[worker].append((start, end))
begin = max(min(start for start, _ in each) for each in spans.values())  # when the last one has begun
finish = min(max(end for _, end in each) for each in spans.values())  # when the first one has nothing more to do
busy = sum(max(0.0, min(end, finish) - max(start, begin)) for each in spans.values() for start, end in each)
report(efficiency=busy / (workers * (finish - begin)) if len(spans) == workers and finish > begin else 0.0)
