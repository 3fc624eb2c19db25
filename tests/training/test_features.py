"""What frozen towers see, kept on disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO

import pytest
import torch
from torch import Tensor, nn

from blemish import files
from blemish.errors import BadData, CannotWrite
from blemish.training.features import FeatureCache
from blemish.types import Features, Geometry

SHAPE = Geometry(16)
KEY, OTHER = (sha256(text).hexdigest() for text in (b"one", b"other"))


class Tower(nn.Module):
    """Two layers, and how often it was asked."""

    def __init__(self, weight: float = 1.0, layers: int = 2) -> None:
        super().__init__()
        self.weight, self.layers, self.asked = nn.Parameter(torch.tensor(weight)), layers, 0

    def frozen(self, images: Tensor) -> Features:
        self.asked += 1
        assert not torch.is_grad_enabled()
        patches = (images.to(self.weight.dtype) * self.weight).permute(0, 2, 3, 1)
        return Features(patches.mean((1, 2)), tuple(patches[:, :: at + 2] for at in range(self.layers)))


def picture(seed: int = 0, side: int = 16) -> tuple[Tensor, Tensor]:
    image = torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed))
    return image, image[0] > 0.7


def never() -> tuple[Tensor, Tensor]:
    raise AssertionError("it was seen before")


def test_what_was_seen_is_read_again_bit_for_bit_by_another_training(tmp_path: Path) -> None:
    seen = FeatureCache(tmp_path, Tower(), SHAPE).get(KEY, picture)
    image, mask = picture()
    again = FeatureCache(tmp_path, Tower(), SHAPE)
    assert again.has(KEY)
    assert not again.has(OTHER)
    found = again.get(KEY, never)
    assert torch.equal(found.mask, mask)
    assert torch.equal(found.features.image, seen.features.image)
    assert len(found.features.patches) == 2
    for one, other in zip(found.features.patches, seen.features.patches, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(found.features.patches[0], image.permute(1, 2, 0)[::2])


def test_a_tower_that_sees_something_else_has_a_folder_of_its_own(tmp_path: Path) -> None:
    FeatureCache(tmp_path, Tower(), SHAPE).get(KEY, picture)
    for other in (Tower(1.001), Tower(layers=1), Tower().double()):
        assert not FeatureCache(tmp_path, other, SHAPE).has(KEY)
    assert FeatureCache(tmp_path, Tower(1 + 1e-7), SHAPE).has(KEY)  # another order of sums


def test_nothing_is_asked_of_the_tower_but_what_is_new(tmp_path: Path) -> None:
    tower = Tower()
    cache = FeatureCache(tmp_path, tower, SHAPE)
    for _ in range(3):
        cache.get(KEY, picture)
        cache.get(OTHER, lambda: picture(1))
    assert tower.asked == 3  # the probe and two pictures


def test_a_full_disk_leaves_no_file_and_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FeatureCache(tmp_path, Tower(), SHAPE)

    def full(file: IO[bytes], data: bytes, *, lasting: bool) -> None:
        file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_fill", full)
    with pytest.raises(CannotWrite, match=r"the disk is full.*leave out --cache, and go on by --resume"):
        cache.get(KEY, picture)
    assert not cache.has(KEY)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["probe.safetensors"]
    monkeypatch.undo()
    cache.get(KEY, picture)
    assert cache.has(KEY)


def test_several_may_write_the_same_at_once(tmp_path: Path) -> None:
    def one(number: int) -> list[float]:
        cache = FeatureCache(tmp_path, Tower(), SHAPE)
        keys = [sha256(bytes([at])).hexdigest() for at in range(8)]
        return [float(cache.get(key, partial(picture, at)).features.image.sum()) for at, key in enumerate(keys)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, range(4)))
    assert found[1:] == found[:-1]
    assert len(list(tmp_path.glob("*/probe.safetensors"))) == 1
    assert len(list(tmp_path.glob("*/??/*"))) == 8


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, Tower(), SHAPE)
    cache.get(KEY, picture)
    (path,) = tmp_path.glob("*/??/*")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(BadData, match=rf"{path.name} is damaged .*: remove it, and it is made again"):
        cache.get(KEY, never)


def test_nothing_is_kept_in_memory(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, Tower(), SHAPE)
    before = dict(vars(cache))
    cache.get(KEY, picture)
    assert vars(cache) == before
