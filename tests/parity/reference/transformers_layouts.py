"""CLIP and DINOv2 as Transformers stores them: a folder with config.json and model.safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers  # type: ignore[import-not-found]
from tests.parity.reference.arrays import (
    CLIP,
    IMAGENET,
    OTHER_SIZES,
    PATCH,
    SIDE,
    Arrays,
    as_grid,
    fresh,
    normalised,
    outputs_of,
    per_layer,
    pictures,
    prefixed,
    randomise,
    write,
)
from tests.parity.reference.clip_tokenizer import CONTEXT, SENTENCES, open_clip_ids, write_tokenizer
from torch import Tensor, nn

SPARE_WORDS = 2  # rows of the embedding above the end token, as after adding words to a vocabulary


def layers_of(model: nn.Module) -> list[nn.Module]:
    return list(next(module for module in model.modules() if isinstance(module, nn.ModuleList)))


# CLIP


def clip_config(start: int, end: int, *, act: str = "quick_gelu", eos: int | None = None) -> Any:
    text: dict[str, Any] = {
        "vocab_size": end + 1 + SPARE_WORDS,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
    }
    text |= {"num_attention_heads": 4, "max_position_embeddings": CONTEXT, "projection_dim": 24, "hidden_act": act}
    text |= {"bos_token_id": start, "eos_token_id": end if eos is None else eos, "pad_token_id": end}
    vision: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    vision |= {"image_size": SIDE, "patch_size": PATCH, "projection_dim": 24, "hidden_act": act}
    return transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)


def rebuilt(model: Any, config: Any) -> Any:
    other = transformers.CLIPModel(config)
    other.load_state_dict(model.state_dict())
    return other.eval()


def clip_image_features(model: Any, images: Tensor) -> Arrays:
    """Positions of another input size are resized by the library: bicubic, no antialias."""
    vision, resize = model.vision_model, tuple(images.shape[-2:]) != (SIDE, SIDE)
    with torch.no_grad(), outputs_of(layers_of(vision)) as seen:
        pooled = vision(pixel_values=normalised(images, CLIP), interpolate_pos_encoding=resize).pooler_output
        embedding = model.visual_projection(pooled)
        projected = model.visual_projection(vision.post_layernorm(seen[-1]))
    arrays = {"images": images, "image_embedding": embedding, "patches.final": as_grid(projected, images)}
    return arrays | per_layer(seen, images)


def clip_text_embeddings(model: Any, ids: Tensor) -> Tensor:
    with torch.no_grad():
        pooled = model.text_model(input_ids=ids).pooler_output
        return torch.as_tensor(model.text_projection(pooled))


def ids_with_an_added_word(start: int, end: int) -> Tensor:
    """A row where a number above the end token comes before it: argmax of the ids and first end token differ."""
    row = torch.full((1, CONTEXT), end)
    row[0, :5] = torch.tensor([start, 300, end + SPARE_WORDS, 310, 320])
    return row


def write_sentences(folder: Path, tokenizer: Any) -> Tensor:
    """sentences.json: each sentence and its padded ids by Transformers (filled with end) and open_clip (with 0)."""
    options = {"padding": "max_length", "truncation": True, "max_length": CONTEXT}
    ids = tokenizer(list(SENTENCES), **options)["input_ids"]
    table = {"sentences": SENTENCES, "transformers": ids, "open_clip": open_clip_ids(folder)}
    (folder / "sentences.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    return torch.tensor(ids)


def write_preprocessor(folder: Path, stats: Any) -> None:
    size = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    transformers.CLIPImageProcessor(image_mean=list(stats[0]), image_std=list(stats[1]), **size).save_pretrained(folder)


def make_clip() -> None:
    """config.json is right; for the same weights config_legacy_eos.json says eos 2, config_gelu.json exact GELU."""
    folder = fresh("transformers_clip")
    tokenizer = write_tokenizer(folder)
    start, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    model = randomise(transformers.CLIPModel(clip_config(start, end)), seed=11)
    model.save_pretrained(folder)
    write_preprocessor(folder, CLIP)
    legacy, gelu = clip_config(start, end, eos=2), clip_config(start, end, act="gelu")
    legacy.to_json_file(folder / "config_legacy_eos.json")
    gelu.to_json_file(folder / "config_gelu.json")
    ids = torch.cat([write_sentences(folder, tokenizer), ids_with_an_added_word(start, end)])
    arrays = clip_image_features(model, pictures(11)) | {"token_ids": ids, "logit_scale": model.logit_scale}
    arrays["text_embeddings"] = clip_text_embeddings(model, ids)
    arrays["legacy_eos.text_embeddings"] = clip_text_embeddings(rebuilt(model, legacy), ids)
    arrays["gelu.text_embeddings"] = clip_text_embeddings(rebuilt(model, gelu), ids)
    arrays["gelu.image_embedding"] = clip_image_features(rebuilt(model, gelu), pictures(11))["image_embedding"]
    for number, (size, (height, width)) in enumerate(OTHER_SIZES.items()):
        found = clip_image_features(model, pictures(100 + number, height, width, count=1))
        arrays |= prefixed(size, {key: found[key] for key in ("images", "image_embedding", "patches.final")})
    write(folder, arrays, CLIP)


# DINOv2


def dinov2_features(model: Any, images: Tensor) -> Arrays:
    """`image_embedding` is the class token after the last norm, `patches.final` the patches after it."""
    with torch.no_grad(), outputs_of(layers_of(model)) as seen:
        out = model(pixel_values=normalised(images, IMAGENET))
    arrays = {"images": images, "image_embedding": out.pooler_output}
    return arrays | {"patches.final": as_grid(out.last_hidden_state, images)} | per_layer(seen, images)


def write_dinov2(name: str, model: Any, *, seed: int) -> None:
    """Other sizes are resized by the library: bicubic, with antialias only where there are registers."""
    folder = fresh(name)
    randomise(model, seed=seed).save_pretrained(folder)
    write_preprocessor(folder, IMAGENET)
    arrays = dinov2_features(model, pictures(seed))
    for number, (size, (height, width)) in enumerate(OTHER_SIZES.items()):
        found = dinov2_features(model, pictures(100 + number, height, width, count=1))
        arrays |= prefixed(size, {key: found[key] for key in ("images", "image_embedding", "patches.final")})
    write(folder, arrays, IMAGENET)


def make_dinov2() -> None:
    shape = {"hidden_size": 48, "num_attention_heads": 3, "mlp_ratio": 2, "image_size": SIDE, "patch_size": PATCH}
    narrow = shape | {"hidden_size": 32, "num_attention_heads": 2}
    plain = transformers.Dinov2Config(num_hidden_layers=3, **narrow)
    write_dinov2("transformers_dinov2", transformers.Dinov2Model(plain), seed=12)
    registers = transformers.Dinov2WithRegistersConfig(
        num_hidden_layers=2, num_register_tokens=3, **(shape | {"mlp_ratio": 1})
    )
    write_dinov2("transformers_dinov2_registers", transformers.Dinov2WithRegistersModel(registers), seed=13)
    swiglu = transformers.Dinov2Config(num_hidden_layers=2, use_swiglu_ffn=True, **narrow)
    write_dinov2("transformers_dinov2_swiglu", transformers.Dinov2Model(swiglu), seed=14)
