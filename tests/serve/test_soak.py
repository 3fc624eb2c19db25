"""Thousands of parts leave nothing behind: `benchmarks/serve.py --soak 100000` is the long way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.structure.source import ROOT

BENCHMARK = ROOT.parents[1] / "benchmarks" / "serve.py"


@pytest.mark.slow
def test_thousands_of_parts_leave_no_memory_threads_or_files_behind(tmp_path: Path) -> None:
    words = [sys.executable, str(BENCHMARK), "--soak", "5000", "--to", str(tmp_path / "soak.jsonl")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
