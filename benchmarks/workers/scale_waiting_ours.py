"""Workers that only wait, each on a node of its own of a Ray cluster on this machine.

argv: workers, pieces of work for each, seconds of one.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from ray.cluster_utils import Cluster
from timing import report

from blemish.cluster import Crew, spread

workers, rounds, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])


def waiting() -> Callable[[int], str]:
    def wait(number: int) -> str:
        start = time.time()
        time.sleep(seconds)
        return json.dumps([start, time.time()])

    return wait


cluster = Cluster()
for _ in range(workers):
    cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
try:
    found = spread(range(workers * rounds), waiting, Crew(workers, 1, cluster.address))
    times = [json.loads(each) for each in found]
finally:
    cluster.shutdown()
taken = max(end for _, end in times) - min(start for start, _ in times)
report(efficiency=len(times) * seconds / (workers * taken))
