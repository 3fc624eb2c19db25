from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import huggingface_hub
import pytest
import torch
from tests.support.checkpoints import PARITY, drawn, pictures, saved, timm_vit

from blemish import encoders
from blemish.encoders.checkpoints import hub, loading, names
from blemish.encoders.checkpoints.tokenizer import read_tokenizer
from blemish.encoders.clip import CLIP
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadInput, BadWeights, UnknownName


class Hub:
    """Answers for the hub's client from a folder on disk, and remembers what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[tuple[str, str]]()

    def snapshot(self, repository: str, *, allow_patterns: Sequence[str]) -> str:
        self.asked.append((repository, allow_patterns[0]))
        return str(self.folder)

    def file(self, repository: str, name: str) -> str:
        self.asked.append((repository, name))
        return str(self.folder / name)


def offline(*_arguments: object, **_options: object) -> str:
    raise ConnectionError("no route to host\nmore lines")


def test_importing_the_room_does_not_import_torch() -> None:
    code = "import sys, blemish.encoders, blemish.encoders.checkpoints.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_encoder_is_returned_as_it_is() -> None:
    model = encoders.load("test-tiny")
    assert encoders.load(model) is model


@pytest.mark.parametrize("as_text", [True, False])
def test_the_name_is_what_was_asked_for_and_the_sum_that_of_the_file(tmp_path: Path, as_text: bool) -> None:
    path = saved(timm_vit(), tmp_path / "x.safetensors")
    model = encoders.load(str(path) if as_text else path)
    assert isinstance(model, VisionTransformer)
    assert model.name == str(path)
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_loaded_encoder_is_frozen_and_in_evaluation_mode() -> None:
    model = encoders.load(PARITY / "timm_vit")
    assert isinstance(model, VisionTransformer)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


UNITS = [({"amx", "avx512"}, torch.bfloat16), ({"avx512", "amd"}, torch.bfloat16), ({"avx512"}, torch.float32)]


@pytest.mark.parametrize(("units", "dtype"), UNITS)
def test_automatic_precision_follows_the_processor_and_is_not_the_default(
    monkeypatch: pytest.MonkeyPatch, units: set[str], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(loading, "_bfloat16_units", lambda: units)
    model = encoders.load(PARITY / "timm_vit", precision="auto")
    assert isinstance(model, VisionTransformer)
    usual = cast(VisionTransformer, encoders.load(PARITY / "timm_vit"))
    assert {p.dtype for p in usual.parameters()} == {torch.float32}
    assert {p.dtype for name, p in model.named_parameters() if ".fc1." in name or ".qkv." in name} == {dtype}
    assert model.positions.dtype == torch.float32
    assert model.mean.dtype == torch.float32
    assert model(pictures(48, 48)).image.dtype == torch.float32


def test_the_processor_is_asked_without_failing_on_any_version_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loading._bfloat16_units() <= {"amx", "avx512", "amd"}
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert loading._bfloat16_units() <= {"amx", "avx512", "amd"}


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(BadInput, match="bfloat16"):
        encoders.load("test-tiny", precision="float16")  # type: ignore[arg-type]


def test_an_unknown_name_lists_the_names_and_the_other_ways() -> None:
    with pytest.raises(UnknownName, match=r"ViT-B-16-plus-240.*hf-hub:") as caught:
        encoders.load("vit-b-99")
    assert "'vit-b-99'" in str(caught.value)


@pytest.mark.parametrize("path", ["missing.pt", "./missing", "some/where.safetensors"])
def test_a_path_to_nothing_is_refused_as_a_path(path: str) -> None:
    with pytest.raises(BadWeights, match="no file or folder"):
        encoders.load(path)


def test_a_folder_is_read_by_its_one_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    saved(timm_vit(), tmp_path / "here" / "anything.safetensors")
    monkeypatch.chdir(tmp_path)
    assert encoders.load("here").name == "here"
    saved(timm_vit(), tmp_path / "here" / "second.safetensors")
    with pytest.raises(BadWeights, match=r"anything\.safetensors, second\.safetensors"):
        encoders.load("here")


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="has none"):
        encoders.load(tmp_path)


def test_open_clips_own_file_is_preferred_where_a_folder_has_several(tmp_path: Path) -> None:
    for file in (PARITY / "open_clip_vit").iterdir():
        shutil.copy(file, tmp_path / file.name)
    saved({"nonsense": drawn(1)}, tmp_path / "model.safetensors")
    assert isinstance(encoders.load(tmp_path), CLIP)


def test_a_name_is_fetched_from_its_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Hub(PARITY / "open_clip_vit")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", answers.snapshot)
    model = encoders.load("ViT-B-32/laion2b_s34b_b79k")
    assert answers.asked == [("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip_model.safetensors")]
    assert model.name == "ViT-B-32/laion2b_s34b_b79k"


def test_a_row_that_was_trained_with_quick_gelu_gets_it_whatever_lies_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Hub(PARITY / "open_clip_vit").snapshot)
    model = encoders.load("ViT-B-32")
    assert isinstance(model, CLIP)
    assert model.text.config.activation == "quick_gelu"


def test_any_repository_is_searched_for_the_files_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Hub(PARITY / "open_clip_vit_quickgelu")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", answers.snapshot)
    assert isinstance(encoders.load("hf-hub:somebody/some-clip"), CLIP)
    assert [file for _, file in answers.asked] == list(hub.FOLDER_ORDER[:3])


def test_a_repository_without_a_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Hub(tmp_path).snapshot)
    with pytest.raises(BadWeights, match=r"has none of open_clip_model\.safetensors"):
        encoders.load("hf-hub:somebody/empty")


def test_without_a_network_the_message_says_what_to_download_and_that_a_path_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(BadWeights, match="no route to host") as caught:
        encoders.load("dinov2-small")
    for part in ("https://huggingface.co/facebook/dinov2-small", "model.safetensors", "folder's path"):
        assert part in str(caught.value)
    assert "more lines" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        ("ViT-B-16-plus-240", "ViT-B-16-plus-240"),
        ("ViT-B-16-plus-240/laion400m_e31", "ViT-B-16-plus-240"),
        ("ViT-L-14-336/openai", "ViT-L-14-336"),
        ("ViT-B-16-plus-240/laion400m_e32", "ViT-B-16-plus-240/laion400m_e32"),
    ],
)
def test_open_clips_names_are_understood_with_and_without_the_usual_tag(asked: str, row: str) -> None:
    assert names.find_row(asked).name == row


def test_the_table_has_no_name_twice_and_a_whole_sum_for_every_archive() -> None:
    assert len({row.name for row in names.TABLE}) == len(names.TABLE)
    archives = [row for row in names.TABLE if row.archive]
    assert len(archives) == 9
    assert all(len(row.sha256) == 64 for row in archives)
    assert [row[0] for row in names.rows()] == [row.name for row in names.TABLE]
    assert names.is_published(encoders.DEFAULT)


def test_an_archive_under_openais_name_must_have_openais_sum(tmp_path: Path) -> None:
    path = tmp_path / "ViT-B-32.pt"
    shutil.copy(PARITY / "openai_vit" / "model.pt", path)
    with pytest.raises(BadWeights, match="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"):
        encoders.load(path)
    assert isinstance(encoders.load(path.rename(tmp_path / "mine.pt")), CLIP)


def test_a_file_in_the_hubs_cache_must_have_the_sum_it_is_called_by(tmp_path: Path) -> None:
    blob = saved(timm_vit(), tmp_path / "x")
    good = tmp_path / hashlib.sha256(blob.read_bytes()).hexdigest()
    blob.rename(good)
    link = tmp_path / "model.safetensors"
    link.symlink_to(good)
    assert isinstance(encoders.load(link), VisionTransformer)
    link.unlink()
    link.symlink_to(good.rename(tmp_path / ("0" * 64)))
    with pytest.raises(BadWeights, match="download it again"):
        encoders.load(link)


def test_the_tokenizer_beside_the_checkpoint_is_used_unless_another_is_stated(tmp_path: Path) -> None:
    folder = PARITY / "transformers_clip"
    beside, stated = encoders.load(folder), encoders.load(folder, tokenizer=folder / "vocab.json")
    assert isinstance(beside, CLIP)
    assert isinstance(stated, CLIP)
    text = ["a photo of a bottle without defect"]
    assert beside.tokenize(text) == stated.tokenize(text)
    assert beside.encode_text(text).shape == (1, 24)
    with pytest.raises(BadWeights, match="no tokenizer"):
        encoders.load(folder, tokenizer=tmp_path / "missing.json")


def test_a_published_vocabulary_without_a_tokenizer_takes_the_hubs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    beside = encoders.load(PARITY / "transformers_clip")
    assert isinstance(beside, CLIP)
    for file in ("config.json", "model.safetensors"):
        shutil.copy(PARITY / "transformers_clip" / file, tmp_path)
    answers = Hub(PARITY / "transformers_clip")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answers.file)
    with pytest.raises(BadWeights, match="came without a tokenizer"):
        cast(CLIP, encoders.load(tmp_path)).tokenize(["a part"])
    monkeypatch.setattr(loading, "PUBLISHED_VOCABULARY", beside.text.config.vocabulary)
    model = encoders.load(tmp_path)
    assert isinstance(model, CLIP)
    assert answers.asked == []  # not before there is something to read
    assert model.tokenize(["a part"]) == beside.tokenize(["a part"])
    assert answers.asked == [("openai/clip-vit-base-patch32", "tokenizer.json")]


def test_without_a_network_a_missing_tokenizer_says_which_file_to_put_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(BadWeights, match=r"bpe_simple_vocab_16e6\.txt\.gz beside"):
        hub.published_tokenizer()


def test_the_parity_tokenizer_is_small_enough_for_its_model() -> None:
    tokenizer = read_tokenizer(PARITY / "transformers_clip")
    assert tokenizer is not None
    assert tokenizer.get_vocab_size() == 634
