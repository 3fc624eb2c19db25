"""What teachers see, compressed and stored once: a student is trained to explain it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from blemish.blocks.resampling import resample
from blemish.files import write
from blemish.pretrain.store import GO_ON, Store, new_array
from blemish.progress import ShowProgress

Teacher = Callable[[Tensor], Sequence[Tensor]]
"""Images (N, 3, H, W) in [0, 1] -> maps (N, C, h, w)."""
SAMPLE = 256
"""Pictures from which the principal directions are found."""


class TeacherMap(NamedTuple):
    """One map of a teacher: its number among the maps, the student's stage that learns it, and how much is kept."""

    name: str
    number: int
    stage: int  # 1 .. 4, or 5 for the neck
    stride: int
    channels: int


class Compression(NamedTuple):
    """(x - mean) @ basis: the leading principal directions, their spreads drawn together (power 1/4), variance 1."""

    mean: Tensor  # (C,)
    basis: Tensor  # (C, c)

    def __call__(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, c, h, w)."""
        return torch.einsum("nchw,cd->ndhw", maps - self.mean[:, None, None], self.basis)


def compression(rows: Tensor, channels: int) -> Compression:
    """Found on (M, C) features. Small directions carry what tells flaws from surfaces, so they are lifted."""
    mean = rows.mean(0)
    scale = rows.std(0).clamp_min(1e-6)
    values, vectors = torch.linalg.eigh(torch.cov(((rows - mean) / scale).T.double()))
    values, vectors = values.flip(0)[:channels].clamp_min(1e-6), vectors.flip(1)[:, :channels]
    basis = vectors / scale[:, None].double() / values**0.25
    return Compression(mean, (basis / values.sqrt().mean().sqrt()).float().contiguous())


@torch.inference_mode()
def store_features(
    store: Store,
    look: Teacher,
    lessons: Sequence[TeacherMap],
    bases: Path,
    watch: ShowProgress,
    *,
    batch_size: int = 16,
) -> None:
    """Write the features of a store's pictures, as `<lesson's name>.npy`; those that are there are kept, and a store
    that has grown is taught the rest.

    Good twins are left out, as zeros: their flawed twins show the same and more.

    bases: the folder of the compressions, found on the first store that is taught and used for all that share it.
    """
    named = {lesson.name: lesson for lesson in lessons}  # two stages may learn the same map
    todo = [lesson for name, lesson in named.items() if not store.has(name)]
    if not todo:
        return
    packed = _compressions(bases, store, look, todo, batch_size)
    arrays = [_file(store, lesson) for lesson in todo]
    first = min(store.known(lesson.name) for lesson in todo)
    rows = [number for number, fact in enumerate(store.facts) if fact["family"] and number >= first]
    advance = watch("asking the teachers", len(rows))
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        maps = look(tensor(store.pictures[part]))
        for lesson, compress, array in zip(todo, packed, arrays, strict=True):
            array[part] = compress(_at(maps, lesson, store.side)).numpy()
        for _ in part:
            advance()
    for lesson in todo:
        (store.folder / f"{lesson.name}.part").replace(store.folder / f"{lesson.name}.npy")


def _compressions(
    bases: Path, store: Store, look: Teacher, lessons: Sequence[TeacherMap], batch_size: int
) -> list[Compression]:
    """Those kept in `bases`; the others are found on some pictures of the store, spread over all of it."""
    bases.mkdir(parents=True, exist_ok=True)
    missing = [lesson for lesson in lessons if not (bases / f"{lesson.name}.safetensors").exists()]
    chosen = np.linspace(0, len(store) - 1, min(SAMPLE, len(store))).astype(int) if missing else np.zeros(0, int)
    seen: list[list[Tensor]] = [[] for _ in missing]
    for part in np.array_split(chosen, -(-len(chosen) // batch_size) or 1):
        maps = look(tensor(store.pictures[part])) if len(part) else []
        for rows, lesson in zip(seen, missing, strict=True):
            rows.append(_at(maps, lesson, store.side).movedim(1, -1).flatten(0, 2))
    for rows, lesson in zip(seen, missing, strict=True):
        found = compression(torch.cat(rows), lesson.channels)
        write(bases / f"{lesson.name}.safetensors", save(found._asdict()), GO_ON)
    return [Compression(**load_file(bases / f"{lesson.name}.safetensors")) for lesson in lessons]


def _at(maps: Sequence[Tensor], lesson: TeacherMap, side: int) -> Tensor:
    """The lesson's map on the grid of its stride."""
    found, grid = maps[lesson.number], side // lesson.stride
    return found if found.shape[2] == grid else resample(found, (grid, grid))


def _file(store: Store, lesson: TeacherMap) -> NDArray[np.float16]:
    """Where to write; what is known stands in it already."""
    grid = store.side // lesson.stride
    shape = (len(store), lesson.channels, grid, grid)
    array = new_array(store.folder / f"{lesson.name}.part", np.float16, shape)
    if known := store.known(lesson.name):
        array[:known] = store.features(lesson.name)
    return array


def tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """8-bit pictures (N, S, S, 3) -> (N, 3, S, S) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
