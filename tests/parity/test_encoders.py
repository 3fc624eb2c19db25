"""Every readable layout against the library it comes from, on its own random checkpoint (`encoders/PROVENANCE.md`)."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file
from tests.support.checkpoints import PARITY
from torch import Tensor

from blemish.encoders import load
from blemish.encoders.checkpoints.tokenizer import read_tokenizer
from blemish.encoders.clip import CLIP
from blemish.encoders.clip_cnn import ModifiedResNet
from blemish.encoders.cnn import ResNet
from blemish.encoders.config import Normalization, Resize
from blemish.encoders.tokenizer import token_numbers
from blemish.encoders.vit import VisionTransformer

TOLERANCE = 1e-5
CHECKPOINTS = {
    "dino": "dino.pth",
    "dinov2": "dinov2.pth",
    "dinov2_chunked": "dinov2.pth",
    "open_clip_rn": "open_clip_model.safetensors",
    "open_clip_vit": "open_clip_model.safetensors",
    "open_clip_vit_head64": "open_clip_model.safetensors",
    "open_clip_vit_quickgelu": "open_clip_pytorch_model.bin",
    "openai_rn": "model.pt",
    "openai_vit": "model.pt",
    "timm_deit_distilled": "model.safetensors",
    "timm_resnet_basic": "model.safetensors",
    "timm_resnet_bottleneck": "model.safetensors",
    "timm_resnet_wide": "model.safetensors",
    "timm_vit": "model.safetensors",
    "timm_vit_reg": "model.safetensors",
    "transformers_clip": "model.safetensors",
    "transformers_dinov2": "model.safetensors",
    "transformers_dinov2_registers": "model.safetensors",
    "transformers_dinov2_swiglu": "model.safetensors",
}
CLIPS = [name for name in CHECKPOINTS if "clip" in name or "openai" in name]
VITS = [name for name in CHECKPOINTS if not name.endswith("_rn") and "resnet" not in name]
TABLES: list[Resize] = ["bicubic", "bicubic-antialias", "bilinear"]


@cache
def encoder_of(layout: str, resize: Resize | None = None) -> CLIP | VisionTransformer | ResNet:
    found = load(PARITY / layout / CHECKPOINTS[layout], precision="float32", resize=resize)
    assert isinstance(found, CLIP | VisionTransformer | ResNet)
    return found


@cache
def expected_of(layout: str) -> dict[str, Tensor]:
    arrays = load_file(PARITY / layout / "expected.safetensors")
    return {name: array / 255 if array.dtype == torch.uint8 else array for name, array in arrays.items()}


def difference(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


def ends_of(ids: Tensor, end: int) -> list[int]:
    return [row.index(end) for row in ids.tolist()]


def test_every_folder_with_reference_arrays_is_compared() -> None:
    assert {path.name for path in PARITY.iterdir() if path.is_dir()} == set(CHECKPOINTS)


@pytest.mark.parametrize("layout", CHECKPOINTS)
def test_image_embedding_and_every_layer_agree_with_the_reference(layout: str) -> None:
    encoder, expected = encoder_of(layout), expected_of(layout)
    layers = [n for n in range(1, encoder.depth + 1) if f"patches.{n}" in expected]
    assert layers
    found = encoder(expected["images"], layers=layers)
    assert difference(found.image, expected["image_embedding"]) <= TOLERANCE
    for layer, patches in zip(layers, found.patches, strict=True):
        assert difference(patches, expected[f"patches.{layer}"]) <= TOLERANCE


@pytest.mark.parametrize("layout", VITS)
def test_patches_after_the_last_norm_and_projection_agree_with_the_reference(layout: str) -> None:
    encoder, expected = encoder_of(layout), expected_of(layout)
    found = encoder(expected["images"], layers=[encoder.depth], projected=True).patches[0]
    assert difference(found, expected["patches.final"]) <= TOLERANCE


@pytest.mark.parametrize("layout", CHECKPOINTS)
def test_pixel_statistics_are_those_the_reference_was_given(layout: str) -> None:
    encoder, expected = encoder_of(layout), expected_of(layout)
    tower = encoder.visual if isinstance(encoder, CLIP) else encoder
    assert torch.equal(tower.mean.flatten(), expected["mean"])
    assert torch.equal(tower.std.flatten(), expected["std"])


@pytest.mark.parametrize("layout", [name for name in VITS if name not in CLIPS])
@pytest.mark.parametrize("size", ["larger", "smaller"])
def test_other_image_sizes_agree_with_the_reference_without_being_told_how(layout: str, size: str) -> None:
    encoder, expected = encoder_of(layout), expected_of(layout)
    found = encoder(expected[f"{size}.images"], layers=[encoder.depth], projected=True)
    assert difference(found.image, expected[f"{size}.image_embedding"]) <= TOLERANCE
    assert difference(found.patches[0], expected[f"{size}.patches.final"]) <= TOLERANCE


@pytest.mark.parametrize("layout", [name for name in CLIPS if name in VITS and name != "transformers_clip"])
@pytest.mark.parametrize("size", ["larger", "smaller"])
@pytest.mark.parametrize("resize", TABLES)
def test_a_clip_at_another_size_agrees_for_each_way_to_resize_positions(layout: str, size: str, resize: Resize) -> None:
    encoder, expected = encoder_of(layout, resize), expected_of(layout)
    found = encoder(expected[f"{size}.images"], layers=[encoder.depth], projected=True)
    key = f"{size}.{resize.replace('-', '_')}"
    assert difference(found.image, expected[f"{key}.image_embedding"]) <= TOLERANCE
    assert difference(found.patches[0], expected[f"{key}.patches.final"]) <= TOLERANCE


@pytest.mark.parametrize("size", ["larger", "smaller"])
def test_transformers_clip_at_another_size_agrees_with_plain_bicubic_positions(size: str) -> None:
    encoder, expected = encoder_of("transformers_clip", "bicubic"), expected_of("transformers_clip")
    found = encoder(expected[f"{size}.images"], layers=[encoder.depth], projected=True)
    assert difference(found.image, expected[f"{size}.image_embedding"]) <= TOLERANCE
    assert difference(found.patches[0], expected[f"{size}.patches.final"]) <= TOLERANCE


@pytest.mark.parametrize("layout", CLIPS)
def test_text_embeddings_agree_with_the_reference_one_by_one_and_as_a_tree(layout: str) -> None:
    encoder, expected = cast(CLIP, encoder_of(layout)), expected_of(layout)
    ids = expected["token_ids"]
    ends = ends_of(ids, 633 if layout == "transformers_clip" else encoder.text.config.vocabulary - 1)
    plain = encoder.text(encoder.text.embed(ids), torch.tensor(ends))
    tree = encoder.text.encode([row[: end + 1] for row, end in zip(ids.tolist(), ends, strict=True)])
    assert difference(plain, expected["text_embeddings"]) <= TOLERANCE
    assert difference(tree, expected["text_embeddings"]) <= TOLERANCE


@pytest.mark.parametrize("layout", CLIPS)
def test_the_temperature_is_the_exponential_of_what_is_stored(layout: str) -> None:
    encoder, expected = cast(CLIP, encoder_of(layout)), expected_of(layout)
    assert encoder.logit_scale == pytest.approx(float(expected["logit_scale"].exp()))


def test_one_clip_saved_in_two_formats_is_the_same_encoder() -> None:
    folder, layout = PARITY / "open_clip_vit", "open_clip_vit"
    pictures = expected_of(layout)["images"]
    by_folder = load(folder, precision="float32")
    assert torch.equal(by_folder(pictures).image, encoder_of(layout)(pictures).image)


def with_config(tmp_path: Path, config: str) -> CLIP:
    folder = PARITY / "transformers_clip"
    shutil.copy(folder / config, tmp_path / "config.json")
    for name in ("model.safetensors", "preprocessor_config.json", "tokenizer.json"):
        shutil.copy(folder / name, tmp_path / name)
    found = load(tmp_path, precision="float32")
    assert isinstance(found, CLIP)
    return found


def test_the_activation_is_the_one_the_configuration_names(tmp_path: Path) -> None:
    encoder, expected = with_config(tmp_path, "config_gelu.json"), expected_of("transformers_clip")
    assert difference(encoder(expected["images"]).image, expected["gelu.image_embedding"]) <= TOLERANCE
    ids = expected["token_ids"]
    found = encoder.text(encoder.text.embed(ids), torch.tensor(ends_of(ids, 633)))
    assert difference(found, expected["gelu.text_embeddings"]) <= TOLERANCE


def test_a_legacy_end_token_changes_nothing_for_sentences_of_words(tmp_path: Path) -> None:
    encoder, expected = with_config(tmp_path, "config_legacy_eos.json"), expected_of("transformers_clip")
    ids = expected["token_ids"][:-1]  # the last row holds an added word above the end token
    found = encoder.text(encoder.text.embed(ids), torch.tensor(ends_of(ids, 633)))
    assert difference(found, expected["legacy_eos.text_embeddings"][:-1]) <= TOLERANCE


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.json"])
def test_sentences_get_the_token_numbers_of_both_references(file: str) -> None:
    folder = PARITY / "transformers_clip"
    tokenizer = read_tokenizer(folder / file)
    assert tokenizer is not None
    rows = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))
    odd = [n for n, sentence in enumerate(rows["sentences"]) if "<|" in sentence or "&amp;" in sentence]
    assert len(odd) == 2
    for number, found in enumerate(token_numbers(tokenizer, rows["sentences"], 24)):
        wanted = [rows[reference][number] for reference in ("transformers", "open_clip")]
        same = [found == row[: len(found)] and set(row[len(found) :]) <= {0, 633} for row in wanted]
        assert any(same) if number in odd else all(same)


@pytest.mark.parametrize(("layout", "kind"), [("openai_rn", ModifiedResNet), ("openai_vit", VisionTransformer)])
def test_a_clip_sees_with_the_tower_its_tensors_describe(layout: str, kind: type) -> None:
    encoder = encoder_of(layout)
    assert isinstance(encoder, CLIP)
    assert isinstance(encoder.visual, kind)


@pytest.mark.parametrize("normalization", ["clip", "imagenet", "half"])
def test_stated_pixel_statistics_win_over_the_files(normalization: Normalization) -> None:
    folder = PARITY / "timm_vit"
    stated = load(folder / "model.safetensors", precision="float32", normalization=normalization)
    same = difference(stated(expected_of("timm_vit")["images"]).image, expected_of("timm_vit")["image_embedding"])
    assert (same <= TOLERANCE) == (normalization == "half")
