"""Tensors by name -> the module they fill: recognise the layout, infer the shape, put the tensors in place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from blemish.encoders.checkpoints.hints import Hints, Source
from blemish.encoders.checkpoints.layouts import (
    DEIT_VIT,
    DINO_VIT,
    DINOV2_VIT,
    OPENAI_TEXT,
    OPENAI_VIT,
    TIMM_VIT,
    TRANSFORMERS_CLIP_TEXT,
    TRANSFORMERS_VIT,
    CheckpointLayout,
    Rules,
    Tensors,
    text_tower,
    vision_tower,
)
from blemish.encoders.checkpoints.residual import clip_resnet, resnet
from blemish.encoders.clip import CLIP
from blemish.encoders.clip_cnn import ModifiedResNet
from blemish.encoders.cnn import ResNet
from blemish.encoders.embedded.network import Embedded
from blemish.encoders.text import TextTransformer
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadWeights

Loaded = Embedded | CLIP | VisionTransformer | ResNet
Module = TypeVar("Module", bound=nn.Module)


def library(tensors: Tensors, source: str) -> Source:
    """Whose names the tensors have; raises BadWeights with what can be read."""
    if "visual.conv1.weight" in tensors:
        return "open_clip"
    if "vision_model.embeddings.patch_embedding.weight" in tensors or "embeddings.register_tokens" in tensors:
        return "transformers"
    if "embeddings.patch_embeddings.projection.weight" in tensors:
        return "transformers"
    if "patch_embed.proj.weight" in tensors or "layer1.0.conv1.weight" in tensors:
        return "timm"
    raise BadWeights(
        f"{source} is of no layout known here (its tensors begin with {', '.join(list(tensors)[:3])}): readable are "
        "CLIP of OpenAI, open_clip and Transformers, Dinov2 of Transformers, ViT, DeiT, DINO and DINOv2 of timm or "
        "their makers, and ResNets"
    )


def build_encoder(tensors: Tensors, facts: Hints, source: str) -> Loaded:
    """The encoder of recognised tensors; raises BadWeights where something is missing, left over or misshapen."""
    if "visual.conv1.weight" in tensors:
        return _open_clip(tensors, facts, source)
    if "vision_model.embeddings.patch_embedding.weight" in tensors:
        return _transformers_clip(tensors, facts, source)
    if "layer1.0.conv1.weight" in tensors:
        config, state = resnet(tensors, facts, source)
        with torch.device("meta"):
            network = ResNet(config)
        return load_tensors(network, state, source)
    return _vit(tensors, _layout(tensors, source), facts, source)


def _layout(tensors: Tensors, source: str) -> CheckpointLayout:
    """timm, DeiT and DINO name a ViT alike: told apart by the tensors only one of them has, else by the file's name."""
    if "patch_embed.proj.weight" not in tensors:
        return DINOV2_VIT
    name = Path(source).stem.lower()
    if "mask_token" in tensors or "dino" in name:
        return DINO_VIT
    return DEIT_VIT if "dist_token" in tensors or "deit" in name else TIMM_VIT


def _vit(tensors: Tensors, layout: CheckpointLayout, facts: Hints, source: str) -> VisionTransformer:
    config, state = vision_tower(tensors, layout, facts, source)
    with torch.device("meta"):
        network = VisionTransformer(config)
    return load_tensors(network, state, source)


def _modified(tensors: Tensors, facts: Hints, source: str) -> ModifiedResNet:
    config, state = clip_resnet(tensors, facts, source)
    with torch.device("meta"):
        network = ModifiedResNet(config)
    return load_tensors(network, state, source)


def _text(tensors: Tensors, rules: Rules, facts: Hints, source: str) -> TextTransformer:
    config, state = text_tower(tensors, rules, facts.text, source)
    with torch.device("meta"):
        network = TextTransformer(config)
    return load_tensors(network, state, source)


def _open_clip(tensors: Tensors, facts: Hints, source: str) -> CLIP:
    """OpenAI's and open_clip's names; the text tower lies at the root, or under `text.` (open_clip's custom text)."""
    visual = _under(tensors, "visual.")
    rest = {name: tensor for name, tensor in tensors.items() if not name.startswith("visual.")}
    custom = _under(rest, "text.")
    text = (custom | {name: t for name, t in rest.items() if not name.startswith("text.")}) if custom else rest
    is_residual = "layer1.0.conv1.weight" in visual
    tower = _modified(visual, facts, source) if is_residual else _vit(visual, OPENAI_VIT, facts, source)
    return CLIP(tower, _text(text, OPENAI_TEXT, facts, source), logit_scale=_scale(tensors))


def _transformers_clip(tensors: Tensors, facts: Hints, source: str) -> CLIP:
    """The activation that Transformers leaves out of a configuration is QuickGELU."""
    vision, text = (replace(tower, activation=tower.activation or "quick_gelu") for tower in (facts.vision, facts.text))
    facts = replace(facts, vision=vision, text=text)
    parts = {part: _under(tensors, f"{part}_model.") for part in ("vision", "text")}
    heads = {"visual_projection.weight": "vision", "text_projection.weight": "text"}
    left = [name for name in tensors if not name.startswith(("vision_model.", "text_model.", "logit_scale", *heads))]
    if left:
        raise BadWeights(f"{source} is of another architecture: it also has {', '.join(left[:4])}")
    for name, part in heads.items():
        if name in tensors:
            parts[part][name] = tensors[name]
    tower = _vit(parts["vision"], TRANSFORMERS_VIT, facts, source)
    return CLIP(tower, _text(parts["text"], TRANSFORMERS_CLIP_TEXT, facts, source), logit_scale=_scale(tensors))


def _under(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _scale(tensors: Tensors) -> float:
    """The learned temperature as a factor; 100, to which CLIP's is clipped, where a checkpoint has none."""
    return float(tensors["logit_scale"].float().exp()) if "logit_scale" in tensors else 100.0


def load_tensors(module: Module, state: Tensors, source: str) -> Module:
    """The module with these tensors as its parameters; raises BadWeights unless names and shapes agree."""
    wanted = module.state_dict()
    if missing := [name for name in wanted if name not in state]:
        raise BadWeights(f"{source} is incomplete: nothing in it becomes {', '.join(missing[:4])}")
    if left := [name for name in state if name not in wanted]:
        raise BadWeights(f"{source} is of another architecture: {', '.join(left[:4])} have no place here")
    if wrong := [name for name, tensor in wanted.items() if tensor.shape != state[name].shape]:
        shapes = ", ".join(f"{name} {tuple(state[name].shape)} for {tuple(wanted[name].shape)}" for name in wrong[:3])
        raise BadWeights(f"{source} does not fit the shape it seems to have: {shapes}")
    module.load_state_dict(state, assign=True)
    return module
