"""The search of a graph's memory, by operators that are quick; and in int8 by whole numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

GROUP = 64
"""Rows of a memory, of which the best is found before its place is."""
LEAST_GROUPS = 4
"""Fewer rows are looked through as they are."""
SEARCH, RANKS = "search ", "ranks"
"""The names of what this module writes begin so; the ranks of all rows, 2 q.r - |r|^2, are named so behind."""
FIXED = "lesson in 8 bits of "
"""The names of numbers that were made of rows begin so: by `lessons` a graph with them is not given other rows."""
MOST = 63
"""The highest number of 8 bits in a row: sums of two products with bytes fit into 16 bits, as some processors ask."""
SEVERAL = range(2, 9)
"""How many rows are found by groups where one is not enough; more would have to look into too much of the memory."""


class _Search(NamedTuple):
    """The nodes that find, as |r|^2 - 2 q.r, the lowest ranks of all rows r for each query q, and where they are."""

    product: Any  # Gemm
    rows: str
    is_turned: bool  # they are (D, M)
    asked: int  # how many of them
    lowest: str  # what ReduceMin gives, or TopK of several
    place: str  # what ArgMin gives, or the same TopK
    nodes: tuple[str, ...]  # the first outputs of those that give both


def quicken_search(model: Any) -> None:
    """Find every nearest row of a memory, as `blocks.memory` has it, by operators that are quick on processors.

    To say where in a row of numbers the lowest is takes half as long as the products did. So the best of each group of
    rows is found, the best of these, and in that group alone its place; where several rows are asked for, as many of
    the best groups, and in these. The graph still takes any number of rows that make as many groups.
    """
    graph, instead = model.graph, dict[str, list[Any]]()
    for number, found in enumerate(_searches(graph)):
        made = _nodes(f"{SEARCH}{number} ", found)
        instead |= {found.product.output[0]: made[:1], **{name: [] for name in found.nodes}, found.nodes[0]: made[1:]}
    if instead:
        graph.initializer.extend(_numbers({name for made in instead.values() for node in made for name in node.input}))
        _replace(graph, instead)


def search_by_whole_numbers(model: Any) -> None:
    """Rank rows by products of 8 bits, as `quicken_search` left them; how far the nearest one is stays in float32.

    A query's range is found when it is asked. Operators are standard, and onnxruntime joins them into one.
    """
    from onnx.numpy_helper import to_array

    arrays, instead = {each.name: each for each in model.graph.initializer}, dict[str, list[Any]]()
    for node in model.graph.node:
        name = node.output[0]
        if name.startswith(SEARCH) and name.endswith(RANKS) and node.op_type == "Gemm" and node.input[1] in arrays:
            rows, norms = (to_array(arrays[each]) for each in node.input[1:])
            rows = rows if any(each.name == "transB" and each.i for each in node.attribute) else rows.T
            scales = np.maximum(np.abs(rows).max(1), 1e-12).astype(np.float32) / MOST
            found = {"rows": np.rint(rows / scales[:, None]).astype(np.int8).T, "scales": 2 * scales, "norms": -norms}
            model.graph.initializer.extend(_arrays(FIXED + name, found | {"zero": np.zeros((), np.int8)}))
            instead[name] = _products(node.input[0], name)
    _replace(model.graph, instead)


def _searches(graph: Any) -> Iterator[_Search]:
    turns = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Transpose"}
    sizes = {each.name: tuple(each.dims) for each in graph.initializer}
    users = defaultdict[str, list[Any]](list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    counts = dict(_counts(graph.initializer))
    for product in graph.node:
        rows = product.input[1] if product.op_type == "Gemm" and len(product.input) == 3 else ""
        if not (rows in turns or rows in sizes) or not _is_ranking(product):
            continue
        kept, is_turned = turns.get(rows, rows), rows not in turns
        groups = -(-sizes.get(kept, (0, 0))[int(is_turned)] // GROUP)
        if groups < LEAST_GROUPS:
            continue
        if found := _asked(users[product.output[0]], {name: each for name, each in counts.items() if each <= groups}):
            yield _Search(product, kept, is_turned, *found)


def _is_ranking(product: Any) -> bool:
    said = {each.name: each for each in product.attribute}
    return said["alpha"].f == -2 and said["beta"].f == 1 and not said["transB"].i


def _asked(users: Sequence[Any], counts: Mapping[str, int]) -> tuple[int, str, str, tuple[str, ...]] | None:
    """How many of the lowest ranks, what they are called and their places, and the nodes that ask for them."""
    asked = {node.op_type: node for node in users}
    if set(asked) == {"ReduceMin", "ArgMin"} and all(map(_keeps_axes, users)):
        names = (asked["ReduceMin"].output[0], asked["ArgMin"].output[0])
        return 1, *names, names
    if set(asked) == {"TopK"} and len(users) == 1 and users[0].input[1] in counts and not _is_of_largest(users[0]):
        return counts[users[0].input[1]], *users[0].output, (users[0].output[0],)
    return None


def _counts(tensors: Sequence[Any]) -> Iterator[tuple[str, int]]:
    """The names of those that hold one number of `SEVERAL`, and the number."""
    from onnx.numpy_helper import to_array

    for each in tensors:
        if tuple(each.dims) == (1,) and (number := to_array(each)[0]) in SEVERAL:
            yield each.name, int(number)


def _keeps_axes(node: Any) -> bool:
    return any(each.name == "keepdims" and each.i == 1 for each in node.attribute)


def _is_of_largest(node: Any) -> bool:
    return not any(each.name == "largest" and each.i == 0 for each in node.attribute)


_Step: TypeAlias = tuple[str, list[str], list[str], dict[str, Any]]
_ALONG: dict[str, Any] = {"axis": 1, "keepdims": 1}
_BEST_GROUPS: tuple[_Step, ...] = (
    ("Unsqueeze", [RANKS, "first"], ["line"], {}),
    ("MaxPool", ["line"], ["groups"], {"kernel_shape": [GROUP], "strides": [GROUP], "ceil_mode": 1}),
    ("Squeeze", ["groups", "first"], ["best"], {}),
)
_ONE: tuple[_Step, ...] = (
    *_BEST_GROUPS,
    ("ArgMax", ["best"], ["group"], _ALONG),
    ("Mul", ["group", "size"], ["begin"], {}),
    ("Add", ["begin", "steps"], ["reach"], {}),
    ("Sub", ["count", "second"], ["end"], {}),
    ("Min", ["reach", "end"], ["inside"], {}),  # the last group may have fewer
    ("GatherElements", [RANKS, "inside"], ["members"], {"axis": 1}),
    ("ReduceMax", ["members", "second"], ["high"], {"keepdims": 1}),
    ("ArgMax", ["members"], ["member"], _ALONG),
)


def _several(count: int) -> tuple[_Step, ...]:
    return (
        *_BEST_GROUPS,
        ("TopK", ["best", f"{count}"], ["heights", "group"], {"axis": 1}),
        ("Mul", ["group", "size"], ["begin"], {}),
        ("Unsqueeze", ["begin", "third"], ["begins"], {}),
        ("Add", ["begins", "steps"], ["reaches"], {}),
        ("Reshape", ["reaches", f"flat {count}"], ["reach"], {}),
        ("Sub", ["count", "second"], ["end"], {}),
        ("Min", ["reach", "end"], ["inside"], {}),
        ("GatherElements", [RANKS, "inside"], ["some"], {"axis": 1}),
        ("Greater", ["reach", "end"], ["past"], {}),  # so the last row is there once
        ("Where", ["past", "least", "some"], ["members"], {}),
        ("TopK", ["members", f"{count}"], ["high", "member"], {"axis": 1}),
    )


def _nodes(start: str, found: _Search) -> list[Any]:
    """The first makes the ranks; the others say the lowest and their places under the names that they had."""
    from onnx.helper import make_node

    query, _, norms = found.product.input
    names = {name: SEARCH + name for name in _NUMBERS}
    product = make_node(
        "Gemm", [query, found.rows, norms], [start + RANKS], transB=int(not found.is_turned), alpha=2.0, beta=-1.0
    )
    made = [product, make_node("Shape", [norms], [f"{start}count"])]
    for kind, given, to, how in _ONE if found.asked == 1 else _several(found.asked):
        inputs = [names.get(each, start + each) for each in given]
        made.append(make_node(kind, inputs, [start + each for each in to], **how))
    made.append(make_node("GatherElements", [f"{start}inside", f"{start}member"], [found.place], axis=1))
    return [*made, make_node("Neg", [f"{start}high"], [found.lowest])]


_NUMBERS: dict[str, Any] = {
    "first": [0], "second": [1], "third": [2], "size": [GROUP], "steps": [[*range(GROUP)]], "least": -np.inf,
    **{f"{count}": [count] for count in SEVERAL}, **{f"flat {count}": [0, count * GROUP] for count in SEVERAL},
}  # fmt: skip


def _products(query: str, ranks: str) -> list[Any]:
    from onnx.helper import make_node

    steps = (
        ("DynamicQuantizeLinear", [query], ["bytes", "step", "nought"]),
        ("Mul", ["step", "scales"], ["unit"]),
        ("MatMulInteger", ["bytes", "rows", "nought", "zero"], ["sums"]),
        ("Cast", ["sums"], ["floats"]),
        ("Mul", ["floats", "unit"], ["products"]),
        ("Add", ["products", "norms"], [""]),
    )
    names, made = (
        {name: FIXED + ranks + name for name in ("rows", "scales", "norms", "zero")} | {query: query},
        list[Any](),
    )
    for kind, given, to in steps:
        how: dict[str, Any] = {"to": 1} if kind == "Cast" else {}
        inputs = [names.get(each, f"{ranks} {each}") for each in given]
        made.append(make_node(kind, inputs, [f"{ranks} {each}" if each else ranks for each in to], **how))
    return made


def _numbers(used: set[str]) -> list[Any]:
    kinds = {name: np.float32 if isinstance(values, float) else np.int64 for name, values in _NUMBERS.items()}
    found = {name: np.array(values, kinds[name]) for name, values in _NUMBERS.items() if SEARCH + name in used}
    return _arrays(SEARCH, found)


def _arrays(start: str, found: Mapping[str, NDArray[Any]]) -> list[Any]:
    from onnx.numpy_helper import from_array

    return [from_array(np.ascontiguousarray(values), start + name) for name, values in found.items()]


def _replace(graph: Any, instead: Mapping[str, list[Any]]) -> None:
    """Other nodes in place of those with these first outputs; without transposes that nobody asks for any more."""
    nodes = [new for node in graph.node for new in instead.get(node.output[0], [node])]
    used = {name for node in nodes for name in node.input} | {each.name for each in graph.output}
    kept = [node for node in nodes if node.op_type != "Transpose" or used & set(node.output)]
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)
