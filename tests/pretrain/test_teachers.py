from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.support.small import LESSONS, SIDE, look, photographs, several, stored, twins
from tests.support.told import Told
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from blemish.pretrain.store import Store
from blemish.pretrain.teachers import Compression, TeacherMap, compression, store_features, tensor
from blemish.progress import no_progress


def rows(count: int = 4000) -> Tensor:
    """Five channels that depend on each other, of very different sizes and about different means."""
    drawn = torch.randn(count, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([4.0, 2.0, 1.0, 0.5, 0.1])
    mixing = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1)))[0]
    scale, middle = torch.tensor([1.0, 50.0, 3.0, 0.2, 1.0]), torch.tensor([3.0, -2.0, 100.0, 0.0, 1.0])
    return torch.addcmul(middle, drawn @ mixing, scale)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_compressed_channels_have_unit_variance_on_the_whole_and_mean_0(channels: int) -> None:
    found = compression(rows(), channels)
    packed = (rows() - found.mean) @ found.basis
    assert packed.shape[1] == channels
    assert_close(packed.var(0).mean(), torch.tensor(1.0), rtol=1e-3, atol=0)
    assert packed.mean(0).abs().max() < 1e-3


def test_compressed_channels_are_the_principal_ones_drawn_together() -> None:
    """Standardise, rotate to the principal directions, divide by the fourth root of the variance."""
    found = compression(rows(), 3)
    standard = (rows() - rows().mean(0)) / rows().std(0)
    values = torch.linalg.eigvalsh(torch.cov(standard.T)).flip(0)
    covariance = torch.cov(((rows() - found.mean) @ found.basis).T)
    assert_close(covariance, torch.diag(covariance.diagonal()), rtol=0, atol=1e-3)
    wanted = values[:3].sqrt() / values[:3].sqrt().mean()
    assert_close(covariance.diagonal(), wanted, rtol=1e-3, atol=1e-4)


def test_a_channel_that_never_changes_does_no_harm() -> None:
    still = torch.cat([rows(), torch.full((4000, 1), 7.0)], 1)
    packed = compression(still, 6)(still.T.reshape(1, 6, 40, 100))
    assert packed.isfinite().all()


def test_a_compression_is_a_matrix_at_every_place() -> None:
    found, maps = compression(rows(), 2), rows(24).reshape(2, 3, 4, 5).movedim(-1, 1)
    assert_close(found(maps)[1, :, 2, 3], (maps[1, :, 2, 3] - found.mean) @ found.basis)


def packed(store: Store, bases: Path, name: str = "grey") -> Tensor:
    """What the teacher says of every picture, written out."""
    return Compression(**load_file(bases / f"{name}.safetensors"))(look(tensor(store.pictures))[0])


def test_what_teachers_say_is_stored_but_of_good_twins(tmp_path: Path) -> None:
    store = stored(tmp_path / "store", 5, photos=2)
    store_features(store, look, LESSONS, tmp_path / "bases", no_progress, batch_size=3)
    found = torch.from_numpy(store.features("grey").astype(np.float32))
    assert found.shape == (12, 4, 8, 8)
    spoken = torch.tensor([bool(fact["family"]) for fact in store.facts])
    assert not found[~spoken].any()
    assert_close(found[spoken], packed(store, tmp_path / "bases")[spoken], rtol=1e-3, atol=1e-3)
    assert store.has("grey")
    assert not list((tmp_path / "store").glob("*.part"))


def test_progress_is_told_for_every_picture_that_is_shown(tmp_path: Path) -> None:
    told = Told()
    store_features(stored(tmp_path / "store", 3, photos=2), look, LESSONS, tmp_path / "bases", told, batch_size=2)
    assert told.advanced == ["asking the teachers 5"] * 5


def nobody(images: Tensor) -> list[Tensor]:
    raise AssertionError("the teacher was asked again")


