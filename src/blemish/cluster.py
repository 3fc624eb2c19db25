"""Work spread over the processes of a Ray cluster by Ray Data: what travels are numbers, and what is said of each."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from blemish.errors import BadInput, MissingExtra

HERE = "local"
"""In place of an address: a cluster of this machine alone, for as long as it is needed."""
STORE = 100 << 20
"""Bytes of the object store of that: no picture ever passes it."""
TRIES = 3
"""So often a number may end its process."""
Say = Callable[[int], str]
"""say(number) -> what came of it."""


class Crew(NamedTuple):
    """Who does the work."""

    workers: int | None  # processes; none: as many as there are cores for
    threads: int = 1  # of each
    address: str | None = None  # of a Ray cluster; none: this machine without Ray
    gpus: int = 0  # of each, which Ray shows to nobody who has not asked


class Actor:
    """Calls what it was made of, number by number, in a process that Ray keeps."""

    def __init__(self, make: Callable[[], Say]) -> None:
        self._say = make()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch of one column, as Ray Data hands it on."""
        return {"said": [self._say(int(number)) for number in batch["id"]]}


def spread(numbers: Sequence[int], make: Callable[[], Say], crew: Crew) -> Iterator[str]:
    """What is said of each number, in no order; `make` is called once in each process, which lives on.

    A process or machine that dies is replaced by Ray, and what it was at is done again. Raises BadInput for a cluster
    that is not there, or what fails there.
    """
    if not numbers:
        return
    with _session(crew) as ray:
        from ray.data import ActorPoolStrategy, from_items

        most = crew.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // crew.threads)
        rows = from_items([{"id": each} for each in numbers], override_num_blocks=len(numbers))
        found = rows.map_batches(
            Actor,
            fn_constructor_args=(make,),
            batch_size=1,
            compute=ActorPoolStrategy(size=min(most, len(numbers))),
            num_cpus=crew.threads,
            num_gpus=crew.gpus or None,
            max_task_retries=TRIES - 1,
            zero_copy_batch=True,
        )
        try:
            for row in found.iter_rows():
                yield str(row["said"])
        except ray.exceptions.RayError as error:
            said = " ".join(str(error).split())
            raise BadInput(f"Ray gave up ({type(error).__name__}: {said[-300:]}): see its logs") from error


@contextmanager
def _session(crew: Crew) -> Iterator[Any]:
    """Ray, connected; what was started here ends here, and says nothing on its own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray.data import DataContext
    except ImportError as error:
        raise MissingExtra("work is spread by Ray: pip install 'blemish[ray]'") from error
    if ray.is_initialized():
        raise BadInput("this process is connected to a Ray cluster already: call ray.shutdown() first")
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if crew.address == HERE:
        settings |= {"object_store_memory": STORE, "include_dashboard": False}
        settings |= {"num_cpus": crew.workers * crew.threads} if crew.workers else {}
    try:
        settings |= {} if crew.address == HERE else {"address": _reach(crew.address)}
        ray.init(**settings)
    except (OSError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise BadInput(f"no Ray cluster answers at {crew.address} ({said}): start one by `ray start --head`") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    try:
        yield ray
    finally:
        ray.shutdown()


def _reach(address: str | None) -> str:
    """The address, if somebody listens there: Ray itself goes on asking for minutes; raises OSError."""
    host, _, port = (address or "").rpartition("/")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()
    return str(address)
