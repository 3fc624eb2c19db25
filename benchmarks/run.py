"""Run all benchmarks, or those named, and write RESULTS.md beside this file; a section that did not run is kept.

With `--beside` what another kind of machine gave is kept too: this one's comes after it, in the place of its own.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import ablation
import accuracy
import again
import aupro
import backbones
import choices
import claims
import convert
import coverage
import defect_types
import deploy
import ingredients
import kept
import materials
import mdc
import memory
import patchcore
import precision
import reconstructed
import region_sizes
import scale
import shipped
import startup
import students
import teaching
import trained
import tune
import winclip
import winclip_int8
import windows
import words
from harness import HERE, SOURCE, Options, options, parser, printed

import parity
import report
import serve

SECTIONS: dict[str, Callable[[Options], str]] = {
    "winclip": winclip.section,
    "windows": windows.section,
    "winclip_int8": winclip_int8.section,
    "precision": precision.section,
    "patchcore": patchcore.section,
    "aupro": aupro.section,
    "startup": startup.section,
    "shipped": shipped.section,
    "words": words.section,
    "backbones": backbones.section,
    "ablation": ablation.section,
    "students": students.section,
    "ingredients": ingredients.section,
    "choices": choices.section,
    "materials": materials.section,
    "memory": memory.section,
    "memory_of_large_pictures": memory.large_section,
    "memory_of_types": memory.types_section,
    "report": report.section,
    "convert": convert.section,
    "accuracy": accuracy.section,
    "coverage": coverage.section,
    "teaching": teaching.section,
    "trained": trained.section,
    "reconstructed": reconstructed.section,
    "tune": tune.section,
    "defect_types": defect_types.section,
    "region_sizes": region_sizes.section,
    "deploy": deploy.section,
    "parity": parity.section,
    "again": again.section,
    "mdc": mdc.section,
    "serve": serve.section,
    "soak": serve.soak_section,
    "scale": scale.section,
    "scale_memory": scale.memory_section,
    "scale_kills": scale.killed_section,
    "kept": kept.section,
    "claims": claims.section,
}
RESULTS = HERE / "RESULTS.md"
TITLE = "# Results\n\nWritten by `benchmarks/run.py`; how it was measured is in [README.md](README.md).\n"
OURS = ("torch", "numpy", "scipy", "safetensors", "tokenizers", "pillow")
PEERS = ("anomalib", "open_clip_torch", "torch", "torchvision", "numpy")


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="the benchmarks to run")
    made.add_argument("--beside", action="store_true", help="keep what other kinds of machine gave")
    arguments = made.parse_args()
    given = options(arguments)
    for name in arguments.only:
        load = os.getloadavg()[0]
        measured = SECTIONS[name](given)
        print(measured, end="\n\n", flush=True)
        kept = _read(RESULTS)  # now: another run may have written since
        found = f"{measured}\n\n{_circumstances(given, load)}"
        kept[name] = _beside(kept[name], found) if arguments.beside and name in kept else found
        _write(RESULTS, kept)


def _circumstances(given: Options, load: float) -> str:
    """When, where and with what a section was measured; sections may come from different machines."""
    today = datetime.datetime.now(tz=datetime.UTC).date()
    size = ", `--small`" if given.small else ""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{_processor()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB"
    own = printed(sys.executable, "import blemish; print(blemish.__version__)", given, str(SOURCE)).strip()
    sides = f"Python {platform.python_version()}, blemish {own}, {_listed(_versions(sys.executable, OURS, given, ''))}"
    if given.peer:
        sides += f"; peer: {_listed(_versions(given.peer, PEERS, given, given.peer_path))}"
    return f"_{today}, {machine}, {given.threads} threads, load {load:.1f} before the start{size}. {sides}._"


def _beside(known: str, found: str) -> str:
    """A section with what this kind of machine gave last, in the place of what it gave before."""
    heading = f"### On {_processor()}"
    other = re.split(r"\n\n(?=### On )", known)
    _, measured = found.split("\n\n", 1)  # less its own heading
    return "\n\n".join([*(each for each in other if not each.startswith(heading)), f"{heading}\n\n{measured}"])


def _processor() -> str:
    """The model and those of its units that decide how fast matrices are multiplied."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="ignore") if Path("/proc/cpuinfo").is_file() else ""
    model = re.search(r"model name\s*:\s*(.+)", cpu)
    units = [flag for flag in ("amx_bf16", "avx512_bf16", "avx512_vnni", "avx2") if flag in cpu]
    return f"{model[1].strip() if model else platform.processor()} ({', '.join(units)})"


def _versions(python: str, names: Sequence[str], given: Options, path: str) -> dict[str, str]:
    """Versions of packages in the environment of that Python."""
    code = f"import json; from importlib.metadata import version; print(json.dumps({{n: version(n) for n in {names}}}))"
    found: dict[str, str] = json.loads(printed(python, code, given, path))
    return found


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _read(file: Path) -> dict[str, str]:
    """Sections of an earlier run by name."""
    if not file.is_file():
        return {}
    parts = re.split(r"<!-- (\w+) -->\n", file.read_text(encoding="utf-8"))[1:]
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True) if name in SECTIONS}


def _write(file: Path, sections: dict[str, str]) -> None:
    parts = [TITLE, *(f"<!-- {name} -->\n{sections[name]}" for name in SECTIONS if name in sections)]
    file.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
