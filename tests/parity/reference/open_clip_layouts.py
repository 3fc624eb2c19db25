"""CLIP as OpenAI and open_clip store it; open_clip computes what is expected."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import open_clip  # type: ignore[import-not-found]
import torch
from safetensors.torch import save_file
from tests.parity.reference.arrays import (
    CLIP,
    HALF,
    OTHER_SIZES,
    PATCH,
    RESIZES,
    SIDE,
    Arrays,
    Stats,
    as_grid,
    fresh,
    normalised,
    outputs_of,
    per_layer,
    pictures,
    prefixed,
    randomise,
    resized_table,
    sentences_as_ids,
    write,
)
from torch import Tensor, nn

VISION: dict[str, Any] = {
    "image_size": SIDE,
    "patch_size": PATCH,
    "width": 32,
    "layers": 3,
    "head_width": 16,
    "mlp_ratio": 2.0,
}
TEXT: dict[str, Any] = {"context_length": 16, "vocab_size": 96, "width": 32, "heads": 2, "layers": 2, "mlp_ratio": 2.0}

Config = dict[str, Any]


def clip_vit_features(model: Any, images: Tensor, stats: Stats) -> Arrays:
    with torch.no_grad(), outputs_of(list(model.visual.transformer.resblocks)) as seen:
        embedding = model.encode_image(normalised(images, stats))
        projected = model.visual.ln_post(seen[-1]) @ model.visual.proj
    arrays = {"images": images, "image_embedding": embedding, "patches.final": as_grid(projected, images)}
    return arrays | per_layer(seen, images)


def with_resized_positions(model: Any, grid: tuple[int, int], how: Mapping[str, Any]) -> Any:
    """A copy of the model whose table of patch positions is resized to `grid`; the class token's row stays."""
    other = copy.deepcopy(model)
    table = other.visual.positional_embedding.detach()
    other.visual.positional_embedding = nn.Parameter(torch.cat([table[:1], resized_table(table[1:], grid, how)]))
    return other


