from __future__ import annotations

import argparse
import io
import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.support.checkpoints import PARITY, Hostile, drawn, saved, zip_with

from blemish.encoders.checkpoints.weights import read
from blemish.errors import BadWeights

STATE = {"a.weight": drawn(3, 2), "b": drawn(4)}


def assert_same(found: dict[str, torch.Tensor]) -> None:
    assert set(found) == set(STATE)
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)


def test_safetensors_and_both_torch_formats_are_told_by_content(tmp_path: Path) -> None:
    assert_same(read(saved(STATE, tmp_path / "x.bin")))
    torch.save(STATE, tmp_path / "x.safetensors")
    assert_same(read(tmp_path / "x.safetensors"))
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert_same(read(tmp_path / "old.pt"))


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "teacher"])
def test_a_training_checkpoint_is_unwrapped_and_its_shared_prefixes_taken_off(tmp_path: Path, wrapper: str) -> None:
    inner = {f"module.backbone.{name}": tensor for name, tensor in STATE.items()}
    torch.save({wrapper: inner, "epoch": 3, "args": argparse.Namespace(lr=0.1)}, tmp_path / "x.pth")
    assert_same(read(tmp_path / "x.pth"))


def test_a_dino_teacher_is_read_without_its_training_heads(tmp_path: Path) -> None:
    heads = {"module.dino_head.mlp.0.weight": drawn(2), "module.head.last_layer.weight_g": drawn(2)}
    inner = {f"module.backbone.{name}": tensor for name, tensor in STATE.items()} | heads
    torch.save({"teacher": inner, "student": inner}, tmp_path / "x.pth")
    assert_same(read(tmp_path / "x.pth"))


def test_a_prefix_that_only_some_names_have_stays(tmp_path: Path) -> None:
    state = {"encoder.a": drawn(2), "b": drawn(2)}
    assert set(read(saved(state, tmp_path / "x.safetensors"))) == {"encoder.a", "b"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>404</html>", "web page"),
        (b"just text, nothing else at all", "neither"),
        (b"PK\x03\x04 not really a zip", "damaged"),
        (b"\x80\x02 no pickle", "damaged"),
    ],
)
def test_what_is_no_checkpoint_is_refused_with_its_name_and_the_way_out(
    tmp_path: Path, content: bytes, word: str
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadWeights, match=word) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.98])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str, kept: float) -> None:
    path, state = tmp_path / "x.bin", {"a": drawn(40, 40)}
    if kind == "safetensors":
        saved(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(BadWeights, match=r"x\.bin"):
        read(path)


def test_a_pickle_that_would_run_a_command_is_refused_and_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    payload = {"a": drawn(2), "evil": Hostile(f"touch {mark}")}
    torch.save(payload, tmp_path / "x.bin")
    (tmp_path / "y.bin").write_bytes(pickle.dumps(payload["evil"], protocol=2))
    for file in (tmp_path / "x.bin", tmp_path / "y.bin", zip_with(tmp_path / "z.bin", payload["evil"], scripted=False)):
        with pytest.raises(BadWeights, match=r"refused|damaged"):
            read(file)
    assert not mark.exists()


def test_a_scripted_archive_that_would_run_a_command_is_refused_and_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = zip_with(tmp_path / "x.pt", {"evil": Hostile(f"touch {mark}")}, scripted=True)
    with pytest.raises(BadWeights, match=r"(posix|nt)\.system"):
        read(path)
    assert not mark.exists()


@pytest.mark.parametrize("reach", [eval, torch.load, getattr])
def test_a_scripted_archive_may_name_nothing_but_tensors_and_containers(tmp_path: Path, reach: object) -> None:
    with pytest.raises(BadWeights, match="no tensor needs"):
        read(zip_with(tmp_path / "x.pt", reach, scripted=True))


def test_a_scripted_archive_is_read_to_the_same_tensors_as_its_own_library_would() -> None:
    path = PARITY / "openai_vit" / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of scripting as a whole, from some version on
        expected = torch.jit.load(str(path)).state_dict()
    found = read(path)
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert found["visual.conv1.weight"].dtype == torch.float16


def repacked(path: Path, target: Path, *, compression: int = zipfile.ZIP_STORED, cut: str = "") -> Path:
    """A copy of an archive, its entries compressed otherwise or one of them shortened."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name)[:-8] if name == cut else old.read(name))
    return target


def test_a_scripted_archive_with_a_short_or_a_compressed_tensor_is_refused(tmp_path: Path) -> None:
    path = PARITY / "openai_vit" / "model.pt"
    with pytest.raises(BadWeights, match="truncated"):
        read(repacked(path, tmp_path / "short.pt", cut="model/data/0"))
    with pytest.raises(BadWeights, match="malformed"):
        read(repacked(path, tmp_path / "packed.pt", compression=zipfile.ZIP_DEFLATED))


def test_a_scripted_archive_with_a_broken_description_is_refused(tmp_path: Path) -> None:
    path = PARITY / "openai_vit" / "model.pt"
    for kept in (0, 1, 10, 500, 3000):
        target = tmp_path / f"{kept}.pt"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                new.writestr(name, old.read(name)[:kept] if name.endswith("data.pkl") else old.read(name))
        with pytest.raises(BadWeights, match="damaged"):
            read(target)


def test_a_view_outside_its_storage_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    path = tmp_path / "x.pt"
    pickled = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00K\x64\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR."
    )
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m/data.pkl", pickled)
        archive.writestr("m/data/0", bytes(8))
        archive.writestr("m/code/a.py", "")
    path.write_bytes(stream.getvalue())
    with pytest.raises(BadWeights, match="damaged"):
        read(path)


def test_a_file_without_named_tensors_is_refused(tmp_path: Path) -> None:
    torch.save([drawn(2)], tmp_path / "x.pt")
    with pytest.raises(BadWeights, match="no named tensors"):
        read(tmp_path / "x.pt")


def test_half_precision_files_keep_their_values(tmp_path: Path) -> None:
    path = saved({"a": drawn(3).half()}, tmp_path / "x.safetensors")
    assert torch.equal(read(path)["a"], load_file(path)["a"])
