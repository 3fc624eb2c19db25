"""Imports between rooms point down."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

from tests.structure.source import FILES, MODULES, ROOT, each_of, imported, imported_at_once, name, nodes

RANKS = (
    {"types", "errors", "notices", "version"},
    {"files", "fields", "progress", "cluster"},
    {"images", "tracking"},
    {"encoders", "blocks", "synth", "data", "metrics"},
    {"training", "devices"},
    {"detectors", "classifiers", "videos", "pretrain"},
    {"catalog"},
    {"calibration", "inspection", "fitting", "examples"},
    {"classification", "estimator"},
    {"recipes"},
    {"runs"},
    {"runtime"},
    {"evaluation"},
    {"benchmark", "report", "export", "batch", "formats"},
    {"tuning"},
    {"serve"},
    {"__init__"},
    {"cli"},
    {"__main__"},
)
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
MAY_USE_NEIGHBOURS = {"inspection", "fitting", "examples"}
OPTIONAL = {
    "aiomqtt", "asyncua", "cv2", "faiss", "fsspec", "google", "lightning_fabric", "matplotlib", "mlflow", "onnx",
    "onnxruntime", "onnxscript", "openvino", "pyarrow", "pymodbus", "ray", "supervision", "wandb", "yaml",
}  # fmt: skip
OF_ROOMS = {
    "estimator": {"sklearn"},
    "serve": {"fastapi", "jinja2", "prometheus_client", "pydantic", "sqlalchemy", "starlette", "uvicorn"},
}
"""Optional packages that one room is made of: it may import them at once, and nobody else may."""
DEPENDENCIES = {"click", "huggingface_hub", "numpy", "PIL", "rich", "safetensors", "scipy", "tokenizers", "torch"}

each_file = each_of(FILES)


def room(module: str) -> str:
    """blemish.detectors.padim -> detectors."""
    _, _, rest = module.partition(".")
    return rest.partition(".")[0] or "__init__"


def own_room(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def test_every_room_has_a_rank() -> None:
    assert {own_room(file) for file in FILES} <= set(RANK)


@each_file
def test_imports_point_down(file: Path) -> None:
    own = own_room(file)
    for used in imported(file):
        if room(used) != own and not {own, room(used)} <= MAY_USE_NEIGHBOURS:
            assert RANK[room(used)] < RANK[own], f"{name(file)} imports {used}"


def test_no_module_needs_itself_to_be_imported() -> None:
    graph = {found: set(imported_at_once(file)) - {found} for found, file in MODULES.items()}
    list(TopologicalSorter(graph).static_order())


def test_the_rooms_at_one_height_import_each_other_in_one_direction() -> None:
    graph = {
        own_room(file): {room(used) for used in imported(file)} & MAY_USE_NEIGHBOURS
        for file in FILES
        if own_room(file) in MAY_USE_NEIGHBOURS
    }
    list(TopologicalSorter(graph).static_order())


@each_file
def test_a_method_never_imports_another_method(file: Path) -> None:
    if own_room(file) == "detectors":
        assert not [used for used in imported(file) if room(used) == "detectors"]


@each_file
def test_imports_are_absolute(file: Path) -> None:
    assert not [node for node in nodes(file) if isinstance(node, ast.ImportFrom) and node.level]


@each_file
def test_optional_packages_are_imported_where_they_are_used(file: Path) -> None:
    """Inside a function, or for who checks types alone: whoever does not use them need not have them."""
    inside = {node for outer in nodes(file) if _is_late(outer) for node in ast.walk(outer)}
    for node in nodes(file):
        if OPTIONAL & set(_packages(node)):
            assert node in inside, f"{name(file)}:{getattr(node, 'lineno', 0)}"


def _is_late(node: ast.AST) -> bool:
    is_of_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return is_of_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


@each_file
def test_only_declared_dependencies_are_imported(file: Path) -> None:
    known = DEPENDENCIES | OPTIONAL | {"blemish"} | sys.stdlib_module_names | OF_ROOMS.get(own_room(file), set())
    assert {package for node in nodes(file) for package in _packages(node)} <= known


def _packages(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.partition(".")[0]]
    return []
