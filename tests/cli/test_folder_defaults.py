"""`blemish.toml`: what options are in a folder, said when it is used, the command line first; and completion."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.cli.test_inspect import picture, run
from tests.support.deployed import brightness

from blemish.cli.completion import completion
from blemish.cli.main import main

DEFAULTS = """
encoder = "test-tiny"  # of every command that has one

[inspect]
method = "patchcore"
set = ["ratio=0.5", "image_size=32"]
normal = ["good"]
overlays = false
out = "run"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with defaults, and the working folder below it."""
    for number in range(3):
        picture(tmp_path / "good" / f"{number}.png", seed=number)
    (tmp_path / "blemish.toml").write_text(DEFAULTS)
    (tmp_path / "below" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "below" / "deep")
    return tmp_path


def test_a_command_takes_what_the_folder_says_and_says_so(home: Path) -> None:
    result = run("inspect", "../../good")
    assert result.exit_code == 0, result.output
    settings = json.loads((home / "run" / "run.json").read_text())["settings"]
    assert (settings["method"], settings["encoder"]) == ("patchcore", "test-tiny")
    assert not list((home / "run" / "overlays").iterdir())
    for said in ("encoder = test-tiny", "method = patchcore", "normal = ['good']", "overlays = false"):
        assert f"{home / 'blemish.toml'}: {said}".replace("'good'", f"'{home / 'good'}'") in result.stderr


def test_the_command_line_comes_first(home: Path) -> None:
    result = run("inspect", "../../good", "--out", "other", "--set", "ratio=0.25", "--overlays")
    assert result.exit_code == 0, result.output
    assert (home / "below" / "deep" / "other" / "results.jsonl").exists()
    assert f"{home / 'blemish.toml'}: out" not in result.stderr
    settings = json.loads((home / "below" / "deep" / "other" / "run.json").read_text())["settings"]
    assert settings["arguments"]["ratio"] == 0.25


def test_what_a_recipe_has_of_its_own_is_not_taken_from_the_file(home: Path) -> None:
    frozen = ("--normal", "../../good", "--method", "patchcore", "--set", "ratio=0.5", "--set", "image_size=32")
    result = run("recipe", "freeze", "a.blemish", *frozen)
    assert result.exit_code == 0, result.output
    for command, unused in (("inspect", "encoder, method, set, normal"), ("batch", "encoder")):
        result = run(command, "../../good", "--recipe", "a.blemish", "--out", command)
        assert result.exit_code == 0, result.output
        assert f"{home / 'blemish.toml'}: not used, for --recipe has its own: {unused}\n" in result.stderr
        assert "encoder = " not in result.stderr
    result = run("inspect", "../../good", "--recipe=a.blemish", "--out", "more", "--method", "patchcore")
    assert "--recipe has its own --method" in result.stderr


def test_a_deployed_recipe_has_no_device_and_one_that_the_file_names_gives_way_to(home: Path) -> None:
    brightness(home / "below" / "a.blemish")
    (home / "blemish.toml").write_text('encoder = "test-tiny"\ndevice = "cpu"\n')
    for command in ("inspect", "batch"):
        result = run(command, "../../good", "--recipe", "../a.blemish", "--out", command)
        assert result.exit_code in (0, 10, 11), result.output
        assert f"{home / 'blemish.toml'}: not used, for --recipe has its own: encoder, device\n" in result.stderr
    result = run("inspect", "../../good", "--recipe", "../a.blemish", "--out", "more", "--device", "cpu")
    assert "--recipe has its own --device" in result.stderr
    (home / "blemish.toml").write_text('encoder = "test-tiny"\n[inspect]\nrecipe = "below/a.blemish"\ndevice = "cpu"\n')
    result = run("inspect", "../../good", "--out", "last")
    assert result.exit_code in (0, 10, 11), result.output
    assert "has its own: encoder, device\n" in result.stderr


def test_each_key_that_may_be_there_is_named_once(home: Path) -> None:
    (home / "blemish.toml").write_text("zzz = 1\n")
    listed = run("list", "layouts").output.partition("the keys are ")[2].split(", ")
    assert "batch" in listed
    assert len(listed) == len(set(listed))


def test_what_nobody_uses_is_not_said(home: Path) -> None:
    assert run("list", "layouts").stderr == ""
    assert run("inspect", "--help").exit_code == 0


WRONG = {
    "[inspekt]": "line 1: inspekt: there is no such command",
    "[inspect]\ntille = 9": "line 2: inspect.tille: there is no such key; did you mean tile?",
    "[inspect]\ntile = 'x'": "line 2: inspect.tile: 'x' is not a valid integer",
    "[inspect]\ntile = true": "line 2: inspect.tile: True will not do, wanted is a value, not true or false",
    "[inspect]\nresume = 1": "line 2: inspect.resume: 1 will not do, wanted is true or false",
    "[inspect]\nnormal = 'good'": "line 2: inspect.normal: 'good' will not do, wanted is a list",
    "\n\nenkoder = 'a'": "line 3: enkoder: there is no such key; did you mean encoder?",
    "[recipe.freze]\nmethod = 'tab'": "recipe.freze: there is no such key; did you mean freeze?",
    "inspect = 3": "line 1: inspect: 3 will not do, wanted is a table",
    "a = ": "is no TOML",
    "[inspect]\nmethod = './own.py:Mine'": "line 2: inspect.method: name a method of your own on the command line",
    "own = './own.py'": "line 1: own: there is no such key",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_does_not_fit_is_named_with_its_line(home: Path, text: str) -> None:
    (home / "blemish.toml").write_text(text)
    result = run("recipe" if "recipe" in text else "inspect", "show" if "recipe" in text else "../../good", "x")
    assert result.exit_code == 1, result.output
    assert WRONG[text] in result.output
    assert str(home / "blemish.toml") in result.output


def test_commands_of_a_group_have_tables_of_their_own(home: Path) -> None:
    (home / "blemish.toml").write_text("[recipe]\nproduct = 'gear'\n[recipe.freeze]\nnormal = ['good']\nset = []\n")
    result = run(
        "recipe", "freeze", "a.blemish", "--encoder", "test-tiny", "--method", "padim", "--set", "image_size=32"
    )
    assert "product = gear" in result.stderr
    assert "there is no such key" not in result.output


SHELLS = [name for name in ("bash", "zsh", "fish") if shutil.which(name)]
ASK = {
    "bash": 'eval "$(blemish completion bash)"; COMP_WORDS=({words}); COMP_CWORD={at}; '
    "_blemish_completion blemish; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    "zsh": 'autoload -Uz compinit; compinit -D; eval "$(blemish completion zsh)"; '
    "compadd() {{ printf '%s\\n' ${{(P)${{@[-1]}}}}; }}; _describe() {{ printf '%s\\n' ${{(P)3}} ${{(P)4}}; }}; "
    "words=({words}); CURRENT=$(({at}+1)); _blemish_completion",
    "fish": 'blemish completion fish | source; complete --do-complete "{line}"',
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("words", "wanted"), [("blemish insp", "inspect"), ("blemish convert --to co", "coco")])
def test_a_shell_completes_commands_and_choices(shell: str, words: str, wanted: str, tmp_path: Path) -> None:
    program = tmp_path / "blemish"
    start = "from blemish.cli.main import main; main(prog_name='blemish')"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{start}" "$@"\n')
    program.chmod(0o755)
    paths = os.pathsep.join(
        [str(Path(main.__module__ and __file__).parents[2] / "src"), os.environ.get("PYTHONPATH", "")]
    )
    asked = ASK[shell].format(words=words, at=len(words.split()) - 1, line=words)
    done = subprocess.run(
        [shell, *(["-f"] if shell == "zsh" else []), "-c", asked],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert wanted in done.stdout, (done.stdout, done.stderr)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_is_printed_for_a_shell_is_clicks_own(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_BLEMISH_COMPLETE" in result.stdout
    assert completion.name == "completion"
