"""Vision and text transformers of other libraries, told by the names of their tensors -> our configuration and names.

A layout is a table of renames. Once a tower has our names, its shape is read from the tensors themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from blemish.encoders.checkpoints.hints import Hints, TowerHints
from blemish.encoders.config import (
    CLIP_MEAN,
    CLIP_STD,
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Activation,
    Pool,
    Resize,
    Statistics,
    TextConfig,
    ViTConfig,
)
from blemish.errors import BadWeights

Tensors = dict[str, Tensor]
Rules = Sequence[tuple[str, str]]
DROPPED = ""
WIDE_VISION = {1152: 16, 1280: 16, 1408: 16, 1664: 16}  # heads of ViT-so400m, H, g and bigG

OPENAI_BLOCK: Rules = (
    (r"transformer\.resblocks\.(\d+)\.ln_([12])\.(.+)", r"blocks.\1.norm\2.\3"),
    (r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)", r"blocks.\1.qkv.\2"),
    (r"transformer\.resblocks\.(\d+)\.attn\.out_proj\.(.+)", r"blocks.\1.out.\2"),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(.+)", r"blocks.\1.fc1.\2"),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(.+)", r"blocks.\1.fc2.\2"),
    (r"transformer\.resblocks\.(\d+)\.ls_([12])\.gamma", r"blocks.\1.scale\2"),
)
OPENAI_VISION: Rules = (
    *OPENAI_BLOCK,
    (r"class_embedding", "prefix.0"),
    (r"positional_embedding", "positions"),
    (r"conv1\.(.+)", r"patch.\1"),
    (r"conv1_alpha\.weight", "alpha.weight"),
    (r"ln_pre\.(.+)", r"norm_pre.\1"),
    (r"ln_post\.(.+)", r"norm.\1"),
    (r"proj", "projection.transposed"),
    (r"input_resolution|(.+\.)?attn_mask", DROPPED),
)
OPENAI_TEXT: Rules = (
    *OPENAI_BLOCK,
    (r"token_embedding\.weight", "tokens.weight"),
    (r"positional_embedding", "positions"),
    (r"ln_final\.(.+)", r"norm.\1"),
    (r"text_projection", "projection.transposed"),
    (r"text_projection\.weight", "projection.weight"),
    (r"logit_scale|input_resolution|context_length|vocab_size|(.+\.)?attn_mask", DROPPED),
)
TRANSFORMERS_CLIP_BLOCK: Rules = (
    (r"encoder\.layers\.(\d+)\.layer_norm([12])\.(.+)", r"blocks.\1.norm\2.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(.+)", r"blocks.\1.\2.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(.+)", r"blocks.\1.out.\2"),
    (r"encoder\.layers\.(\d+)\.mlp\.(fc[12])\.(.+)", r"blocks.\1.\2.\3"),
    (r"embeddings\.position_embedding\.weight", "positions"),
    (r"embeddings\.position_ids", DROPPED),
)
TRANSFORMERS_CLIP_VISION: Rules = (
    *TRANSFORMERS_CLIP_BLOCK,
    (r"embeddings\.class_embedding", "prefix.0"),
    (r"embeddings\.patch_embedding\.(.+)", r"patch.\1"),
    (r"pre_layrnorm\.(.+)", r"norm_pre.\1"),
    (r"post_layernorm\.(.+)", r"norm.\1"),
    (r"visual_projection\.weight", "projection.weight"),
)
TRANSFORMERS_CLIP_TEXT: Rules = (
    *TRANSFORMERS_CLIP_BLOCK,
    (r"embeddings\.token_embedding\.weight", "tokens.weight"),
    (r"final_layer_norm\.(.+)", r"norm.\1"),
    (r"text_projection\.weight", "projection.weight"),
)
TRANSFORMERS_DINOV2: Rules = (
    (r"embeddings\.cls_token", "prefix.0"),
    (r"embeddings\.register_tokens", "registers"),
    (r"embeddings\.position_embeddings", "positions"),
    (r"embeddings\.patch_embeddings\.projection\.(.+)", r"patch.\1"),
    (r"encoder\.layer\.(\d+)\.(norm[12]\..+)", r"blocks.\1.\2"),
    (r"encoder\.layer\.(\d+)\.attention\.attention\.([qkv])(?:uery|ey|alue)\.(.+)", r"blocks.\1.\2.\3"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(.+)", r"blocks.\1.out.\2"),
    (r"encoder\.layer\.(\d+)\.mlp\.(?:fc1|weights_in)\.(.+)", r"blocks.\1.fc1.\2"),
    (r"encoder\.layer\.(\d+)\.mlp\.(?:fc2|weights_out)\.(.+)", r"blocks.\1.fc2.\2"),
    (r"encoder\.layer\.(\d+)\.layer_scale([12])\.lambda1", r"blocks.\1.scale\2"),
    (r"layernorm\.(.+)", r"norm.\1"),
    (r"embeddings\.mask_token|classifier\..+", DROPPED),
)
# DINOv2's own checkpoints may number blocks within chunks: blocks.<chunk>.<block>.
TIMM: Rules = (
    (r"cls_token", "prefix.0"),
    (r"dist_token", "prefix.1"),
    (r"reg_token|register_tokens", "registers"),
    (r"pos_embed", "positions"),
    (r"patch_embed\.proj\.(.+)", r"patch.\1"),
    (r"blocks\.(?:\d+\.)?(\d+)\.(norm[12]\..+)", r"blocks.\1.\2"),
    (r"blocks\.(?:\d+\.)?(\d+)\.attn\.qkv\.(.+)", r"blocks.\1.qkv.\2"),
    (r"blocks\.(?:\d+\.)?(\d+)\.attn\.proj\.(.+)", r"blocks.\1.out.\2"),
    (r"blocks\.(?:\d+\.)?(\d+)\.mlp\.(?:fc1|w12)\.(.+)", r"blocks.\1.fc1.\2"),
    (r"blocks\.(?:\d+\.)?(\d+)\.mlp\.(?:fc2|w3)\.(.+)", r"blocks.\1.fc2.\2"),
    (r"blocks\.(?:\d+\.)?(\d+)\.ls([12])\.gamma", r"blocks.\1.scale\2"),
    (r"norm_pre\.(.+)", r"norm_pre.\1"),
    (r"(?:fc_)?norm\.(.+)", r"norm.\1"),
    (r"head\..+|head_dist\..+|mask_token", DROPPED),
)


@dataclass(frozen=True, slots=True)
class CheckpointLayout:
    """How one library names a tower, and what holds where nothing beside the checkpoint says otherwise."""

    rules: Rules
    statistics: Statistics = (CLIP_MEAN, CLIP_STD)
    epsilon: float = 1e-5
    resize: Resize = "bicubic-antialias"


OPENAI_VIT = CheckpointLayout(OPENAI_VISION)
TRANSFORMERS_VIT = CheckpointLayout(TRANSFORMERS_CLIP_VISION)
DINOV2_VIT = CheckpointLayout(TRANSFORMERS_DINOV2, (IMAGENET_MEAN, IMAGENET_STD), 1e-6, "bicubic")
TIMM_VIT = CheckpointLayout(TIMM, (HALF, HALF), 1e-6)
DEIT_VIT = CheckpointLayout(TIMM, (IMAGENET_MEAN, IMAGENET_STD), 1e-6)
DINO_VIT = CheckpointLayout(TIMM, (IMAGENET_MEAN, IMAGENET_STD), 1e-6, "bicubic-offset")  # and DINOv2, of their makers


def vision_tower(tensors: Tensors, layout: CheckpointLayout, hints: Hints, source: str) -> tuple[ViTConfig, Tensors]:
    """Configuration and tensors of a vision transformer under our names, float32."""
    state = join_projections(rename(tensors, layout.rules, source))
    width, _, patch, _ = need(state, "patch.weight", source).shape
    state.setdefault("patch.bias", torch.zeros(width))
    prefix = [state.pop(f"prefix.{n}").reshape(1, width) for n in range(2) if f"prefix.{n}" in state]
    state["prefix"] = torch.cat(prefix) if prefix else torch.zeros(0, width)
    state["registers"] = state.get("registers", torch.zeros(0, width)).reshape(-1, width)
    grid = _fit_positions(state, source)
    activation, hidden = _perceptron(state, hints.vision.activation, source)
    statistics = hints.statistics or layout.statistics
    plain = "bicubic-antialias" if len(state["registers"]) else layout.resize  # as DINOv2 with registers was trained
    config = ViTConfig(
        image_size=grid * patch,
        patch_size=patch,
        width=width,
        depth=_depth(state),
        heads=head_count(hints.vision, width, source, WIDE_VISION),
        hidden=hidden,
        output=len(state["projection.weight"]) if "projection.weight" in state else 0,
        activation=activation,
        epsilon=hints.vision.epsilon or layout.epsilon,
        prefix=len(state["prefix"]),
        registers=len(state["registers"]),
        prefix_positions=bool(prefix) and len(state["positions"]) > grid * grid,
        norm_pre="norm_pre.weight" in state,
        norm_last="norm.weight" in state,
        pool=_pool(tensors),
        resize=hints.resize or plain,
        alpha="alpha.weight" in state,
        mean=statistics[0],
        std=statistics[1],
    )
    return config, state


def text_tower(tensors: Tensors, rules: Rules, hints: TowerHints, source: str) -> tuple[TextConfig, Tensors]:
    """Configuration and tensors of a text transformer under our names, float32."""
    state = join_projections(rename(tensors, rules, source))
    vocabulary, width = need(state, "tokens.weight", source).shape
    activation, hidden = _perceptron(state, hints.activation, source)
    config = TextConfig(
        vocabulary=vocabulary,
        context=len(need(state, "positions", source)),
        width=width,
        depth=_depth(state),
        heads=head_count(hints, width, source, {}),
        hidden=hidden,
        output=len(need(state, "projection.weight", source)),
        activation=activation,
        epsilon=hints.epsilon or 1e-5,
    )
    return config, state


def need(tensors: Tensors, name: str, source: str) -> Tensor:
    """The tensor of that name; raises BadWeights when the checkpoint has none."""
    if name not in tensors:
        raise BadWeights(f"{source} is incomplete: nothing in it becomes {name}")
    return tensors[name]


def rename(tensors: Tensors, rules: Rules, source: str) -> Tensors:
    """Tensors under our names, float32; raises BadWeights for names that no rule knows."""
    compiled = [(re.compile(pattern), name) for pattern, name in rules]
    result: Tensors = {}
    left: list[str] = []
    for key, tensor in tensors.items():
        rule = next(((match, name) for pattern, name in compiled if (match := pattern.fullmatch(key))), None)
        name = rule[0].expand(rule[1]) if rule else ""
        if rule is None or name in result:
            left.append(key)
        elif name != DROPPED:
            result[name] = tensor.float()
    if left:
        raise BadWeights(
            f"{source} is of another architecture: {len(left)} tensors have no place, such as {', '.join(left[:4])}"
        )
    return result


def join_projections(state: Tensors) -> Tensors:
    """Queries, keys and values joined, layer scales folded into the projections before them, matrices as (out, in)."""
    result = dict(state)
    if "projection.transposed" in result:
        result["projection.weight"] = result.pop("projection.transposed").T.contiguous()
    for number in sorted({name.split(".")[1] for name in state if name.startswith("blocks.")}):
        _join_block(result, f"blocks.{number}")
    return result


def _join_block(state: Tensors, block: str) -> None:
    for part in ("weight", "bias"):
        roles = [state.pop(name) for role in "qkv" if (name := f"{block}.{role}.{part}") in state]
        if len(roles) == 3:
            state[f"{block}.qkv.{part}"] = torch.cat(roles)
    if f"{block}.qkv.weight" in state:
        state.setdefault(f"{block}.qkv.bias", torch.zeros(len(state[f"{block}.qkv.weight"])))
    for scale, target in (("scale1", "out"), ("scale2", "fc2")):
        factor = state.pop(f"{block}.{scale}", None)
        if factor is not None and f"{block}.{target}.weight" in state:
            state[f"{block}.{target}.weight"] = state[f"{block}.{target}.weight"] * factor[:, None]
            state[f"{block}.{target}.bias"] = state[f"{block}.{target}.bias"] * factor


def head_count(tower: TowerHints, width: int, source: str, wide: Mapping[int, int]) -> int:
    """Stated heads, else those of published models so wide, else one per 64 channels, as all others have it."""
    heads = tower.heads or wide.get(width) or (0 if width % 64 else width // 64)
    if not heads or width % heads:
        raise BadWeights(
            f"{source}: a width of {width} does not say how many attention heads there are: put its config.json "
            "beside it, or pass heads= (image tower)"
        )
    return heads


def _fit_positions(state: Tensors, source: str) -> int:
    """Side of the trained grid, in patches; rows for registers are folded into the registers."""
    table = need(state, "positions", source)
    state["positions"] = table = table.reshape(-1, table.shape[-1])
    prefix, registers = len(state["prefix"]), len(state["registers"])
    for lead in (prefix, 0, prefix + registers):
        side = math.isqrt(max(len(table) - lead, 0))
        if side and side * side == len(table) - lead:
            break
    else:
        raise BadWeights(
            f"{source} has positions for {len(table)} tokens, which is no square grid: only those can be read"
        )
    if lead > prefix:
        state["registers"] = state["registers"] + table[prefix:lead]
        state["positions"] = torch.cat([table[:prefix], table[lead:]])
    return side


def _perceptron(state: Tensors, stated: Activation | None, source: str) -> tuple[Activation, int]:
    """Activation and hidden width; a gate doubles the rows of the first layer."""
    rows = len(need(state, "blocks.0.fc1.weight", source))
    hidden = need(state, "blocks.0.fc2.weight", source).shape[1]
    return ("swiglu" if rows == 2 * hidden else stated or "gelu"), hidden


def _depth(state: Tensors) -> int:
    return 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))


def _pool(tensors: Tensors) -> Pool:
    """timm averages patches where there is an `fc_norm` (which then follows) or no class token."""
    if "fc_norm.weight" in tensors:
        return "mean"
    return "class" if any(re.search(r"cls_token|class_embedding", name) for name in tensors) else "normed_mean"
