"""What a checkpoint's tensors cannot say (heads, activation, pixel statistics), from the JSON files beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from blemish.encoders.config import Activation, Resize, Statistics
from blemish.errors import BadWeights

Json = Mapping[str, Any]
Source = Literal["open_clip", "transformers", "timm"]

PLAIN: dict[str, object] = {
    "attentional_pool": False,
    "embed_cls": False,
    "final_ln_after_pool": False,
    "hf_model_name": None,
    "no_causal_mask": False,
    "qk_norm": False,
    "scale_attn": False,
    "scale_attn_inner": False,
    "scale_fc": False,
    "scale_heads": False,
    "scaled_cosine_attn": False,
    "timm_model_name": None,
    "act_kwargs": None,
}
"""open_clip's options that make another network, and the value at which they do not."""


@dataclass(frozen=True, slots=True)
class TowerHints:
    """One transformer; None is unknown."""

    heads: int | None = None
    activation: Activation | None = None
    epsilon: float | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """Facts about a checkpoint from outside its tensors; None is unknown, and the layout's default holds."""

    vision: TowerHints = field(default_factory=TowerHints)
    text: TowerHints = field(default_factory=TowerHints)
    statistics: Statistics | None = None
    resize: Resize | None = None
    image_size: int | None = None


def hints(folder: Path, source: Source) -> Hints:
    """Hints from the files that the library in which the checkpoint was saved puts beside it; none is needed."""
    if source == "open_clip":
        return _open_clip(_json(folder / "open_clip_config.json"), folder)
    config = _json(folder / "config.json")
    if source == "timm":
        return _timm(config) if "architecture" in config else Hints()
    return _transformers(config, _json(folder / "preprocessor_config.json")) if "model_type" in config else Hints()


def _json(path: Path) -> Json:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadWeights(f"cannot read {path} ({error}): download it again, or delete it to do without") from error
    return content if isinstance(content, dict) else {}


def _open_clip(config: Json, folder: Path) -> Hints:
    model = config.get("model_cfg", {})
    vision, text = model.get("vision_cfg", {}), model.get("text_cfg", {})
    for option, plain in PLAIN.items():
        if any(tower.get(option) not in (plain, None) for tower in (vision, text)):
            raise BadWeights(
                f"{folder / 'open_clip_config.json'} asks for {option}: such CLIPs cannot be read, only plain ones"
            )
    if vision.get("pool_type", "tok") != "tok" or text.get("pool_type", "argmax") not in ("argmax", "eos"):
        raise BadWeights(
            f"{folder / 'open_clip_config.json'} pools otherwise than by class and end token: it cannot be read"
        )
    activation: Activation | None = "quick_gelu" if model.get("quick_gelu") else "gelu" if model else None
    last = vision.get("width", 0) * (32 if isinstance(vision.get("layers"), list) else 1)  # a ResNet's is its stem's
    return Hints(
        TowerHints(last // vision.get("head_width", 64) or None, activation, _epsilon(vision)),
        TowerHints(text.get("heads"), activation, _epsilon(text)),
        statistics(config.get("preprocess_cfg", {})),
    )


def _epsilon(tower: Json) -> float | None:
    return (tower.get("norm_kwargs") or {}).get("eps")


def _timm(config: Json) -> Hints:
    arguments, pretrained = config.get("model_args") or {}, config.get("pretrained_cfg") or config
    size = pretrained.get("input_size")
    quick = "quickgelu" in config["architecture"]
    return Hints(
        TowerHints(arguments.get("num_heads"), "quick_gelu" if quick else None),
        statistics=statistics(pretrained),
        image_size=size[-1] if size else None,
    )


def _transformers(config: Json, processor: Json) -> Hints:
    pixels = statistics({"mean": processor.get("image_mean"), "std": processor.get("image_std")})
    return Hints(_tower(config.get("vision_config", config)), _tower(config.get("text_config", config)), pixels)


def _tower(config: Json) -> TowerHints:
    activation = config.get("hidden_act")
    if activation not in (None, "gelu", "quick_gelu"):
        raise BadWeights(f"config.json names the activation {activation!r}: only gelu and quick_gelu can be read")
    return TowerHints(
        config.get("num_attention_heads"), cast("Activation | None", activation), config.get("layer_norm_eps")
    )


def statistics(config: Json) -> Statistics | None:
    """Mean and deviation of a configuration that has both."""
    mean, std = config.get("mean"), config.get("std")
    if not mean or not std or len(mean) != 3 or len(std) != 3:
        return None
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
