from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image
from tests.pretrain.test_sources import photograph

from blemish import encoders
from blemish.cli import console
from blemish.cli.main import main
from blemish.encoders.embedded.network import Embedded
from blemish.images import read
from blemish.notices import amount
from blemish.pretrain import sources
from blemish.synth.drawn.flaws.flaws import FLAWS
from blemish.synth.drawn.specimens import specimen

QUICK = ["--specimens", "4", "--side", "64"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def pretrain(folder: Path, *more: object) -> Result:
    return run("pretrain", "--work", folder / "work", "--out", folder / "model.safetensors", *QUICK, *more)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a run that was out of time before its first step."""
    folder = tmp_path_factory.mktemp("training")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(console, "PAUSE", 0)
        patched.setattr(sources, "AHEAD", 8)  # no more is drawn than is used, nearly
        result = pretrain(folder, "--steps", "2", "--minutes", "0")
    assert result.exit_code == 0, result.output
    assert "drawing specimens: 4 of 4" in result.stderr
    assert "stopped early, the same command goes on" in result.stdout
    assert "training" not in result.stderr
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def trained(stopped: Path) -> Path:
    """The same run, gone on with until it was done."""
    before = (stopped / "model.safetensors").read_bytes()
    result = pretrain(stopped, "--steps", "2")
    assert result.exit_code == 0, result.output
    assert "finished" in result.stdout
    assert "training: 2 of 2, patches " in result.stderr
    assert "drawing" not in result.stderr
    assert (stopped / "model.safetensors").read_bytes() != before
    return stopped


def test_what_comes_out_is_an_encoder_with_the_words_of_the_domain(trained: Path) -> None:
    found = encoders.load(trained / "model.safetensors")
    assert isinstance(found, Embedded)
    assert {"scratch", "photo", "flawless", "leather"} <= set(found.words.vocabulary)
    assert found.encode_text(["a scratch"]).isfinite().all()
    assert all(tensor.isfinite().all() for tensor in found.state_dict().values())


def test_pictures_are_inspected_with_it(trained: Path, tmp_path: Path) -> None:
    drawn = specimen(0, 1, 96)
    for name, pixels in (("good", drawn.good), ("flawed", drawn.flawed)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    pictures = (tmp_path / "good.png", tmp_path / "flawed.png")
    chosen = ("--encoder", trained / "model.safetensors", "--method", "tab", "--product", drawn.product[0])
    result = run("inspect", *pictures, *chosen, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(line["path"]).name for line in lines] == ["good.png", "flawed.png"]
    assert all(0 <= line["score"] <= 1 for line in lines)
    assert lines[0]["score"] != lines[1]["score"]


def begun_again(trained: Path, folder: Path) -> None:
    """Only the specimens of another run."""
    shutil.copytree(trained / "work" / "specimens", folder / "work" / "specimens")


def test_a_run_can_start_from_what_another_has_written(trained: Path, tmp_path: Path) -> None:
    begun_again(trained, tmp_path)
    start = trained / "model.safetensors"
    result = pretrain(tmp_path, "--steps", "1", "--minutes", "0", "--start", start)
    assert result.exit_code == 0, result.output
    old, new = (encoders.load(path, precision="float32") for path in (start, tmp_path / "model.safetensors"))
    assert isinstance(old, Embedded)
    assert isinstance(new, Embedded)
    assert new.words.vocabulary == old.words.vocabulary
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = (model(images, layers=[5]) for model in (old, new))
        assert float((one.patches[0] - other.patches[0]).norm() / one.patches[0].norm()) < 0.01
        assert torch.equal(new.encode_text(["a dent"]), old.encode_text(["a dent"]))


def test_it_learns_from_the_users_own_parts_and_from_a_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "PAUSE", 0)
    for number in range(3):
        photograph(tmp_path / "caps" / f"{number}.png", seed=number)
    own = ("--good", f"zirconia cap={tmp_path / 'caps'}", "--photos", tmp_path / "caps", "--teacher", "test-tiny")
    result = pretrain(tmp_path, "--specimens", "0", "--steps", "1", "--aim", "tab=0.1", *own)
    assert result.exit_code == 0, result.output
    for said in ("drawing flaws on good parts: 3 of 3", "asking the teachers: 3 of 3", "asking the teachers: 6 of 6"):
        assert said in result.stderr
    assert all(f"{aim} " in result.stderr for aim in ("distillation", "patches", "types", "whole", "products", "tab"))
    found = encoders.load(tmp_path / "model.safetensors")
    assert isinstance(found, Embedded)
    assert "zirconia" in found.words.vocabulary


def test_an_encoder_of_others_cannot_be_started_from(tmp_path: Path) -> None:
    result = pretrain(tmp_path, "--start", "test-tiny")
    assert result.exit_code == 1
    assert "test-tiny cannot be trained on" in result.stderr


def test_pictures_of_another_side_need_another_folder(trained: Path) -> None:
    result = run("pretrain", "--work", trained / "work", "--out", trained / "x", "--specimens", "4", "--side", "96")
    assert result.exit_code == 1
    assert "choose another folder" in result.stderr
    assert "Traceback" not in result.output


def test_fewer_steps_than_were_done_are_refused(trained: Path) -> None:
    result = pretrain(trained, "--steps", "1")
    assert result.exit_code == 1
    assert "is at step 2, beyond the 1 asked for" in result.stderr


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    result = pretrain(tmp_path, "--specimens", "0")
    assert result.exit_code == 1
    assert "nothing to learn from" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["--side", "100"], 2, "100 is not a multiple of 32"),
        (["--side", "32"], 2, "32 is not in the range"),
        (["--good", "bottle"], 2, "--good bottle: write PRODUCT=DIR"),
        (["--good", "=photos"], 2, "--good =photos: write PRODUCT=DIR"),
        (["--good", "bottle=nowhere"], 1, "nowhere does not exist"),
        (["--photos", "nowhere"], 1, "nowhere does not exist"),
        (["--aim", "patches"], 2, "--aim patches: write NAME=WEIGHT"),
        (["--aim", "colour=1"], 1, "no aim 'colour': choose from distillation"),
        (["--aim", "patches=much"], 1, "the weight of an aim must be a number"),
        (["--aim", "patches=-1"], 1, "it must be 0 or more"),
        (["--precision", "half"], 2, "'half' is not one of"),
        (["--rate", "-1"], 1, "a learning rate of -1: give one above 0 and at most 1"),
        (["--teacher", "nonesuch"], 1, "no encoder is called 'nonesuch'"),
        (["--start", "nonesuch"], 1, "no encoder is called 'nonesuch'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], status: int, reason: str
) -> None:
    result = pretrain(tmp_path, "--specimens", "0", *arguments)
    assert result.exit_code == status, result.output
    assert reason in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "model.safetensors").exists()


def synth(folder: Path, *more: object) -> Result:
    return run("synth", "--out", folder / "new" / "sheet.png", "--side", "32", *more)


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (5, 5, 1), (7, 4, 2)])
def test_a_sheet_has_a_triple_for_each_specimen(tmp_path: Path, count: int, rows: int, columns: int) -> None:
    result = synth(tmp_path, "--count", count)
    assert result.exit_code == 0, result.output
    assert read(tmp_path / "new" / "sheet.png").shape == (3, 32 * rows, 3 * 32 * columns)
    lines = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines[:-1]] == [str(number) for number in range(count)]
    assert amount(count, "specimen") in lines[-1]


def test_a_sheet_shows_the_specimens_of_its_numbers(tmp_path: Path) -> None:
    result = synth(tmp_path, "--count", "1", "--first", "3", "--seed", "5")
    drawn = specimen(5, 3, 32)
    pixels = np.asarray(Image.open(tmp_path / "new" / "sheet.png"))
    assert np.array_equal(pixels[:, :32], drawn.good)
    assert np.array_equal(pixels[:, 32:64], drawn.flawed)
    assert result.stdout.splitlines()[0] == f"3: {drawn.product[0]}, {drawn.family}"


def test_a_sheet_of_one_family_shows_no_other(tmp_path: Path) -> None:
    result = synth(tmp_path, "--count", "4", "--flaw", "stain")
    assert result.exit_code == 0, result.output
    assert all(line.endswith(", stain") for line in result.stdout.splitlines()[:-1])


def test_an_unknown_family_is_refused_with_all_that_there_are(tmp_path: Path) -> None:
    result = synth(tmp_path, "--flaw", "gloom")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "unknown family of flaws 'gloom'" in line
    assert all(family in line for family in FLAWS)
    assert not (tmp_path / "new").exists()


def test_a_sheet_is_refused_in_a_format_that_is_none(tmp_path: Path) -> None:
    result = run("synth", "--out", tmp_path / "sheet.txt", "--side", "32", "--count", "1")
    assert result.exit_code == 1
    assert "cannot be written as '.txt'" in result.stderr
