"""The package's own files, parsed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import blemish

ROOT = Path(blemish.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name(file: Path) -> str:
    """For messages and test numbers: detectors/padim.py."""
    return file.relative_to(ROOT).as_posix()


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def nodes(file: Path) -> Iterator[ast.AST]:
    return ast.walk(parsed(file))


def functions(file: Path) -> Iterator[Function]:
    return (node for node in nodes(file) if isinstance(node, Function))


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call with what is called, as written: "torch.load"."""
    return ((ast.unparse(node.func), node) for node in nodes(file) if isinstance(node, ast.Call))


def lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def module(file: Path) -> str:
    """blemish.detectors.padim."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(("blemish", *(part for part in parts if part != "__init__")))


MODULES = {module(file): file for file in FILES}


def imported(file: Path) -> Iterator[str]:
    """Our own modules that a file imports anywhere, also in functions and for types only."""
    return (module for node in nodes(file) for module in _named(node))


def imported_at_once(file: Path) -> Iterator[str]:
    """Our own modules that are run when the file is imported."""
    return (module for node in parsed(file).body for module in _named(node))


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in MODULES)
    elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield whole if whole in MODULES else node.module