def clip_vit_other_sizes(model: Any, stats: Stats) -> Arrays:
    arrays: Arrays = {}
    for number, (size, (height, width)) in enumerate(OTHER_SIZES.items()):
        images = pictures(100 + number, height, width, count=1)
        for mode, how in RESIZES.items():
            resized = with_resized_positions(model, (height // PATCH, width // PATCH), how)
            found = clip_vit_features(resized, images, stats)
            wanted = {name: found[name] for name in ("image_embedding", "patches.final")}
            arrays |= prefixed(f"{size}.{mode}", wanted) | {f"{size}.images": images}
    return arrays


def clip_text(model: Any, *, seed: int) -> Arrays:
    ids = sentences_as_ids(model.vocab_size, model.context_length, seed=seed)
    with torch.no_grad():
        embeddings = model.encode_text(ids)
    scale = model.logit_scale.detach()
    return {"token_ids": ids, "text_embeddings": embeddings, "logit_scale": scale, "logit_scale_exp": scale.exp()}


def clip_vit(model: Any, stats: Stats, *, seed: int) -> Arrays:
    side = model.visual.image_size[0]
    features = clip_vit_features(model, pictures(seed, side, side), stats)
    return features | clip_vit_other_sizes(model, stats) | clip_text(model, seed=seed)


def clip_resnet(model: Any, stats: Stats, *, seed: int) -> Arrays:
    images = pictures(seed, 64, 64, count=1)
    stages = [model.visual.layer1, model.visual.layer2, model.visual.layer3, model.visual.layer4]
    with torch.no_grad(), outputs_of(stages) as seen:
        embedding = model.encode_image(normalised(images, stats))
    maps = {f"patches.{k}": stage.permute(0, 2, 3, 1) for k, stage in enumerate(seen, 1)}
    return {"images": images, "image_embedding": embedding} | maps | clip_text(model, seed=seed)


def module_tree(state: Mapping[str, Tensor]) -> nn.Module:
    """Empty modules that hold the tensors under the same dotted names: an archive of weights without anyone's code."""
    root = nn.Module()
    for name, tensor in state.items():
        *path, leaf = name.split(".")
        here = root
        for step in path:
            if step not in dict(here.named_children()):
                here.add_module(step, nn.Module())
            here = here.get_submodule(step)
        if tensor.is_floating_point():
            here.register_parameter(leaf, nn.Parameter(tensor, requires_grad=False))
        else:
            here.register_buffer(leaf, tensor)
    return root


def write_openai(name: str, vision: Mapping[str, Any], *, seed: int) -> None:
    """Half precision TorchScript archive, as OpenAI publishes; expected values from open_clip's reader of it."""
    text = {"context_length": 16, "vocab_size": 96, "width": 64, "heads": 1, "layers": 1}
    model = randomise(open_clip.CLIP(24, dict(vision), text, quick_gelu=True), seed=seed)
    open_clip.convert_weights_to_fp16(model)
    sizes = {"input_resolution": vision["image_size"], "context_length": 16, "vocab_size": 96}
    state = model.state_dict() | {key: torch.tensor(value) for key, value in sizes.items()}
    folder = fresh(name)
    torch.jit.save(torch.jit.script(module_tree(state).eval()), str(folder / "model.pt"))
    read = open_clip.load_openai_model(str(folder / "model.pt"), precision="fp32", device="cpu").eval()
    expected = clip_vit if isinstance(vision["layers"], int) else clip_resnet
    write(folder, expected(read, CLIP, seed=seed), CLIP)


def write_open_clip(name: str, config: Mapping[str, Any], stats: Stats, *, seed: int, pickled: bool = False) -> None:
    """The hub layout: open_clip_config.json beside open_clip_model.safetensors or open_clip_pytorch_model.bin."""
    folder = fresh(name)
    model = randomise(open_clip.CLIP(**copy.deepcopy(dict(config))), seed=seed)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    if pickled:
        torch.save(state, folder / "open_clip_pytorch_model.bin")
    else:
        save_file(state, folder / "open_clip_model.safetensors")
    vision = config["vision_cfg"]
    preprocess: Config = {"size": [vision["image_size"]] * 2, "mode": "RGB", "mean": stats[0], "std": stats[1]}
    preprocess |= {"interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
    hub = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(hub, indent=2))
    expected = clip_vit if isinstance(vision["layers"], int) else clip_resnet
    write(folder, expected(model, stats, seed=seed), stats)


def make_open_clip() -> None:
    """Four: exact GELU, QuickGELU with the default MLP ratio, the default head width, and a ResNet."""
    config: Config = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}
    write_open_clip("open_clip_vit", config, HALF, seed=1)
    vision: Config = {"image_size": SIDE, "patch_size": PATCH, "width": 32, "layers": 2, "head_width": 8}
    text = {"context_length": 16, "vocab_size": 96, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 32, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    write_open_clip("open_clip_vit_quickgelu", config, CLIP, seed=2, pickled=True)
    vision = {"image_size": 32, "patch_size": PATCH, "width": 64, "layers": 2, "mlp_ratio": 0.5}
    config = {"embed_dim": 40, "vision_cfg": vision, "text_cfg": TEXT | {"layers": 1}}
    write_open_clip("open_clip_vit_head64", config, CLIP, seed=3)
    vision = {"image_size": 64, "layers": [1, 2, 1, 1], "width": 2, "head_width": 32, "patch_size": None}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT | {"layers": 1}}
    write_open_clip("open_clip_rn", config, CLIP, seed=4)


def make_openai() -> None:
    write_openai("openai_vit", {"image_size": SIDE, "patch_size": PATCH, "width": 64, "layers": 2}, seed=5)
    write_openai("openai_rn", {"image_size": 64, "layers": (1, 1, 1, 1), "width": 4}, seed=6)
