"""Residual networks of other libraries, told by the names of their tensors -> our configuration and names."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import torch
from torch import Tensor

from blemish.encoders.checkpoints.hints import Hints
from blemish.encoders.checkpoints.layouts import Tensors, need
from blemish.encoders.cnn import STRIDE, ResNet, ResNetConfig
from blemish.encoders.config import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from blemish.errors import BadWeights

EPSILON = 1e-5  # of every batch norm
IGNORED = re.compile(r"fc\..+|.*num_batches_tracked|input_resolution")


def clip_resnet(tensors: Tensors, hints: Hints, source: str) -> tuple[ResNetConfig, Tensors]:
    """Configuration and tensors of CLIP's modified network (names without `visual.`), batch norms folded, float32."""
    state, used = _stages(tensors, source)
    stem = [_fold(tensors, f"conv{n}", f"bn{n}", used, source) for n in (1, 2, 3)]
    for number, (weight, bias) in enumerate(stem):
        state[f"stem.{number}.weight"], state[f"stem.{number}.bias"] = weight, bias
    names = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "c_proj": "out"}
    for theirs, ours in names.items():
        for part in ("weight", "bias"):
            state[f"attention.{ours}.{part}"] = _take(tensors, f"attnpool.{theirs}.{part}", used, source)
    table = _take(tensors, "attnpool.positional_embedding", used, source)
    side = math.isqrt(len(table) - 1)
    if side * side != len(table) - 1:
        raise BadWeights(
            f"{source} has positions for {len(table)} tokens, which is no square grid: only those can be read"
        )
    state["attention.positions"] = table
    _refuse_left(tensors, used, source)
    mean, std = hints.statistics or (CLIP_MEAN, CLIP_STD)
    shape = _shape(state, stem=tuple(len(weight) for weight, _ in stem))
    heads = hints.vision.heads or shape.widths[-1] // 64
    if not heads or shape.widths[-1] % heads:
        raise BadWeights(f"{source}: {shape.widths[-1]} channels do not split into {heads} heads: pass heads=")
    output = len(state["attention.out.weight"])
    return replace(shape, image_size=side * STRIDE, output=output, heads=heads, mean=mean, std=std), state


def resnet(tensors: Tensors, hints: Hints, source: str) -> tuple[ResNetConfig, Tensors]:
    """Configuration and tensors of a torchvision or timm network, batch norms folded, float32."""
    state, used = _stages(tensors, source)
    state["stem.weight"], state["stem.bias"] = _fold(tensors, "conv1", "bn1", used, source)
    _refuse_left(tensors, used, source)
    mean, std = hints.statistics or (IMAGENET_MEAN, IMAGENET_STD)
    shape = _shape(state, stem=(len(state["stem.weight"]),))
    return replace(shape, image_size=hints.image_size or 224, mean=mean, std=std), state


def torchvision_tensors(network: ResNet) -> Tensors:
    """A network under torchvision's names, behind every convolution a batch norm that only adds its bias."""
    found: Tensors = {}
    for name, tensor in network.state_dict().items():
        module, _, part = name.rpartition(".")
        convolution, norm = _torchvision_names(module)
        if part == "weight":
            found[f"{convolution}.weight"] = tensor
            continue
        ones = torch.ones_like(tensor)
        parts = {"weight": ones, "bias": tensor, "running_mean": 0 * ones, "running_var": (1 - EPSILON) * ones}
        found |= {f"{norm}.{part}": each for part, each in parts.items()}
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _torchvision_names(module: str) -> tuple[str, str]:
    """Of one of our convolutions and the norm behind it."""
    if module == "stem":
        return "conv1", "bn1"
    _, stage, block, what, *number = module.split(".")
    path = f"layer{int(stage) + 1}.{block}."
    if what == "shortcut":
        return path + "downsample.0", path + "downsample.1"
    return f"{path}conv{int(number[0]) + 1}", f"{path}bn{int(number[0]) + 1}"


def _stages(tensors: Tensors, source: str) -> tuple[Tensors, set[str]]:
    """The convolutions of the residual blocks under our names, and the names of the tensors that went into them."""
    state: Tensors = {}
    used: set[str] = set()
    for name in tensors:
        if not (match := re.fullmatch(r"layer(\d)\.(\d+)\.(conv(\d)|downsample\.0)\.weight", name)):
            continue
        stage, block, what, number = match.groups()
        path = f"layer{stage}.{block}."
        norm = f"{path}bn{number}" if number else f"{path}downsample.1"
        target = f"stages.{int(stage) - 1}.{block}." + (f"convolutions.{int(number) - 1}" if number else "shortcut")
        weight, bias = _fold(tensors, path + what, norm, used, source)
        state[f"{target}.weight"], state[f"{target}.bias"] = weight, bias
    return state, used


def _fold(tensors: Tensors, convolution: str, norm: str, used: set[str], source: str) -> tuple[Tensor, Tensor]:
    """One convolution that is the convolution followed by its frozen batch norm."""
    weight = _take(tensors, f"{convolution}.weight", used, source)
    parts = ("weight", "bias", "running_mean", "running_var")
    scale, shift, mean, variance = (_take(tensors, f"{norm}.{part}", used, source).double() for part in parts)
    factor = scale / torch.sqrt(variance + EPSILON)
    return (weight * factor[:, None, None, None]).float(), (shift - mean * factor).float()


def _take(tensors: Tensors, name: str, used: set[str], source: str) -> Tensor:
    used.add(name)
    return need(tensors, name, source).float()


def _refuse_left(tensors: Tensors, used: set[str], source: str) -> None:
    if left := [name for name in tensors if name not in used and not IGNORED.fullmatch(name)]:
        raise BadWeights(
            f"{source} is of another architecture: {len(left)} tensors have no place, such as {', '.join(left[:4])}"
        )


def _shape(state: Tensors, *, stem: tuple[int, ...]) -> ResNetConfig:
    """Depths and widths of the stages."""
    blocks = [tuple(map(int, m.groups())) for m in (re.match(r"stages\.(\d+)\.(\d+)\.", name) for name in state) if m]
    depths = tuple(1 + max(block for at, block in blocks if at == stage) for stage in sorted({at for at, _ in blocks}))
    basic = "stages.0.0.convolutions.2.weight" not in state
    last = 1 if basic else 2
    hidden = tuple(len(state[f"stages.{stage}.0.convolutions.0.weight"]) for stage in range(len(depths)))
    widths = tuple(len(state[f"stages.{stage}.0.convolutions.{last}.weight"]) for stage in range(len(depths)))
    return ResNetConfig(stem=stem, depths=depths, hidden=hidden, widths=widths, basic=basic)
