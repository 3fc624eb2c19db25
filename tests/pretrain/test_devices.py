from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.structure.source import ROOT
from tests.support.small import taught

TWO = """
import json, os, sys
from dataclasses import replace
from pathlib import Path

from tests.support.small import LESSONS, SIDE, student
from tests.support.told import Told
from tests.pretrain.test_loop import MIXTURE, PLAN

from blemish.pretrain.batches import Batches
from blemish.pretrain.course import PretrainModel, Weights
from blemish.pretrain.loop import train, write
from blemish.pretrain.store import Store

folder, told = Path(sys.argv[1]), Told()
stores = [Store(folder / "twins", SIDE)]
course = PretrainModel(student(stores), LESSONS, Weights())  # without TAB's aim, whose heads then have no gradient
batches = Batches(stores, LESSONS, course.student.words.vocabulary)
done = train(course, batches, replace(PLAN, devices=2, save_every=1), MIXTURE, folder / "run", watch=told)
rank = os.environ.get("LOCAL_RANK", "0")
write(course.student, folder / f"{rank}.safetensors")
(folder / f"{rank}.json").write_text(json.dumps([done, told.totals]))
"""


@pytest.mark.slow
def test_two_devices_learn_one_model_from_different_batches(tmp_path: Path) -> None:
    taught(tmp_path)
    (tmp_path / "two.py").write_text(TWO, encoding="utf-8")
    paths = {"PYTHONPATH": f"{ROOT.parent}:{ROOT.parents[1]}", "OMP_NUM_THREADS": "1", "PATH": ""}
    command = [sys.executable, str(tmp_path / "two.py"), str(tmp_path)]
    subprocess.run(command, env=paths, check=True, capture_output=True, timeout=300)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1))
    assert first[0]
    assert second[0]
    assert len(first[1]) == len(second[1]) == 4
    assert first[1] != second[1]
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint.pt"]
