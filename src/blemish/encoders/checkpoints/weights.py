"""A checkpoint file -> its tensors by name. Nothing is ever unpickled unsafely; every refusal names the file."""

from __future__ import annotations

import argparse
import io
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from blemish.encoders.checkpoints.archive import is_scripted, read_archive
from blemish.errors import BadWeights

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")
WRAPPERS = ("state_dict", "model", "teacher")
PREFIXES = ("module.", "backbone.", "encoder.", "model.", "dinov2.", "dinov2_with_registers.")


def read(path: Path) -> dict[str, Tensor]:
    """Tensors of a `.safetensors`, of a torch pickle (tensors only) or of a scripted archive, told apart by content.

    A training checkpoint is unwrapped, and a prefix that all names share (`module.`, `backbone.`) is taken off.
    """
    start = _start(path)
    if start.startswith(b"PK") and is_scripted(path) and not _is_safetensors(start):
        return read_archive(path)
    return unwrap(_payload(path, start), path)


def read_tree(path: Path) -> dict[str, Tensor]:
    """The same of a training script's file, as it lies there: tensors of dictionaries in it as "outer.inner"."""
    found = dict(_flat(_payload(path, _start(path)), ""))
    if not found:
        raise BadWeights(f"{path} holds no named tensors: give a file of trained weights")
    return found


def _flat(payload: object, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in payload.items() if isinstance(payload, Mapping) else ():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        else:
            yield from _flat(value, f"{prefix}{name}.")


def _payload(path: Path, start: bytes) -> object:
    """What a file that begins like this holds."""
    is_pickle = start.startswith((b"PK", b"\x80")) and not _is_safetensors(start)
    return _read_pickle(path) if is_pickle else _read_safetensors(path)


def _is_safetensors(start: bytes) -> bool:
    """Eight bytes of length, any of which may look like another format's first one, and then a JSON object."""
    return start[8:9] == b"{"


def _start(path: Path) -> bytes:
    """The first bytes of a file that may hold weights."""
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
    except OSError as error:
        raise BadWeights(f"cannot read {path}: {error.strerror}") from error
    if not start:
        raise BadWeights(f"{path} is empty: download it again")
    if start.startswith(b"version https://git-lfs"):
        raise BadWeights(f"{path} is a Git LFS pointer, not the weights: run `git lfs pull` beside it")
    if start.lstrip()[:1] == b"<" and not _is_safetensors(start):
        raise BadWeights(f"{path} is a web page, not weights: the download was an error page, fetch the file itself")
    return start


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadWeights(
            f"{path} is neither a complete .safetensors file nor a torch checkpoint ({error}): download it again"
        ) from error


def _read_pickle(path: Path) -> object:
    # torch goes by the name of a file; a stream has none.
    misnamed = path.suffix == ".safetensors"
    try:
        # Argument lists lie in the checkpoints of many training scripts; a Namespace can do nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            if misnamed:
                return torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        reason = str(error).split("WeightsUnpickler error:")[-1].strip().splitlines()[0]
        raise BadWeights(
            f"{path} was refused: it is damaged, or holds objects other than tensors, which could run code ({reason}). "
            "Download it again, or use a .safetensors of the same weights"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadWeights(f"{path} is a damaged torch checkpoint ({reason}): download it again") from error


def unwrap(payload: object, path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint under the names its network gives them; raises BadWeights where there are none."""
    while isinstance(payload, Mapping) and (inner := [w for w in WRAPPERS if isinstance(payload.get(w), Mapping)]):
        payload = payload[inner[0]]
    found = payload if isinstance(payload, Mapping) else {}
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not tensors:
        raise BadWeights(f"{path} holds no named tensors: give a checkpoint's state dict")
    tensors = _without_shared_prefix(tensors)
    if any(name.startswith("backbone.") for name in tensors):  # DINO's teacher: a backbone with training heads
        tensors = {name: tensor for name, tensor in tensors.items() if not re.match(r"(dino_|ibot_)?head\.", name)}
    return _without_shared_prefix(tensors)


def _without_shared_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    while shared := [prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in tensors)]:
        tensors = {name.removeprefix(shared[0]): tensor for name, tensor in tensors.items()}
    return tensors
