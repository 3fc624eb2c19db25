"""The image and the systemd unit of a line; without a container daemon, the image's steps in a fresh environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from scripts.container import ROOT, steps
from tests.support.parts import frozen, good

from blemish.cli import COMMANDS

STEPS = steps(ROOT / "Dockerfile")
LINE = '[[stations]]\nname = "gears"\nrecipes = { gear = "gear.deploy.blemish" }\n'


def told(name: str) -> list[str]:
    return [step.text for step in STEPS if step.name == name]


def test_an_image_copies_what_there_is_and_installs_what_is_declared() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for text in told("COPY") if "--from" not in text for word in text.split()[:-1]}
    assert copied == kept
    assert all((ROOT / each).exists() for each in copied)
    (extras,) = re.findall(r"\.\[([\w,]+)\]", " ".join(told("RUN")))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) == {"runtime", "serve"} <= set(declared)


def test_an_image_is_not_run_by_root_and_says_how_it_is() -> None:
    assert told("USER") == ["10001"]
    assert "useradd --system --uid 10001" in " ".join(told("RUN"))
    assert told("VOLUME") == told("WORKDIR")[-1:] == ["/line"]
    (health,) = told("HEALTHCHECK")
    assert "BLEMISH_READY" in health
    assert "BLEMISH_READY=http://127.0.0.1:8420/api/v1/ready" in told("ENV")
    assert told("ENTRYPOINT") == ['["blemish"]']
    assert re.findall(r'"([^"]+)"', told("CMD")[0])[0] in COMMANDS
    compose = (ROOT / "examples" / "compose.yaml").read_text()
    assert "read_only: true" in compose
    assert 'user: "10001:10001"' in compose


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="NOT TESTED: systemd-analyze is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "blemish.service").read_text()
    program = "/opt/blemish/bin/blemish"
    assert f"ExecStart={program} serve line.toml" in text
    (tmp_path / "blemish.service").write_text(text.replace(program, "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "blemish.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.slow
def test_the_steps_of_the_image_serve_a_line_in_a_fresh_environment(tmp_path: Path) -> None:
    """Installs from a package index: an hour without one is no reason to change the image."""
    from blemish.export.deploying import ExportPlan
    from blemish.export.exporting import export_recipe
    from blemish.recipes.calibrate import HoldoutScheme, calibrate
    from blemish.recipes.recipe import save

    line = tmp_path / "line"
    line.mkdir()
    parts = good(tmp_path / "good", 12)
    made = calibrate(frozen("patchcore", parts[:4]), parts[4:], way=HoldoutScheme("split", every_picture=True))
    save(export_recipe(made, ExportPlan(check=tuple(parts[:1]))).recipe, line / "gear.deploy.blemish")
    (line / "line.toml").write_text(LINE)
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.owner() == Path.home().owner() and str(folder) != "/":
            folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "container.py"), str(line), str(tmp_path / "image")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "healthy\nstopped with status 0" in done.stdout
    assert (line / "line-data").is_dir() or list(line.iterdir())
