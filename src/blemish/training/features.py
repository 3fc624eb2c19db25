"""What frozen towers see, kept on disk: a file a picture, written whole, for every training that asks for the same."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from blemish.encoders.inputs import as_tensor, device_of
from blemish.errors import BadData
from blemish.files import write
from blemish.images import frame
from blemish.types import Features, Geometry

PROBE = "probe.safetensors"
SAME = 1e-5
"""Relative difference, of what is seen in the probe, up to which two towers are one."""
WAY_OUT = "make room, or leave out --cache, and go on by --resume"


@runtime_checkable
class FrozenTower(Protocol):
    """A trainable whose loss knows pictures by what a part of it sees that is never trained.

    Its `loss` begins with `seen = batch.features or self.frozen(batch.images)`, and asks nothing else of the images but
    their size: where features are kept, pictures are not read, and the images are NaN. One that looks at parts of them
    besides has `closeups`, "defects" or "all", and sees those of `batch.near` in the same way.
    """

    def frozen(self, images: Tensor) -> Features:
        """(N, 3, H, W) in [0, 1] -> what the loss needs of it, without gradients."""


class Seen(NamedTuple):
    """What is kept of one picture."""

    features: Features  # image (D,), patches (h, w, C) each
    mask: Tensor  # bool (H, W), of the input's size


class FeatureCache:
    """A folder of features that any number of trainings may read and write at once.

    Each tower has a folder of its own there. A tower is known by what it sees in a picture of noise, so that its
    weights, layers, precision and whatever else matters are compared, and nothing else. In memory is nothing.
    """

    def __init__(self, folder: Path, model: FrozenTower, geometry: Geometry) -> None:
        self.model = model
        noise = torch.randint(256, (3, 96, 128), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        self.folder = _folder_of(folder, _tensors(self._look(as_tensor(frame(noise.numpy(), geometry)))))

    def has(self, key: str) -> bool:
        """Whether the picture of that key has been seen."""
        return self._path(key).exists()

    def get(self, key: str, read: Callable[[], tuple[Tensor, Tensor]]) -> Seen:
        """What is kept under a key, a sha256; or else seen now in a picture (3, H, W), whose mask is kept with it.

        Each picture is seen alone, so that what is kept does not depend on those it was drawn with. Raises CannotWrite.
        """
        if (path := self._path(key)).exists():
            return _read(path)
        picture, mask = read()
        features = self._look(picture)
        size = torch.tensor(mask.shape)
        bits = torch.from_numpy(np.packbits(mask.numpy()))
        write(path, save(_tensors(features) | {"mask": bits, "size": size}), way_out=WAY_OUT, lasting=False)
        return Seen(features, mask)

    def _look(self, picture: Tensor) -> Features:
        with torch.no_grad():
            found = self.model.frozen(picture[None].to(device_of(self.model)))
        return Features(found.image[0].cpu(), tuple(each[0].cpu() for each in found.patches))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"


def _tensors(features: Features) -> dict[str, Tensor]:
    layers = {f"patches.{number}": each.contiguous() for number, each in enumerate(features.patches)}
    return {"image": features.image.contiguous(), **layers}


def _read(path: Path) -> Seen:
    found = _load(path)
    layers = tuple(found[f"patches.{number}"] for number in range(len(found) - 3))
    height, width = found["size"].tolist()
    bits = np.unpackbits(found["mask"].numpy(), count=height * width)
    return Seen(Features(found["image"], layers), torch.from_numpy(bits.astype(bool)).reshape(height, width))


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadData(f"{path} is damaged ({error}): remove it, and it is made again") from error


def _folder_of(folder: Path, probe: dict[str, Tensor]) -> Path:
    """Of the tower that saw this in the probe; a new one if none did."""
    for known in sorted(folder.glob(f"*/{PROBE}")):
        if _agree(_load(known), probe):
            return known.parent
    data = save(probe)
    place = folder / sha256(data).hexdigest()[:16]
    write(place / PROBE, data, way_out=WAY_OUT)
    return place


def _agree(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    alike = one.keys() == other.keys() and all(
        one[name].shape == other[name].shape and one[name].dtype == other[name].dtype for name in one
    )
    return alike and all(float((one[name] - other[name]).norm()) <= SAME * float(other[name].norm()) for name in one)
