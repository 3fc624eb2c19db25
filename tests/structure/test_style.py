"""The rules of style that can be counted."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.structure.source import FILES, Function, calls, each_of, functions, lines, name, nodes, parsed

LONGEST_FUNCTION, LONGEST_FILE, LONGEST_METHOD_FILE, DEEPEST = 50, 400, 150, 3
Nesting = ast.For | ast.AsyncFor | ast.While | ast.If | ast.With | ast.AsyncWith | ast.Try | ast.Match
Definition = Function | ast.ClassDef
SEEDS = {"torch.manual_seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all", "random.seed", "torch.seed"}
DRAWS = {"torch.rand", "torch.randn", "torch.randint", "torch.randperm", "torch.multinomial", "torch.bernoulli"}

each_file = each_of(FILES)


def test_a_rule_names_every_file_that_breaks_it() -> None:
    def refuse_two(file: Path) -> None:
        assert file not in FILES[3:5]

    with pytest.raises(AssertionError) as caught:
        each_of(FILES)(refuse_two)()
    assert [name(file) in str(caught.value) for file in FILES[2:6]] == [False, True, True, False]
    each_of(FILES[5:])(refuse_two)()


@each_file
def test_no_file_is_long(file: Path) -> None:
    limit = LONGEST_METHOD_FILE if file.parent.name == "detectors" else LONGEST_FILE
    assert lines(file) <= limit


@each_file
def test_no_function_is_long(file: Path) -> None:
    long = {each.name: (each.end_lineno or 0) - each.lineno + 1 for each in functions(file)}
    assert {found: count for found, count in long.items() if count > LONGEST_FUNCTION} == {}


@each_file
def test_no_function_is_deeply_nested(file: Path) -> None:
    depths = {each.name: depth(each.body) for each in functions(file)}
    assert {found: count for found, count in depths.items() if count > DEEPEST} == {}


def depth(body: list[ast.stmt]) -> int:
    """Statements inside statements; `elif` counts once, a function inside a function begins anew."""
    return max((1 + deepest for statement in body for deepest in _inner(statement)), default=0)


def _inner(statement: ast.stmt) -> Iterator[int]:
    if not isinstance(statement, Nesting):
        return
    for field in ("body", "orelse", "finalbody"):
        inside: list[ast.stmt] = getattr(statement, field, [])
        is_elif = field == "orelse" and len(inside) == 1 and isinstance(inside[0], ast.If)
        yield depth(inside) - is_elif
    for arm in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        yield depth(arm.body)


def test_the_depth_of_a_function_is_counted_as_said() -> None:
    source = "if a:\n  pass\nelif b:\n  for c in d:\n    with e:\n      pass\nelse:\n  pass\n"
    assert depth(ast.parse(source).body) == 3
    assert depth(ast.parse("try:\n  pass\nexcept E:\n  while f:\n    pass\n").body) == 2
    assert depth(ast.parse("x = 1").body) == 0


@each_file
def test_arguments_have_names(file: Path) -> None:
    """No ** in a signature: a misspelt option must be an error where it is written."""
    assert {each.name: each.args.kwarg.arg for each in functions(file) if each.args.kwarg} == {}


@each_file
def test_no_default_is_mutable_or_computed(file: Path) -> None:
    for each in functions(file):
        for default in (*each.args.defaults, *each.args.kw_defaults):
            made = [node for node in ast.walk(default or ast.Constant(None)) if isinstance(node, MADE)]
            assert not made, f"{name(file)}:{each.lineno} {each.name}"


MADE = ast.Call | ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp


@each_file
def test_nothing_is_printed(file: Path) -> None:
    assert not [call.lineno for called, call in calls(file) if called == "print"]


@each_file
def test_no_global_random_state_is_set_or_used(file: Path) -> None:
    for called, call in calls(file):
        assert called not in SEEDS, f"{name(file)}:{call.lineno}"
        if called.startswith(("np.random.", "numpy.random.", "random.")):
            assert called.rpartition(".")[2] in ("default_rng", "Generator", "Random"), f"{name(file)}:{call.lineno}"
        if called in DRAWS:
            given = {keyword.arg for keyword in call.keywords}
            assert "generator" in given, f"{name(file)}:{call.lineno} {called} without generator="


@each_file
def test_every_public_name_has_a_docstring(file: Path) -> None:
    bare = [found for found, node in _public(parsed(file)) if ast.get_docstring(node) is None]
    # The module of an empty package has nothing to say.
    assert bare == [] or not file.read_text(encoding="utf-8").strip()


def _public(tree: ast.Module) -> Iterator[tuple[str, ast.Module | Definition]]:
    """The module, its public functions and classes, and the public methods of these."""
    yield "module", tree
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                inner = [each for each in node.body if isinstance(each, Definition)]
                yield from ((f"{node.name}.{each.name}", each) for each in inner if not each.name.startswith("_"))


@each_file
def test_nothing_is_unpickled_unsafely(file: Path) -> None:
    """torch.load reads tensors only; pickle itself serves one restricted unpickler."""
    readers = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    if name(file) != "encoders/checkpoints/archive.py":
        used = [ast.unparse(node) for node in nodes(file) if isinstance(node, ast.Attribute)]
        assert {each for each in used if each.partition(".")[0] in readers} <= {"pickle.UnpicklingError"}
        assert not [node for node in nodes(file) if isinstance(node, ast.ImportFrom) and node.module in readers]
    for called, call in calls(file):
        where, given = f"{name(file)}:{call.lineno}", {word.arg: word.value for word in call.keywords}
        assert called not in {"pickle.load", "pickle.loads", "pickle.Unpickler", "torch.jit.load", "torch.hub.load"}, (
            where
        )
        assert called not in {"eval", "exec", "compile", "os.system", "__import__"}, where
        if called == "torch.load":
            only = given.get("weights_only")
            assert isinstance(only, ast.Constant), where
            assert only.value is True, where
        if called in {"np.load", "numpy.load"}:
            assert "allow_pickle" not in given, where


def test_the_one_unpickler_refuses_what_it_does_not_know() -> None:
    archive = next(file for file in FILES if name(file) == "encoders/checkpoints/archive.py")
    classes = [node for node in parsed(archive).body if isinstance(node, ast.ClassDef)]
    readers = [node for node in classes if "pickle.Unpickler" in map(ast.unparse, node.bases)]
    assert len(readers) == 1
    assert "find_class" in [node.name for node in readers[0].body if isinstance(node, ast.FunctionDef)]
