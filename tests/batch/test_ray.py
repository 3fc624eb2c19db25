"""Workers of a Ray cluster leave what one process leaves, in processes of its own since Ray says much."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.batch.test_batch import COUNT, command, home, merged_is_one, parts_of, run, times_of
from tests.structure.source import ROOT
from tests.support.made import PLAN, data_set

from blemish.cluster import Crew, spread
from blemish.errors import BadInput, MissingExtra

__all__ = ["home"]


def blemish(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "blemish", *map(str, words)],
        env=os.environ | {"PYTHONPATH": str(ROOT.parent)}, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_workers_of_ray_leave_what_one_process_leaves_and_go_on(home: Path, tmp_path: Path) -> None:
    words = command(home, tmp_path / "out", "--workers", 2, "--ray", "local")
    done = blemish(*words, folder=tmp_path)
    assert done.returncode == 11, done.stderr
    assert f"{COUNT} pictures, 57 accept, 63 reject" in done.stdout
    before = times_of(tmp_path / "out")
    for number in (3, 7):
        (tmp_path / f"out/results/part-{number:08d}.jsonl").unlink()
    assert blemish(*words, "--resume", folder=tmp_path).returncode == 11
    assert parts_of(tmp_path / "out") == -(-(COUNT + 2) // 5)
    changed = {name for name, time in times_of(tmp_path / "out").items() if time != before[name]}
    assert changed == {f"part-{number:08d}.jsonl" for number in (3, 7)}
    merged_is_one(home, tmp_path / "out")
    (home / "broken.blemish").write_bytes(b"")
    refused = blemish(*words[:3], home / "broken.blemish", *words[4:], folder=tmp_path)
    assert "broken.blemish" in refused.stderr


@pytest.mark.slow
def test_trials_spread_over_ray_are_those_of_one_machine(tmp_path: Path) -> None:
    folder = data_set(tmp_path)
    (folder / "plan.toml").write_text(PLAN, encoding="utf-8")
    here = run("benchmark", folder / "plan.toml", "--out", tmp_path / "here", "--format", "csv")
    done = blemish(
        "benchmark",
        folder / "plan.toml",
        "--out",
        tmp_path / "there",
        "--ray",
        "local",
        "--workers",
        2,
        folder=tmp_path,
    )
    assert done.returncode == here.exit_code == 0, done.stderr
    one, other = (_scores(tmp_path / name) for name in ("here", "there"))
    assert one == other


def _scores(out: Path) -> dict[str, Any]:
    lines = map(json.loads, (out / "results.jsonl").read_text(encoding="utf-8").splitlines())
    return {line["id"]: line["outcome"]["image_auroc"] for line in lines}


def test_a_cluster_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"no Ray cluster answers at nowhere:1 .*: start one by `ray start --head`"):
        list(spread([1], lambda: str, Crew(1, 1, "nowhere:1")))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'blemish\[ray\]'"):
        list(spread([1], lambda: str, Crew(1, 1, "nowhere:1")))
    assert list(spread([], lambda: str, Crew(1))) == []
