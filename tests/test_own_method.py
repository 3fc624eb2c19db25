"""A method that is in no catalogue, examples/own_method.py."""

from __future__ import annotations

import runpy
from pathlib import Path

import torch
from tests.support.line import ROOT
from tests.support.parts import good, part

from blemish import inspect
from blemish.images import Inspected


def test_it_trains_in_one_file_and_tells_defects_from_good_parts(tmp_path: Path) -> None:
    own = runpy.run_path(str(ROOT / "examples" / "own_method.py"))
    detector = own["PatchClassifier"](image_size=64)
    before = detector.linear.weight.clone()
    own["learn"](detector, good(tmp_path / "good", 6), tmp_path / "run")
    assert not torch.equal(detector.linear.weight, before)
    parts = [part(tmp_path / f"good{at}.png", 30 + at) for at in range(3)]
    parts += [part(tmp_path / f"bad{at}.png", 30 + at, spot=(10 + 12 * at, 20)) for at in range(3)]
    scores = [found.score for found in inspect(detector, parts) if isinstance(found, Inspected)]
    assert min(scores[3:]) > max(scores[:3])
    again = own["PatchClassifier"](image_size=64)
    own["learn"](again, good(tmp_path / "good", 6), tmp_path / "run")  # all steps are done: it goes on with nothing
    assert torch.equal(again.linear.weight, detector.linear.weight)
