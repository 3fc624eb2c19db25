"""Every example of the README and of the documentation is run, page by page, as it is written."""

from __future__ import annotations

import math
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner
from scripts import tables
from tests.support.line import ROOT, furnish
from tests.support.resampling import resampling_as_asked
from tests.support.seen import remember_pictures

from blemish.catalog import own
from blemish.cli.main import main

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?ms)^(?P<slow><!-- slow -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$")
TOLERANCE = 0.01
"""By how much a number that is shown may differ: processors and libraries round differently."""
BY_RECIPE = {0, 10, 11}
"""Exit status of a recipe's verdicts: accepted, in review, rejected."""


class Example(NamedTuple):
    page: Path
    slow: bool
    language: str
    text: str

    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command with the lines that are shown below it."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines() if self.language == "console" else ():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found[-1][0].endswith("\\"):
                found[-1] = (found[-1][0][:-1] + line, [])
            else:
                found[-1][1].append(line)
        return found


def examples(page: Path) -> list[Example]:
    blocks = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Example(page, bool(block["slow"]), block["language"], block["text"]) for block in blocks]


WITH_EXAMPLES = [page for page in PAGES if any(not each.slow for each in examples(page))]
WITH_SLOW = [page for page in PAGES if any(each.slow for each in examples(page))]


@pytest.fixture(autouse=True, scope="module")
def as_users_run_them() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, resampling_as_asked():
        remember_pictures(patch)
        yield


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("line")
    furnish(folder)
    return folder


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_work(page: Path, line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_all([each for each in examples(page) if not each.slow], line, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SLOW, ids=lambda page: page.stem)
def test_a_page_works_with_its_slow_examples(
    page: Path, line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_all(examples(page), line, tmp_path, monkeypatch)


def test_slow_examples_ask_for_what_the_commands_have() -> None:
    known = {context.command_path: context for context in tables.walk(tables.root())}
    slow = [each for page in WITH_SLOW for each in examples(page) if each.slow]
    asked = [command for each in slow for command, _ in each.commands() if command.startswith("blemish ")]
    assert len(asked) > 8
    for command in asked:
        name = max((path for path in known if command.startswith(f"{path} ")), key=len)
        words = shlex.split(command, comments=True)
        known[name].command.make_parser(known[name]).parse_args(words[len(name.split()) :])


def run_all(found: list[Example], line: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(line, folder / "line"))
    monkeypatch.setenv(own.PLACES, "")
    monkeypatch.delitem(sys.modules, "own_method", raising=False)
    monkeypatch.delitem(sys.modules, "own_method", raising=False)  # another page's
    for each in found:
        if each.language == "python":
            exec(compile(each.text, each.page.name, "exec"), {"__name__": "example"})
        for command, shown in each.commands():
            written = run(command, monkeypatch)
            missing = [each for each in shown if each.strip() and not any(agree(each, w) for w in written.splitlines())]
            assert missing == [], f"{command} does not say so, but:\n{written}"


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What it writes; raises AssertionError when it fails."""
    first, *words = shlex.split(command, comments=True)
    if first in ("make", "pip"):
        assert words[0] in NOT_RUN[first]()
        return ""
    if first == "python":
        monkeypatch.setattr("sys.argv", words)
        runpy.run_path(words[0], run_name="__main__")
        return ""
    assert first == "blemish", command
    result = CliRunner().invoke(main, words)
    assert result.exit_code in (BY_RECIPE if "--recipe" in words else {1} if "diff" in words else {0}), (
        f"{command}: {result.output}"
    )
    return result.output


def targets() -> set[str]:
    return set(re.findall(r"(?m)^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8")))


NOT_RUN: dict[str, Any] = {"make": targets, "pip": lambda: {"install"}}


NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")
TIME = re.compile(rf"{NUMBER.pattern}(?= s\b)|(?<=in )[\d.]+")


def agree(shown: str, written: str) -> bool:
    """Whether the lines say the same but for the width of columns, for times, and for a hundredth of other numbers."""
    one, other = (TIME.sub("#", " ".join(line.split())) for line in (shown, written))
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=TOLERANCE, abs_tol=1e-4) for a, b in pairs)


def test_a_block_is_read_as_commands_with_their_output() -> None:
    text = "$ blemish inspect a \\\n    --out b\n 0.5 a.png\n$ make demo\n"
    (first, second) = Example(Path(), False, "console", text).commands()
    assert first == ("blemish inspect a     --out b", [" 0.5 a.png"])
    assert second == ("make demo", [])
    assert agree(" 0.5   a.png ", "0.499 a.png")
    assert not agree("0.5 a.png", "0.48 a.png")
    assert not agree("0.5 a.png", "0.5 b.png")
    assert not agree("3 rejected", "4 rejected")
    assert agree("50 % within 0.03 s", "50 % within 0.5 s")


def test_every_command_has_an_example() -> None:

    written = " ".join(command for page in PAGES for each in examples(page) for command, _ in each.commands())
    paths = [context.command_path for context in tables.walk(tables.root())]
    assert [path for path in paths if f"{path} " not in f"{written} "] == []


def test_every_command_and_option_is_in_the_reference() -> None:

    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for context in tables.walk(tables.root()):
        section = re.search(rf"(?ms)^## {context.command_path}$(.*?)(?=^## |\Z)", text)
        assert section, context.command_path
        for option in context.command.params:
            for name in (*option.opts, *option.secondary_opts) if option.param_type_name == "option" else ():
                assert re.search(rf"{name}\b", section[1]), f"{context.command_path} {name}"


def test_the_site_builds_without_a_network(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, *["-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir"], str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"NO_MKDOCS_2_WARNING": "1", "PATH": ""},
    )
    assert built.returncode == 0, built.stderr
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(r'(?:src|<link[^>]+href)="(https?:[^"]+)"', page.read_text(encoding="utf-8"))
        assert fetched == [], page.name
