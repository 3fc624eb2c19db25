"""Writes what is made from the catalogue and the command line: `make tables`; a test says when it is old.

A block begins with `tables: NAME` and ends with `tables: end`, each in a comment of its own line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import blemish
from blemish import catalog

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?ms)^(?P<head>[^\n]*tables: (?P<name>\w+)[^\n]*\n)(?P<body>.*?)(?P<foot>^[^\n]*tables: end)")


def names() -> str:
    """Imports of the public names, for type checkers."""
    plain, renamed = dict[str, list[str]](), list[str]()
    for name in exported():
        module, _, there = blemish._WHERE[name].partition(":")
        if there == name:
            plain.setdefault(module, []).append(name)
        else:
            renamed.append(f"    from {module} import {there} as {name}\n")
    lines = [f"    from {module} import {', '.join(found)}\n" for module, found in plain.items()]
    return "".join(sorted([*lines, *renamed], key=lambda line: (line.split()[1], line.split()[3].islower(), line)))


def exports() -> str:
    """The public names."""
    return "__all__ = [\n" + "".join(f'    "{name}",\n' for name in exported()) + "]\n"


def exported() -> list[str]:
    """CONSTANTS, Classes, functions."""
    return sorted(blemish._WHERE, key=lambda name: (name.islower(), not name.isupper(), name))


def methods() -> str:
    """A row a method."""
    rows = [(f"`{name}`", *map(link, card.row())) for name, card in catalog.METHODS.items()]
    return table(("name", *catalog.COLUMNS), rows)


def link(cell: str) -> str:
    """An arXiv number as a link, anything else as it is."""
    number = cell.removeprefix("arXiv:")
    return f"[{number}](https://arxiv.org/abs/{number})" if number != cell else cell


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


BLOCKS: dict[str, Callable[[], str]] = {"names": names, "exports": exports, "methods": methods}
FILES = [ROOT / "src/blemish/__init__.py", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]


def fresh(text: str) -> str:
    """The text with each of its blocks made anew."""
    return BLOCK.sub(lambda found: found["head"] + BLOCKS[found["name"]]() + found["foot"], text)


def stale() -> list[Path]:
    """The files that `make tables` would change."""
    return [file for file in FILES if fresh(file.read_text(encoding="utf-8")) != file.read_text(encoding="utf-8")]


def main() -> None:
    """Write what is old."""
    for file in stale():
        file.write_text(fresh(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
