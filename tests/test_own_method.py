"""A method that is in no catalogue, examples/own_method.py."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.cli.test_inspect import run
from tests.support.line import ROOT
from tests.support.parts import good, part

from blemish import inspect
from blemish.catalog import own
from blemish.images import Inspected
from blemish.recipes.recipe import load

EXAMPLE = ROOT / "examples" / "own_method.py"


def test_it_trains_in_one_file_and_tells_defects_from_good_parts(tmp_path: Path) -> None:
    found = runpy.run_path(str(EXAMPLE))
    detector = found["PatchClassifier"](image_size=64)
    before = detector.linear.weight.clone()
    found["learn"](detector, good(tmp_path / "good", 6), tmp_path / "run")
    assert not torch.equal(detector.linear.weight, before)
    parts = [part(tmp_path / f"good{at}.png", 30 + at) for at in range(3)]
    parts += [part(tmp_path / f"bad{at}.png", 30 + at, spot=(10 + 12 * at, 20)) for at in range(3)]
    scores = [found.score for found in inspect(detector, parts) if isinstance(found, Inspected)]
    assert min(scores[3:]) > max(scores[:3])
    again = found["PatchClassifier"](image_size=64)
    found["learn"](again, good(tmp_path / "good", 6), tmp_path / "run")  # all steps are done: it goes on with nothing
    assert torch.equal(again.linear.weight, detector.linear.weight)


OWN = '''
from torch import Tensor, nn, zeros

from blemish import Batch, Geometry, Prediction, load_encoder
from blemish.blocks.memory import MemoryBank


class Brightness(nn.Module):
    """How far the mean brightness of a picture is from that of the nearest good part."""

    def __init__(self, encoder="test-tiny", *, side: int = 64) -> None:
        super().__init__()
        self.encoder, self.geometry, self.bank = load_encoder(encoder), Geometry(side), MemoryBank()

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        return ((batch.images.mean((2, 3)),),)

    def forward(self, images: Tensor) -> Prediction:
        far = self.bank.nearest(images.mean((2, 3)))[0].squeeze(-1)
        return Prediction(far, far[:, None, None].expand(-1, *images.shape[2:]))
'''


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of one's own was imported, or may be; afterwards neither."""
    monkeypatch.setenv(own.PLACES, "")
    monkeypatch.delitem(sys.modules, "own_method", raising=False)
    yield
    for name in ("own_method", "brightness"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("elsewhere")
def test_it_is_trained_from_the_command_line_and_every_command_takes_its_recipe(tmp_path: Path) -> None:
    parts, recipe, out = good(tmp_path / "good", 6), tmp_path / "own.blemish", tmp_path / "out"
    words = ("--augment", "cutpaste", "--steps", 20, "--encoder", "test-tiny", "--set", "image_size=64")
    done = run("train", f"{EXAMPLE}:PatchClassifier", tmp_path / "good", "--normal", "--out", recipe, *words)
    assert done.exit_code == 0, done.output
    assert load(recipe).method == "own_method:PatchClassifier"
    del sys.modules["own_method"]
    refused = run("inspect", parts[0], "--recipe", recipe, "--out", out)
    assert refused.exit_code == 1
    assert "a name alone imports nothing: if you trust the code of own_method, say where it is" in refused.output
    assert "does not fit" not in refused.output
    assert "own_method" not in sys.modules
    more = good(tmp_path / "more", 3, first=40)
    for command in (
        ("calibrate", recipe, "--good", tmp_path / "more", "--scheme", "split"),
        ("inspect", tmp_path / "more", "--recipe", recipe, "--out", out),
        ("recipe", "show", recipe),
    ):
        done = run("--own", EXAMPLE, *command)
        assert done.exit_code in (0, 10, 11), done.output
    assert len((out / "results.jsonl").read_text().splitlines()) == len(more)
    refused = run("--own", EXAMPLE, "teach", recipe, "--good", tmp_path / "more")
    assert refused.exit_code == 1
    assert "own_method:PatchClassifier is trained, not taught" in refused.output


@pytest.mark.usefixtures("elsewhere")
def test_one_that_learns_good_parts_is_frozen_taught_and_used_as_any_other(tmp_path: Path) -> None:
    file, recipe, dark = tmp_path / "brightness.py", tmp_path / "own.blemish", tmp_path / "dark.png"
    file.write_text(OWN)
    good(tmp_path / "good", 3)
    Image.new("RGB", (64, 64), "black").save(dark)
    learns = ("--method", f"{file}:Brightness", "--encoder", "test-tiny", "--normal", tmp_path / "good")
    scores = []
    for out, command in (
        ("now", ("inspect", dark, *learns)),
        ("", ("recipe", "freeze", recipe, *learns)),
        ("frozen", ("--own", file, "inspect", dark, "--recipe", recipe)),
        ("", ("--own", file, "teach", recipe, "--good", dark)),
        ("taught", ("--own", file, "inspect", dark, "--recipe", recipe)),
    ):
        done = run(*command, *(("--out", tmp_path / out) if out else ()))
        assert done.exit_code == 0, done.output
        scores += [json.loads((tmp_path / out / "results.jsonl").read_text())["score"]] if out else []
    assert scores[0] == scores[1] > 0.1
    assert scores[2] < 1e-3


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nothing.py:Some", "there is no file nothing.py"),
        ("some-thing.py:Some", "call it something like some_thing.py"),
        ("json.py:Some", "json.py is called as another module is"),
        ("broken_one.py:Some", "broken_one.py cannot be imported: ZeroDivisionError: division by zero"),
        ("without_one.py:Some", "without_one.py has no method 'Some'"),
        ("no_such_module:Some", "no_such_module cannot be imported: ModuleNotFoundError"),
        ("subprocess:Popen", "subprocess has no method 'Popen'"),
    ],
)
def test_what_is_no_method_is_refused_in_a_sentence(
    given: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("some-thing", ""), ("json", ""), ("broken_one", "1 / 0"), ("without_one", "Some = 3")):
        Path(f"{name}.py").write_text(text)
    done = run("train", given, ".", "--normal", "--out", "a.blemish")
    sys.modules.pop("without_one", None)
    assert done.exit_code == 1
    assert said in done.output
    assert "broken_one" not in sys.modules
