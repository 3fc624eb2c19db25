"""What an ONNX model says of itself, read from its bytes without trust and without the package onnx.

What decides whether it may be run: which files beside it, and which operators that are not standard, it asks for. And
its large tensors apart from it, since a backend that is handed all of a model in bytes copies them several times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadRecipe

Buffer: TypeAlias = "bytes | memoryview"
"""A model as it lies in memory."""
STANDARD = frozenset({"", "ai.onnx"})
MOST_NESTED = 8
"""How deep graphs may stand in the attributes of others."""
WHAT_MODELS_SAY = {"graph": 7, "opset": 8, "functions": 25}
OUTSIDE = 1
"""`data_location` of a tensor in another file."""
LARGE = 1 << 12
"""Bytes of a tensor that is split off."""
KINDS = {1: "<f4", 2: "u1", 3: "i1", 7: "<i8", 10: "<f2", 11: "<f8"}
"""What a tensor may hold to be split off, by `data_type`."""
INITIALIZER, INPUT, DATA, NOTE = 5, 11, 9, 12
"""Fields of a graph, and of a tensor in it."""
ALIGNED = 64
"""The bytes at whose multiples large tensors begin in a model of ours."""
PLACE = "model"
"""The name of the file, which is none, where large tensors lie that were split off: the bytes of the whole model."""


class Demands(NamedTuple):
    """What a model asks for."""

    opset: int  # of the standard operators
    domains: frozenset[str]  # of operators that are not standard
    files: bool  # whether numbers of it lie in other files


class Apart(NamedTuple):
    """A model without the numbers of its large tensors, and these by name: views of the bytes that it came from."""

    model: bytes
    weights: dict[str, NDArray[Any]]


class _Field(NamedTuple):
    number: int
    value: int
    inside: memoryview  # empty where it is a number
    whole: memoryview


def demands(model: Buffer, source: str) -> Demands:
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


def split_weights(model: Buffer, become: Literal["outside", "inputs"]) -> Apart:
    """Of a model that `demands` has read. Its large tensors become such as lie outside, or inputs of the graph."""
    start, weights = np.frombuffer(model, np.uint8).ctypes.data, dict[str, NDArray[Any]]()

    def bare(tensor: _Tensor, at: int) -> bytes:
        found = weights[tensor.name] = np.frombuffer(tensor.raw, KINDS[tensor.kind]).reshape(tensor.sizes)
        return _outside(tensor, found.ctypes.data - start) if become == "outside" else _input(tensor)

    graph, others = _graph_and_others(model)
    return Apart(_message(WHAT_MODELS_SAY["graph"], _with_tensors(graph, bare)) + others, weights)


def align(model: Buffer) -> bytes:
    """The same, with large tensors at multiples of `ALIGNED` bytes: a backend may compute on them where they lie."""
    graph, others = _graph_and_others(model)
    for head in range(2, 12):  # what stands before the graph says how long it is
        found = _with_tensors(graph, _aligned, head)
        whole = _message(WHAT_MODELS_SAY["graph"], found)
        if len(whole) - len(found) == head:
            return whole + others
    raise AssertionError("a length takes ten bytes at most")


def _graph_and_others(model: Buffer) -> tuple[memoryview, bytes]:
    found, number = list(_fields(memoryview(model))), WHAT_MODELS_SAY["graph"]
    others = b"".join(each.whole for each in found if each.number != number)
    return next(each.inside for each in found if each.number == number), others


def _with_tensors(graph: memoryview, change: Callable[[_Tensor, int], bytes], at: int = 0) -> bytes:
    """A graph with others in place of its large tensors; `at`: where it begins. change(tensor, where it begins)."""
    parts = list[bytes | memoryview]()
    for each in _fields(graph):
        tensor = _Tensor.read(each.inside) if each.number == INITIALIZER else None
        parts.append(change(tensor, at) if tensor is not None and tensor.is_large else each.whole)
        at += len(parts[-1])
    return b"".join(parts)


def _aligned(tensor: _Tensor, at: int) -> bytes:
    rest = b"".join(each.whole for each in tensor.fields if each.number not in (DATA, NOTE))
    for count in range(2 * ALIGNED):
        found = _message(INITIALIZER, rest + _message(NOTE, b" " * count) + _message(DATA, tensor.raw))
        if (at + len(found) - len(tensor.raw)) % ALIGNED == 0:
            return found
    raise AssertionError("one of so many places fits")


class _Tensor(NamedTuple):
    name: str
    kind: int
    sizes: tuple[int, ...]
    raw: memoryview
    fields: Sequence[_Field]

    @classmethod
    def read(cls, tensor: memoryview) -> _Tensor:
        found = list(_fields(tensor))
        raw, name = (next((each.inside for each in found if each.number == number), tensor[:0]) for number in (DATA, 8))
        kind = next((each.value for each in found if each.number == 2), 0)
        return cls(bytes(name).decode(), kind, tuple(_sizes(found)), raw, found)

    @property
    def is_large(self) -> bool:
        """And its numbers are as many as it says."""
        kind, size = KINDS.get(self.kind), len(self.raw)
        return size >= LARGE and kind is not None and prod(self.sizes) * np.dtype(kind).itemsize == size


def _sizes(tensor: Sequence[_Field]) -> Iterator[int]:
    for each in tensor:
        if each.number == 1 and not each.inside:
            yield each.value
        at = 0
        while each.number == 1 and at < len(each.inside):  # packed
            value, at = _number(each.inside, at)
            yield value


def _outside(tensor: _Tensor, start: int) -> bytes:
    """An initializer whose numbers lie in a file that is not there: what it would hold is handed over in memory."""
    rest = b"".join(each.whole for each in tensor.fields if each.number != DATA)
    said = {"location": PLACE, "offset": f"{start}", "length": f"{len(tensor.raw)}"}
    places = [_message(13, _message(1, key.encode()) + _message(2, value.encode())) for key, value in said.items()]
    return _message(INITIALIZER, rest + b"".join(places) + _count(14, OUTSIDE))


def _input(tensor: _Tensor) -> bytes:
    sizes = b"".join(_message(1, _count(1, size)) for size in tensor.sizes)
    kind = _message(1, _count(1, tensor.kind) + _message(2, sizes))
    return _message(INPUT, _message(1, tensor.name.encode()) + _message(2, kind))


def _message(number: int, inside: Buffer) -> bytes:
    return b"".join([_varint(number << 3 | 2), _varint(len(inside)), inside])


def _count(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


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
        start = at
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
        yield _Field(key >> 3, value, message[at:end] if kind == 2 else message[:0], message[start:end])
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
