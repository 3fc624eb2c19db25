"""Tensors out of a scripted archive (TorchScript, as OpenAI published CLIP) without running a line of what is in it.

The archive is a zip: `data.pkl` describes objects, `data/<n>` are the bytes of their tensors, `code/` the program.
The program is never opened. The pickle is read by an unpickler that knows how to build tensors and containers; objects
of the program's classes become inert records, and any other class or function in the file is a refusal.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from blemish.errors import BadWeights

STORAGES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
}
DAMAGE = (
    *(zipfile.BadZipFile, pickle.UnpicklingError, EOFError, RuntimeError, MemoryError),
    *(ValueError, TypeError, LookupError, AttributeError),
)
"""What reading a description raises that makes no sense: the unpickler and as_strided check nothing beforehand."""


def is_scripted(path: Path) -> bool:
    """True for a zip that carries a program beside its tensors."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def read_archive(path: Path) -> dict[str, Tensor]:
    """Every tensor by its dotted name; raises BadWeights for a damaged file and for one that asks for a call."""
    try:
        with zipfile.ZipFile(path) as archive:
            root = _root(archive, path)
            with archive.open(f"{root}/data.pkl") as stream:
                module = _Unpickler(stream, archive, root, path).load()
            return dict(_tensors(module))
    except DAMAGE as error:
        raise BadWeights(f"{path} is a damaged scripted archive ({error}): download it again") from error


def _root(archive: zipfile.ZipFile, path: Path) -> str:
    roots = [name.rpartition("/")[0] for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise BadWeights(f"{path} is no scripted archive: it has {len(roots)} data.pkl, not one")
    return roots[0]


class _Record:
    """What an object of the program's own classes becomes: its fields, and no behaviour."""

    fields: object = None

    def __setstate__(self, state: object) -> None:
        self.fields = state


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: IO[bytes], archive: zipfile.ZipFile, root: str, path: Path) -> None:
        super().__init__(stream)
        self._archive, self._root, self._path = archive, root, path
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Callable[..., object] | torch.dtype:
        """The few things a description of tensors needs; all else is refused, not looked up."""
        if module == "__torch__" or module.startswith("__torch__."):
            return _Record
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        raise BadWeights(
            f"{self._path} asks for {module}.{name}, which no tensor needs: it was refused unread. Use the file its "
            "makers published, or a .safetensors"
        )

    def persistent_load(self, pid: Sequence[object]) -> Tensor:
        """The bytes of ("storage", dtype, number, device, length) as a flat tensor."""
        _, dtype, key, _, length = pid
        name = f"{self._root}/data/{key}"
        if name in self._storages:
            return self._storages[name]
        entry = self._archive.getinfo(name)
        # Tensors are stored as they are; a compressed one could unfold to any size.
        if not isinstance(dtype, torch.dtype) or entry.compress_type != zipfile.ZIP_STORED:
            raise BadWeights(f"{self._path} has a malformed tensor ({name}): download it again")
        data = self._archive.read(entry)
        flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
        if len(flat) != length:
            raise BadWeights(f"{self._path} has a truncated tensor ({name}): download it again")
        self._storages[name] = flat
        return flat


def _tensor(storage: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_rest: object) -> Tensor:
    return storage.as_strided(tuple(size), tuple(stride), offset)


def _parameter(data: Tensor, *_rest: object) -> Tensor:
    return data


def _value(value: object, *_type: object) -> object:
    return value


KNOWN: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.jit._pickle", "build_boollist"): _value,
    ("torch.jit._pickle", "build_doublelist"): _value,
    ("torch.jit._pickle", "build_intlist"): _value,
    ("torch.jit._pickle", "build_tensorlist"): _value,
    ("torch.jit._pickle", "restore_type_tag"): _value,
}


def _tensors(value: object, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """(dotted name, tensor) of every field of a record and of its records."""
    if isinstance(value, Tensor):
        yield prefix, value
    elif isinstance(value, _Record) and isinstance(value.fields, dict):
        for name, field in value.fields.items():
            yield from _tensors(field, f"{prefix}.{name}" if prefix else str(name))
