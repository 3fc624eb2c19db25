"""Vision transformers and ResNets as timm stores them, and the layouts of DINO and DINOv2: timm's renamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import timm  # type: ignore[import-not-found]
import torch
from tests.parity.reference.arrays import (
    HALF,
    IMAGENET,
    OTHER_SIZES,
    PATCH,
    SIDE,
    Arrays,
    Stats,
    as_grid,
    fresh,
    generator,
    normalised,
    outputs_of,
    per_layer,
    pictures,
    prefixed,
    randomise,
    resized_table,
    write,
)
from timm.models import save_for_hf  # type: ignore[import-not-found]
from torch import Tensor

Table = Callable[[Tensor, tuple[int, int]], Tensor]
SMALL = {"img_size": SIDE, "patch_size": PATCH, "embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0}
WIDE = SMALL | {
    "img_size": 32,
    "embed_dim": 64,
    "num_heads": 1,
    "mlp_ratio": 0.5,
}  # DINO's own files imply heads of 64 channels


def vit_features(model: Any, images: Tensor, stats: Stats) -> Arrays:
    """`image_embedding` is the class token after the last norm, `patches.final` the patches after it."""
    with torch.no_grad(), outputs_of(list(model.blocks)) as seen:
        tokens = model.forward_features(normalised(images, stats))
    arrays = {"images": images, "image_embedding": tokens[:, 0], "patches.final": as_grid(tokens, images)}
    return arrays | per_layer(seen, images)


def other_sizes(
    architecture: str, state: Mapping[str, Tensor], options: Mapping[str, Any], resize: Table, stats: Stats
) -> Arrays:
    """The same weights in a model of another input size, its position table resized by `resize`."""
    arrays: Arrays = {}
    for number, (size, (height, width)) in enumerate(OTHER_SIZES.items()):
        model = timm.create_model(architecture, **(dict(options) | {"img_size": (height, width)}))
        grid = (height // PATCH, width // PATCH)
        table = state["pos_embed"][0]
        extra = model.pos_embed.shape[1] - grid[0] * grid[1]
        resized = torch.cat([table[:extra], resize(table[extra:], grid)])[None]
        model.load_state_dict(dict(state) | {"pos_embed": resized})
        found = vit_features(model.eval(), pictures(100 + number, height, width, count=1), stats)
        arrays |= prefixed(size, {key: found[key] for key in ("images", "image_embedding", "patches.final")})
    return arrays


def antialiased(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """timm's resize, and DINOv2's with registers."""
    return resized_table(table, grid, {"mode": "bicubic", "antialias": True})


def stretched(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """DINO's resize, and DINOv2's without registers: by a factor that is 0.1 of a patch too large."""
    side = round(len(table) ** 0.5)
    factors = tuple((count + 0.1) / side for count in grid)
    square = table.T.reshape(1, -1, side, side)
    return torch.nn.functional.interpolate(square, scale_factor=factors, mode="bicubic").flatten(2)[0].T


def write_timm_vit(name: str, architecture: str, options: Mapping[str, Any], stats: Stats, *, seed: int) -> None:
    """The hub layout: model.safetensors, with config.json (architecture, model_args, pretrained_cfg) beside it."""
    folder = fresh(name)
    model = randomise(timm.create_model(architecture, **options), seed=seed)
    save_for_hf(model, folder, model_args=dict(options), safe_serialization=True)
    arrays = vit_features(model, pictures(seed), stats)
    with torch.no_grad():
        tokens = model.forward_features(normalised(pictures(seed), stats))
        arrays["pre_logits"] = model.forward_head(tokens, pre_logits=True)
    write(folder, arrays | other_sizes(architecture, model.state_dict(), options, antialiased, stats), stats)


def make_timm_vit() -> None:
    options = SMALL | {"embed_dim": 48, "depth": 3, "num_heads": 4, "mlp_ratio": 1.0, "num_classes": 10}
    write_timm_vit("timm_vit", "vit_small_patch16_224", options, HALF, seed=21)
    write_timm_vit("timm_vit_reg", "vit_small_patch14_reg4_dinov2", SMALL | {"init_values": 1.0}, IMAGENET, seed=22)
    distilled = SMALL | {"num_classes": 10}
    write_timm_vit("timm_deit_distilled", "deit_tiny_distilled_patch16_224", distilled, IMAGENET, seed=23)


# DINO and DINOv2


def make_dino() -> None:
    """facebookresearch/dino names its tensors as timm does and has no head."""
    options = WIDE | {"num_classes": 0}
    model = randomise(timm.create_model("vit_small_patch16_224", **options), seed=31)
    folder = fresh("dino")
    torch.save(dict(model.state_dict()), folder / "dino.pth")
    sizes = other_sizes("vit_small_patch16_224", model.state_dict(), options, stretched, IMAGENET)
    write(folder, vit_features(model, pictures(31, 32, 32), IMAGENET) | sizes, IMAGENET)


def as_dinov2(state: Mapping[str, Tensor], *, seed: int) -> dict[str, Tensor]:
    """timm's names and meaning -> DINOv2's: register_tokens, w12 and w3, and a position for the class token."""
    renames = {"reg_token": "register_tokens", ".mlp.fc1.": ".mlp.w12.", ".mlp.fc2.": ".mlp.w3."}
    swiglu = state["blocks.0.mlp.fc1.weight"].shape[0] != state["blocks.0.mlp.fc2.weight"].shape[1]
    used = renames if swiglu else {"reg_token": "register_tokens"}
    out: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for old, new in used.items():
            name = name.replace(old, new)
        out[name] = tensor.clone()
    width = out["cls_token"].shape[-1]
    if "register_tokens" in out:
        position = 0.5 * torch.randn(1, 1, width, generator=generator(seed))
        out["pos_embed"] = torch.cat([position, out["pos_embed"]], dim=1)
        out["cls_token"] = out["cls_token"] - position
    return out | {"mask_token": torch.randn(1, width, generator=generator(seed + 1))}


def chunked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """blocks.1.norm1 -> blocks.1.1.norm1: training with one block a chunk stores chunk and block number."""
    return {
        name.replace(f"blocks.{k}.", f"blocks.{k}.{k}."): value
        for name, value in state.items()
        for k in [block_of(name)]
    }


def block_of(name: str) -> str:
    return name.split(".")[1] if name.startswith("blocks.") else "-"


def write_dinov2(name: str, architecture: str, resize: Table, *, seed: int, chunks: bool = False) -> None:
    options = WIDE | {"num_classes": 0, "init_values": 1.0}
    model = randomise(timm.create_model(architecture, **options), seed=seed)
    folder = fresh(name)
    state = as_dinov2(model.state_dict(), seed=seed)
    torch.save(chunked(state) if chunks else state, folder / "dinov2.pth")
    sizes = other_sizes(architecture, model.state_dict(), options, resize, IMAGENET)
    write(folder, vit_features(model, pictures(seed, 32, 32), IMAGENET) | sizes, IMAGENET)


def make_dinov2() -> None:
    write_dinov2("dinov2", "vit_small_patch14_reg4_dinov2", antialiased, seed=32)
    write_dinov2("dinov2_chunked", "vit_giant_patch14_dinov2", stretched, seed=33, chunks=True)


# ResNets


def write_resnet(name: str, architecture: str, options: Mapping[str, Any], *, seed: int) -> None:
    """`patches.k` is the output of layer k; `image_embedding` the mean of the last one."""
    folder = fresh(name)
    model = randomise(timm.create_model(architecture, **options), seed=seed)
    save_for_hf(model, folder, model_args=dict(options), safe_serialization=True)
    images = pictures(seed, 32, 48)
    with torch.no_grad(), outputs_of([model.layer1, model.layer2, model.layer3, model.layer4]) as seen:
        features = model.forward_features(normalised(images, IMAGENET))
        embedding = model.forward_head(features, pre_logits=True)
    arrays = {f"patches.{k}": stage.permute(0, 2, 3, 1) for k, stage in enumerate(seen, 1)}
    write(folder, arrays | {"images": images, "image_embedding": embedding}, IMAGENET)


def make_resnet() -> None:
    write_resnet(
        "timm_resnet_basic", "resnet18", {"layers": (1, 2, 1, 1), "channels": (64, 4, 4, 8), "num_classes": 5}, seed=41
    )
    write_resnet(
        "timm_resnet_bottleneck",
        "resnet50",
        {"layers": (2, 1, 2, 1), "channels": (8, 8, 12, 16), "num_classes": 5},
        seed=42,
    )
    write_resnet(
        "timm_resnet_wide",
        "wide_resnet50_2",
        {"layers": (1, 1, 1, 1), "channels": (8, 8, 8, 8), "num_classes": 5},
        seed=43,
    )
