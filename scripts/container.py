"""Runs the steps of the Dockerfile without a container: for machines that have no daemon.

    python scripts/container.py LINE FOLDER

What is copied and installed goes below FOLDER instead of /, in a fresh environment. Then the line in the folder LINE is
served as the image does it: by its entry point and command, as its user where this one may become it, with nothing but
LINE writable for it, until its health check passes; then it is stopped by its signal. Needs a package index.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 120
"""Until the health check must have passed."""
OF_THE_IMAGE = ("useradd", "install")
"""Steps that change the system's users and folders, which are not those of an image here."""


class Step(NamedTuple):
    """An instruction of a Dockerfile."""

    name: str
    text: str


def steps(file: Path) -> list[Step]:
    """Its instructions, in order."""
    lines = re.sub(r"\\\n", " ", file.read_text(encoding="utf-8")).splitlines()
    split = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return [Step(name.upper(), text) for name, text in split]


def build(found: list[Step], folder: Path) -> Path:
    """Do what is copied and run, below the folder; returns where the programs of the image are then."""
    home = folder / "src"
    home.mkdir(parents=True)
    for step in found:
        words = shlex.split(step.text)
        if step.name == "COPY" and not words[0].startswith("--from"):
            for source in words[:-1]:
                _copy(ROOT / source, home / words[-1])
        elif step.name == "RUN" and words[0] not in OF_THE_IMAGE:
            command = step.text.replace("/opt/", f"{folder}/opt/").replace("python -m venv", f"{_python()} -m venv")
            subprocess.run(command, shell=True, cwd=home, check=True)
    return folder / "opt" / "blemish" / "bin"


def _python() -> str:
    """An interpreter that every user may run: this one, or the system's."""
    here = Path(sys.executable).resolve()
    return str(here) if all(folder.stat().st_mode & 1 for folder in here.parents) else "/usr/bin/python3"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def serve(found: list[Step], programs: Path, line: Path) -> None:
    """Start, wait for the health check, stop; raises SystemExit where one of these fails."""
    told = {name: [step.text for step in found if step.name == name] for name, _ in found}
    environ = dict(pair.split("=", 1) for text in told["ENV"] for pair in shlex.split(text))
    environ["PATH"] = f"{programs}:/usr/bin:/bin"
    words = [*_listed(told["ENTRYPOINT"][-1]), *_listed(told["CMD"][-1])]
    user = int(told["USER"][-1]) if os.geteuid() == 0 else None
    if user is not None:
        for path in (line, *line.rglob("*")):
            os.chown(path, user, user)
    health = told["HEALTHCHECK"][-1].partition(" CMD ")[2]
    served = subprocess.Popen(_locked(words, line, user), cwd=line, env=environ)
    try:
        for _ in _until(SECONDS):
            if served.poll() is not None:
                raise SystemExit(f"it ended with status {served.returncode} before it was healthy")
            if subprocess.run(health, shell=True, env=environ, capture_output=True, check=False).returncode == 0:
                break
        else:
            raise SystemExit(f"it was not healthy within {SECONDS} s")
        sys.stdout.write("healthy\n")
    finally:
        served.terminate()
        status = served.wait(30)
    sys.stdout.write(f"stopped with status {status}\n")


def _locked(words: list[str], line: Path, user: int | None) -> list[str]:
    """The command with nothing writable but the line's folder, as that user, where this process may do so."""
    if user is None or not shutil.which("unshare"):
        return words
    mounts = (
        f"mount --bind {shlex.quote(str(line))} {shlex.quote(str(line))} && mount -o remount,bind,ro / && cd {line}"
    )
    become = f"exec setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs {shlex.join(words)}"
    return ["unshare", "--mount", "sh", "-c", f"{mounts} && ! touch /read-only 2>/dev/null && {become}"]


def _listed(text: str) -> list[str]:
    return [word for word in re.findall(r'"([^"]*)"', text)]


def _until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(1)


def main() -> None:
    """As the module says."""
    line, folder = (Path(each).resolve() for each in sys.argv[1:3])
    found = steps(ROOT / "Dockerfile")
    serve(found, build(found, folder), line)


if __name__ == "__main__":
    main()
