"""What an ONNX model says of itself, read from its bytes without trust and without the package onnx.

Only what decides whether it may be run: which files beside it, and which operators that are not standard, it asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from blemish.errors import BadRecipe

STANDARD = frozenset({"", "ai.onnx"})
MOST_NESTED = 8
"""How deep graphs may stand in the attributes of others."""
WHAT_MODELS_SAY = {"graph": 7, "opset": 8, "functions": 25}
OUTSIDE = 1
"""`data_location` of a tensor in another file."""


class Demands(NamedTuple):
    """What a model asks for."""

    opset: int  # of the standard operators
    domains: frozenset[str]  # of operators that are not standard
    files: bool  # whether numbers of it lie in other files


class _Field(NamedTuple):
    number: int
    value: int
    inside: memoryview  # empty where it is a number


def demands(model: bytes, source: str) -> Demands:
    """Of an ONNX model; raises BadRecipe for bytes that are none."""
    try:
        top = list(_fields(memoryview(model)))
        opsets = [_opset(each.inside) for each in top if each.number == WHAT_MODELS_SAY["opset"]]
        graphs = [each.inside for each in top if each.number == WHAT_MODELS_SAY["graph"]]
        found = [_of_graph(each, MOST_NESTED) for each in graphs]
        own = any(each.number == WHAT_MODELS_SAY["functions"] for each in top)
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise BadRecipe(f"{source} holds no ONNX model that can be read: export it again") from error
    if len(graphs) != 1 or not opsets:
        raise BadRecipe(f"{source} holds no ONNX model: export it again")
    domains = {name for names, _ in found for name in names} | ({"functions of its own"} if own else set())
    standard = [number for domain, number in opsets if domain in STANDARD]
    return Demands(max(standard, default=0), frozenset(domains - STANDARD), any(outside for _, outside in found))


def _of_graph(graph: memoryview, depth: int) -> tuple[set[str], bool]:
    """Domains of the operators in a graph and those inside it, and whether any of its tensors lie outside."""
    if not depth:
        raise ValueError("graphs in graphs in graphs")
    domains, outside = set[str](), False
    for each in _fields(graph):
        if each.number == 1:
            found = _of_node(each.inside, depth)
            domains, outside = domains | found[0], outside or found[1]
        elif each.number == 5:
            outside = outside or _is_outside(each.inside)
        elif each.number == 15:
            outside = outside or any(_is_outside(part.inside) for part in _fields(each.inside) if part.number in (1, 2))
    return domains, outside


def _of_node(node: memoryview, depth: int) -> tuple[set[str], bool]:
    domains, outside = {""}, False
    for each in _fields(node):
        if each.number == 7:
            domains.add(bytes(each.inside).decode())
        for part in _fields(each.inside) if each.number == 5 else ():
            if part.number in (6, 11):
                found = _of_graph(part.inside, depth - 1)
                domains, outside = domains | found[0], outside or found[1]
            elif part.number in (5, 10):
                outside = outside or _is_outside(part.inside)
            elif part.number in (22, 23):  # a sparse tensor, of which nothing of ours is made
                outside = True
    return domains, outside


def _is_outside(tensor: memoryview) -> bool:
    return any(each.number == 13 or (each.number == 14 and each.value == OUTSIDE) for each in _fields(tensor))


def _opset(entry: memoryview) -> tuple[str, int]:
    domain, number = "", 0
    for each in _fields(entry):
        domain = bytes(each.inside).decode() if each.number == 1 else domain
        number = each.value if each.number == 2 else number
    return domain, number


def _fields(message: memoryview) -> Iterator[_Field]:
    """The fields of a message of protocol buffers, in their order; raises IndexError or ValueError."""
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        kind, value, end = key & 7, 0, at
        if kind == 0:
            value, end = _number(message, at)
        elif kind == 2:
            length, at = _number(message, at)
            end = at + length
        elif kind in (1, 5):
            end = at + (8 if kind == 1 else 4)
        else:
            raise ValueError("not a kind of field")
        if end > len(message):
            raise IndexError("it ends before its end")
        yield _Field(key >> 3, value, message[at:end] if kind == 2 else message[:0])
        at = end


def _number(message: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        value, at, shift = value | (byte & 0x7F) << shift, at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("not a number")
