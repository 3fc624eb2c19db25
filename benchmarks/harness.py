"""What every benchmark shares: workers in processes of their own, alternating, and tables of what they took."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = HERE.parent / "src"
Numbers = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line of a benchmark says."""

    peer: str | None = None  # the Python of the environment that holds anomalib
    peer_path: str = ""  # put before that environment's own packages
    threads: int = 2
    rounds: int = 3
    data: tuple[Path, ...] = ()
    weights: Path | None = None
    teachers: Path | None = None
    shots: tuple[int, ...] = (4, 64)
    methods: tuple[str, ...] = ()  # all of them
    small: bool = False


def parser(about: str | None) -> argparse.ArgumentParser:
    """The options that all benchmarks take; each one reads those it needs."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--peer", help="Python of the environment with anomalib; without it only blemish is measured")
    made.add_argument("--peer-path", default="", help="a folder put before the packages of that environment")
    made.add_argument("--threads", type=int, default=2, help="threads of each worker (default: 2)")
    made.add_argument("--rounds", type=int, default=3, help="how often each worker runs, in turn (default: 3)")
    made.add_argument("--data", type=Path, action="append", default=[], help="a labelled data set; repeatable")
    made.add_argument("--weights", type=Path, help="a checkpoint of the encoder for --data")
    made.add_argument("--teachers", type=Path, help="the folder with teachers.py and the networks that taught")
    made.add_argument("--shots", type=int, nargs="+", default=[4, 64], help="good parts for --data (default: 4 64)")
    made.add_argument("--methods", nargs="+", default=[], help="the methods for --data (default: all)")
    made.add_argument("--small", action="store_true", help="a quick try with a tenth of the pictures")
    return made


def options(arguments: argparse.Namespace) -> Options:
    return Options(
        peer=arguments.peer,
        peer_path=arguments.peer_path,
        threads=arguments.threads,
        rounds=arguments.rounds,
        data=tuple(arguments.data),
        weights=arguments.weights,
        teachers=arguments.teachers,
        shots=tuple(arguments.shots),
        methods=tuple(arguments.methods),
        small=arguments.small,
    )


def ours(worker: str, *arguments: str | Path, given: Options, surroundings: Mapping[str, str] | None = None) -> Numbers:
    """What workers/`worker`.py reports, run by this Python with the package in `src`; more of its environment."""
    return _run(sys.executable, worker, arguments, given, path=str(SOURCE), surroundings=surroundings)


def peers(worker: str, *arguments: str | Path, given: Options) -> Numbers:
    """What workers/`worker`.py reports, run by the peer's Python."""
    assert given.peer
    return _run(given.peer, worker, arguments, given, path=given.peer_path)


def _run(
    python: str,
    worker: str,
    arguments: Iterable[str | Path],
    given: Options,
    *,
    path: str,
    surroundings: Mapping[str, str] | None = None,
) -> Numbers:
    command = [python, str(HERE / "workers" / f"{worker}.py"), *map(str, arguments)]
    around = environment(given, path) | dict(surroundings or {})
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{worker} failed:\n{done.stderr[-4000:]}")
    # Libraries may print; the report is the last line.
    report: Numbers = json.loads(done.stdout.strip().splitlines()[-1])
    return report


def printed(python: str, code: str, given: Options, path: str) -> str:
    """What that Python prints for a piece of code."""
    command = [python, "-c", code]
    return subprocess.run(command, env=environment(given, path), capture_output=True, text=True, check=True).stdout


def environment(given: Options, path: str) -> dict[str, str]:
    """This process's environment with a bounded number of threads and no way to a model hub."""
    threads = str(given.threads)
    fixed = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1", "PYTHONPATH": path}
    return os.environ | fixed


def in_turn(worker: str, *arguments: str | Path, given: Options) -> tuple[Numbers, Numbers | None]:
    """`worker`_ours and `worker`_peer, run alternately; lists of seconds are joined, other numbers are the last."""
    mine: list[Numbers] = []
    theirs: list[Numbers] = []
    for _ in range(given.rounds):
        mine.append(ours(f"{worker}_ours", *arguments, given=given))
        if given.peer:
            theirs.append(peers(f"{worker}_peer", *arguments, given=given))
    return _joined(mine), _joined(theirs) if theirs else None


def _joined(reports: Sequence[Numbers]) -> Numbers:
    last = reports[-1]
    return {
        name: [each for report in reports for each in report[name]] if isinstance(value, list) else value
        for name, value in last.items()
    }


def comparison(rows: Mapping[str, str], mine: Numbers, theirs: Numbers | None) -> str:
    """A table of medians in seconds: key of the report -> what it is and how many times faster it is to be."""
    lines = []
    for key, what in rows.items():
        name, _, wanted = what.partition("|")
        here, there = mine[key], theirs.get(key) if theirs else None
        ratio = f"{statistics.median(there) / statistics.median(here):.1f}x" if there else ""
        best = f"{min(there) / min(here):.1f}x" if there else ""
        lines.append((name, spread(here), spread(there) if there else "", ratio, best, wanted))
    return table(("", "blemish, s", "anomalib, s", "ratio of medians", "ratio of minima", "wanted"), lines)


def spread(seconds: Sequence[float]) -> str:
    """Median and, in brackets, the fastest and slowest."""
    return f"{statistics.median(seconds):.3g} ({min(seconds):.3g} to {max(seconds):.3g})"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