def test_nobody_is_asked_twice(tmp_path: Path) -> None:
    store = stored(tmp_path / "store", 3)
    store_features(store, look, LESSONS, tmp_path / "bases", no_progress)
    before = store.features("grey").copy()
    store_features(store, nobody, LESSONS, tmp_path / "bases", no_progress)
    assert np.array_equal(store.features("grey"), before)


def test_an_interrupted_teacher_leaves_nothing_half_said(tmp_path: Path) -> None:
    store, calls = stored(tmp_path / "store", 4), 0

    def interrupted(images: Tensor) -> list[Tensor]:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise KeyboardInterrupt
        return look(images)

    with pytest.raises(KeyboardInterrupt):
        store_features(store, interrupted, LESSONS, tmp_path / "bases", no_progress, batch_size=2)
    assert not store.has("grey")
    store_features(store, look, LESSONS, tmp_path / "bases", no_progress, batch_size=2)
    whole = stored(tmp_path / "whole", 4)
    store_features(whole, look, LESSONS, tmp_path / "other-bases", no_progress, batch_size=2)
    assert np.array_equal(store.features("grey"), whole.features("grey"))


def test_of_a_store_that_has_grown_only_what_is_new_is_shown(tmp_path: Path) -> None:
    store, shown = stored(tmp_path / "store", 3), []
    store_features(store, look, LESSONS, tmp_path / "bases", no_progress)
    before = store.features("grey").copy()
    store.fill([*(twins(number) for number in range(3, 5)), *photographs(1)], 11)

    def counting(images: Tensor) -> list[Tensor]:
        shown.append(len(images))
        return look(images)

    store_features(store, counting, LESSONS, tmp_path / "bases", no_progress)
    assert shown == [3]
    found = torch.from_numpy(store.features("grey").astype(np.float32))
    assert np.array_equal(found[:6], before)
    assert_close(found[[7, 9, 10]], packed(store, tmp_path / "bases")[[7, 9, 10]], rtol=1e-3, atol=1e-3)


def test_a_second_store_speaks_the_language_of_the_first(tmp_path: Path) -> None:
    first, second = stored(tmp_path / "first", 3), stored(tmp_path / "second", 0, photos=3)
    store_features(first, look, LESSONS, tmp_path / "bases", no_progress)
    kept = (tmp_path / "bases" / "grey.safetensors").read_bytes()
    store_features(second, look, LESSONS, tmp_path / "bases", no_progress)
    assert (tmp_path / "bases" / "grey.safetensors").read_bytes() == kept
    found = torch.from_numpy(second.features("grey").astype(np.float32))
    assert_close(found, packed(second, tmp_path / "bases"), rtol=1e-3, atol=1e-3)


def test_a_map_is_brought_to_the_stride_of_its_lesson(tmp_path: Path) -> None:
    store = stored(tmp_path / "store", 2)
    lessons = [TeacherMap("coarse", 0, 3, 16, 2), TeacherMap("fine", 0, 1, 4, 2)]
    store_features(store, look, lessons, tmp_path / "bases", no_progress)
    assert store.features("coarse").shape == (4, 2, 4, 4)
    assert store.features("fine").shape == (4, 2, 16, 16)
    base = Compression(**load_file(tmp_path / "bases" / "coarse.safetensors"))
    means = F.avg_pool2d(look(tensor(store.pictures))[0], 2)
    assert_close(torch.from_numpy(store.features("coarse")[1].astype(np.float32)), base(means)[1], rtol=1e-2, atol=1e-2)


def test_pixels_become_tensors_between_0_and_1(tmp_path: Path) -> None:
    store = Store(tmp_path, SIDE)
    store.fill(several(1), 2)
    found = tensor(store.pictures)
    assert found.shape == (2, 3, SIDE, SIDE)
    assert_close(found[1, 2, 5, 6] * 255, torch.tensor(float(store.pictures[1, 5, 6, 2])))
    assert float(found.max()) <= 1
