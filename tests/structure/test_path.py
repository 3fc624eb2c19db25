"""How far a picture travels from the command to its score: our files and their lines of code, with the default encoder.

Passed are the callers, from the command down to the detector, and whatever of ours runs from the moment the stream of
pictures begins until the detector returns. What was done before, such as loading and learning, is not on the way.
A file of blocks holds many that have nothing to do with each other: of these only what is passed counts.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from types import FrameType

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tests.structure.source import ROOT, code_lines, name
from tests.support.quick import SIDE, slow_but
from tests.support.training import trained

from blemish import catalog, encoders, inspection
from blemish.catalog.reconstructions import RECONSTRUCTIONS
from blemish.cli.main import main
from blemish.recipes import update
from blemish.recipes.recipe import save

MOST_FILES, MOST_LINES = 14, 1100
MORE_FILES, SHARED = 2, "training/sentences.py"
"""A reconstruction is short: it passes a file that all of them share, and one of the block that it is for."""
READS_WORDS = {"dyc-clip", "genclip"}
"""Each picture changes their words, so that it passes the text tower too."""
MOST_FILES_OF_TOWERS, MOST_LINES_OF_TOWERS = 19, 1280


def test_lines_of_code_are_counted_as_said(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    said = '"""Said\n\nat length."""\n\nX = 1  # one\n"""Said of X."""\n# why\n'
    file.write_text(said + 'def f():\n    """Said."""\n    return """a\nb"""\n')
    assert code_lines(file) == 4
    assert code_lines(file, passed={9}) == 4
    assert code_lines(file, passed={1}) == 1


@contextmanager
def traced(method: str) -> Iterator[set[tuple[Path, int]]]:
    """The files that are passed meanwhile, and the lines where the functions begin that are passed in each."""
    begins = inspection.inspect.__code__
    made = catalog.method(method)
    ends = {getattr(made, name).__code__ for name in ("forward", "follow") if hasattr(made, name)}
    seen: set[tuple[Path, int]] = set()
    running: list[bool] = []  # whether the stream has begun, whether the first score is there

    def watch(frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code is begins and not running:
            running.append(True)
        if event == "call" and len(running) == 1:
            seen.update(_ours(frame))
        if event == "call" and len(running) == 1 and frame.f_code in ends:
            seen.update(passed for caller in _callers(frame) for passed in _ours(caller))
        if event == "return" and frame.f_code in ends and len(running) == 1:
            running.append(True)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def _ours(frame: FrameType) -> set[tuple[Path, int]]:
    code = frame.f_code
    return {(Path(code.co_filename), code.co_firstlineno)} if code.co_filename.startswith(str(ROOT)) else set()


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame:
        yield frame
        frame = frame.f_back


def trained_recipe(method: str, folder: Path) -> Path:
    """Of one step, on the default encoder."""
    detector = trained(catalog.method(method)(image_size=SIDE), folder / "training", steps=1)
    save(update.freeze_detector(detector, method, arguments={"image_size": SIDE}), folder / "a.blemish")
    return folder / "a.blemish"


ON_DEFAULT = [name for name, card in catalog.METHODS.items() if card.needs <= encoders.load(encoders.DEFAULT).can]
"""What the default encoder can run."""
UNLIKE = set(ON_DEFAULT) - set(RECONSTRUCTIONS) | READS_WORDS | {"adp"}
"""Reconstructions pass the same files, but for a block and one of their own: one stands for all that read no words."""


@pytest.mark.parametrize("method", slow_but(UNLIKE, ON_DEFAULT))
def test_a_picture_passes_few_files_and_lines(method: str, tmp_path: Path) -> None:
    noise = torch.randint(100, 150, (2, 64, 64, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for number in range(2):
        Image.fromarray(noise[number].numpy()).save(tmp_path / f"{number}.png")
    card = catalog.card(method)
    words = ["inspect", str(tmp_path / "0.png"), "--out", str(tmp_path / "out")]
    if card.trained:
        words += ["--recipe", str(trained_recipe(method, tmp_path))]
    else:
        words += ["--method", method]
    if (card.normal == "required" or card.scores == "set") and not card.trained:
        words += ["--normal", str(tmp_path / "1.png")]
    if "turns" in signature(catalog.method(method)).parameters:
        words += ["--set", "turns=1"]  # of what is learned, which is over before the picture comes
    with traced(method) as seen:
        result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    files = {file: {line for each, line in seen if each == file} for file, _ in sorted(seen)}
    passed = {
        name(file): code_lines(file, passed=begun if "blocks" in file.parts or name(file) == SHARED else None)
        for file, begun in files.items()
    }
    report = f"{len(passed)} files, {sum(passed.values())} lines: {passed}"
    limits = (MOST_FILES + MORE_FILES * bool(card.grade), MOST_LINES)
    if method in READS_WORDS:
        limits = (MOST_FILES_OF_TOWERS, MOST_LINES_OF_TOWERS)
    assert len(passed) <= limits[0], report
    assert sum(passed.values()) <= limits[1], report
    assert {"cli/main.py", "inspection.py"} <= set(passed)
    own = {f"detectors/{method.replace('-', '_')}.py"} | ({SHARED} if card.grade else set())
    assert own & set(passed)  # a block that only training needs is not passed
