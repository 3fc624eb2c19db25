"""Arrays of a recipe's file as tensors, and back; torch is imported by whoever asks for a tensor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blemish.recipes.file import BFLOAT16

if TYPE_CHECKING:
    from torch import Tensor


class StoredTensors(Mapping[str, "Tensor"]):
    """The arrays of a file, each a tensor of the same memory when it is asked for."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.arrays, self._made = dict(arrays), dict[str, "Tensor"]()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._made:
            self._made[name] = _tensor(self.arrays[name])
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


def arrays_of(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """What a file keeps of them, by the same names."""
    if isinstance(tensors, StoredTensors):
        return dict(tensors.arrays)
    return {name: _array(tensor) for name, tensor in tensors.items()}


def is_finite(array: NDArray[Any]) -> bool:
    """Whether none of its numbers is NaN or infinite."""
    if array.dtype == BFLOAT16:
        return not ((array["bfloat16"] & 0x7F80) == 0x7F80).any()
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _tensor(array: NDArray[Any]) -> Tensor:
    import torch

    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _array(tensor: Tensor) -> NDArray[Any]:
    import torch

    found = tensor.detach().cpu().contiguous()
    if found.dtype == torch.bfloat16:
        return np.asarray(found.view(torch.int16).numpy().view(BFLOAT16))
    return np.asarray(found.numpy())
