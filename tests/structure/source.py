"""The package's own files, parsed."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

import blemish

ROOT = Path(blemish.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[Path], None]


def name(file: Path) -> str:
    """For messages: detectors/padim.py."""
    return file.relative_to(ROOT).as_posix()


def each_of(files: Iterable[Path]) -> Callable[[Rule], Callable[[], None]]:
    """A rule for one file as one test of all of them, which names every file that breaks it."""
    checked = list(files)

    def as_test(rule: Rule) -> Callable[[], None]:
        def test() -> None:
            broken = {name(file): found for file in checked if (found := _breach(rule, file))}
            assert not broken, "\n".join(f"{file}: {said}" for file, said in broken.items())

        test.__doc__ = rule.__doc__
        return test

    return as_test


def _breach(rule: Rule, file: Path) -> str:
    try:
        rule(file)
    except AssertionError as error:
        return str(error) or "it breaks the rule"
    return ""


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(file)))


def functions(file: Path) -> Iterator[Function]:
    return (node for node in nodes(file) if isinstance(node, Function))


def calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call with what is called, as written: "torch.load"."""
    return ((ast.unparse(node.func), node) for node in nodes(file) if isinstance(node, ast.Call))


def lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def code_lines(file: Path, *, passed: Collection[int] | None = None) -> int:
    """Lines with code in them: neither empty, nor a comment, nor a docstring.

    passed: without the functions and classes of the file in which none of these lines lies.
    """
    spans = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in parsed(file).body
        if isinstance(node, Function | ast.ClassDef) and passed is not None
    ]
    others = {line for span in spans if not any(line in span for line in passed or ()) for line in span}
    return len(_code(file) - others)


@cache
def _code(file: Path) -> frozenset[int]:
    with file.open("rb") as opened:
        tokens = [token for token in tokenize.tokenize(opened.readline) if token.type not in SILENT]
    bare = {
        line
        for node in nodes(file)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    return frozenset({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - bare)


SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


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
