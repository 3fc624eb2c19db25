from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.support.checkpoints import PARITY, drawn, parity_state, pictures, saved, timm_vit
from torch import Tensor

from blemish import encoders
from blemish.encoders.clip import CLIP
from blemish.encoders.config import HALF, IMAGENET_MEAN, Activation
from blemish.encoders.vit import VisionTransformer
from blemish.errors import BadWeights

State = dict[str, Tensor]


def vit_of(state: State, path: Path, *, heads: int | None = None) -> VisionTransformer:
    found = encoders.load(saved(state, path), precision="float32", heads=heads)
    assert isinstance(found, VisionTransformer)
    return found


def clip_of(path: Path, *, activation: Activation | None = None) -> CLIP:
    found = encoders.load(path, precision="float32", activation=activation)
    assert isinstance(found, CLIP)
    return found


def test_the_shape_is_read_from_the_tensors(tmp_path: Path) -> None:
    config = vit_of(timm_vit(width=128, depth=3, patch=4, side=5), tmp_path / "x.safetensors").config
    assert (config.width, config.depth, config.patch_size, config.image_size) == (128, 3, 4, 20)
    assert (config.heads, config.hidden, config.output, config.activation) == (2, 256, 0, "gelu")
    assert (config.prefix, config.registers, config.epsilon, config.pool) == (1, 0, 1e-6, "class")


def test_stated_heads_win_and_change_the_result(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    assert vit_of(timm_vit(), path).config.heads == 1
    assert vit_of(timm_vit(), path, heads=4).config.heads == 4
    images = [vit_of(timm_vit(), path, heads=heads)(pictures()).image for heads in (1, 4)]
    assert not torch.allclose(*images)


def test_published_towers_with_wider_heads_are_known_by_their_width(tmp_path: Path) -> None:
    assert vit_of(timm_vit(width=1280, depth=1), tmp_path / "x.safetensors").config.heads == 16


@pytest.mark.parametrize(("width", "heads"), [(48, None), (64, 3)])
def test_heads_that_cannot_be_known_or_do_not_divide_are_asked_for(
    tmp_path: Path, width: int, heads: int | None
) -> None:
    with pytest.raises(BadWeights, match="heads="):
        vit_of(timm_vit(width=width), tmp_path / "x.safetensors", heads=heads)


@pytest.mark.parametrize(
    ("name", "mean", "resize"),
    [
        ("vit_tiny", HALF, "bicubic-antialias"),
        ("deit_small", IMAGENET_MEAN, "bicubic-antialias"),
        ("dino_vits8", IMAGENET_MEAN, "bicubic-offset"),
        ("dinov2_vits14", IMAGENET_MEAN, "bicubic-offset"),
    ],
)
def test_a_bare_vit_is_taken_for_what_its_file_name_says(
    tmp_path: Path, name: str, mean: tuple[float, ...], resize: str
) -> None:
    config = vit_of(timm_vit(), tmp_path / f"{name}.safetensors").config
    assert (config.mean, config.resize) == (mean, resize)


def test_a_configuration_beside_the_file_wins_over_its_name(tmp_path: Path) -> None:
    timm = {
        "architecture": "vit_x",
        "model_args": {"num_heads": 4},
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]},
    }
    (tmp_path / "config.json").write_text(json.dumps(timm))
    config = vit_of(timm_vit(), tmp_path / "dino.safetensors").config
    assert (config.heads, config.mean) == (4, (0.1, 0.2, 0.3))


def test_registers_with_rows_in_the_position_table_take_them_along(tmp_path: Path) -> None:
    table, registers = drawn(1, 1 + 4 + 16, 64, seed=1), drawn(1, 4, 64, seed=30)
    inside = timm_vit() | {"pos_embed": table, "reg_token": registers}
    outside = timm_vit() | {
        "pos_embed": torch.cat([table[:, :1], table[:, 5:]], 1),
        "reg_token": registers + table[:, 1:5],
    }
    found, wanted = (vit_of(s, tmp_path / "x.safetensors")(pictures(), layers=[2]) for s in (inside, outside))
    torch.testing.assert_close(found.image, wanted.image)
    assert found.patches[0].shape == (2, 4, 4, 64)


def test_a_table_without_a_row_for_the_class_token_adds_nothing_to_it(tmp_path: Path) -> None:
    patches = drawn(1, 16, 64, seed=1)
    without = timm_vit() | {"pos_embed": patches}
    zero = timm_vit() | {"pos_embed": torch.cat([torch.zeros(1, 1, 64), patches], 1)}
    found, wanted = (vit_of(s, tmp_path / "x.safetensors") for s in (without, zero))
    assert not found.config.prefix_positions
    for size in (32, 48):
        torch.testing.assert_close(found(pictures(size, 32)).image, wanted(pictures(size, 32)).image)


def test_without_a_class_token_patches_are_averaged_before_an_fc_norm_and_after_a_norm(tmp_path: Path) -> None:
    bare = timm_vit(prefix=0)
    renamed = {name.replace("norm.", "fc_norm.") if name.startswith("norm.") else name: t for name, t in bare.items()}
    assert vit_of(bare, tmp_path / "x.safetensors").config.pool == "normed_mean"
    assert vit_of(renamed, tmp_path / "x.safetensors").config.pool == "mean"


def test_layer_scales_are_folded_into_the_projections_before_them(tmp_path: Path) -> None:
    scale = 1 + drawn(64, seed=40)
    scaled = timm_vit() | {"blocks.0.ls1.gamma": scale, "blocks.0.ls2.gamma": 2 * scale}
    plain = timm_vit()
    for name, factor in (("attn.proj", scale), ("mlp.fc2", 2 * scale)):
        plain[f"blocks.0.{name}.weight"] = factor[:, None] * plain[f"blocks.0.{name}.weight"]
        plain[f"blocks.0.{name}.bias"] = factor * plain[f"blocks.0.{name}.bias"]
    found, wanted = (vit_of(s, tmp_path / "x.safetensors")(pictures()) for s in (scaled, plain))
    torch.testing.assert_close(found.image, wanted.image)


def test_a_missing_bias_of_queries_keys_and_values_is_zero(tmp_path: Path) -> None:
    zero = timm_vit() | {f"blocks.{n}.attn.qkv.bias": torch.zeros(192) for n in (0, 1)}
    without = {name: tensor for name, tensor in zero.items() if not name.endswith("qkv.bias")}
    found, wanted = (vit_of(s, tmp_path / "x.safetensors")(pictures()) for s in (without, zero))
    assert torch.equal(found.image, wanted.image)


def test_half_precision_checkpoints_compute_in_float32(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in timm_vit().items()}
    full = {name: tensor.float() for name, tensor in half.items()}
    found, wanted = (vit_of(s, tmp_path / f"{n}.safetensors") for n, s in enumerate((half, full)))
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}
    assert torch.equal(found(pictures()).image, wanted(pictures()).image)


def drop(name: str) -> Callable[[State], State]:
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


def put(name: str, *shape: int) -> Callable[[State], State]:
    return lambda state: state | {name: drawn(*shape)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("blocks.1.mlp.fc1.weight"), r"incomplete.*blocks\.1\.fc1\.weight"),
        (drop("pos_embed"), "incomplete.*positions"),
        (drop("norm.bias"), r"incomplete.*norm\.bias"),
        (put("blocks.0.attn.q_norm.weight", 64), r"another architecture.*blocks\.0\.attn\.q_norm\.weight"),
        (put("attn_pool.latent", 1, 1, 64), r"another architecture.*attn_pool\.latent"),
        (put("blocks.1.attn.proj.weight", 64, 32), r"does not fit.*blocks\.1\.out\.weight \(64, 32\) for \(64, 64\)"),
        (put("pos_embed", 1, 13, 64), "no square grid"),
    ],
)
def test_a_checkpoint_that_lacks_or_has_too_much_is_refused_by_the_tensors_names(
    tmp_path: Path, change: Callable[[State], State], words: str
) -> None:
    with pytest.raises(BadWeights, match=words) as caught:
        vit_of(change(timm_vit()), tmp_path / "x.safetensors")
    assert "x.safetensors" in str(caught.value)


def test_heads_of_classifiers_and_mask_tokens_are_left_aside(tmp_path: Path) -> None:
    more = timm_vit() | {"head.weight": drawn(10, 64), "head.bias": drawn(10), "mask_token": drawn(1, 64)}
    found, wanted = (vit_of(s, tmp_path / "dino.safetensors")(pictures()) for s in (more, timm_vit()))
    assert torch.equal(found.image, wanted.image)


def test_tensors_of_no_known_layout_are_refused_with_what_can_be_read(tmp_path: Path) -> None:
    path = saved({"features.0.weight": drawn(2)}, tmp_path / "x.safetensors")
    with pytest.raises(BadWeights, match=r"features\.0\.weight.*OpenAI"):
        encoders.load(path)


def open_clip(tmp_path: Path, state: State, **config: object) -> Path:
    """A folder in the hub layout, with these entries changed in the model's configuration."""
    folder = PARITY / "open_clip_vit"
    hub = json.loads((folder / "open_clip_config.json").read_text())
    for part, entries in config.items():
        hub["model_cfg"][part] |= entries
    (tmp_path / "open_clip_config.json").write_text(json.dumps(hub))
    saved(state, tmp_path / "open_clip_model.safetensors")
    return tmp_path


def test_a_custom_text_tower_is_found_under_its_prefix(tmp_path: Path) -> None:
    state = parity_state("open_clip_vit", "open_clip_model.safetensors")
    custom = {
        name if name.startswith(("visual.", "logit")) else f"text.{name}": tensor for name, tensor in state.items()
    }
    found, wanted = clip_of(open_clip(tmp_path, custom)), clip_of(PARITY / "open_clip_vit")
    numbers = [[94, 3, 4, 95], [94, 95]]
    assert torch.equal(found.text.encode(numbers), wanted.text.encode(numbers))
    assert found.logit_scale == wanted.logit_scale


@pytest.mark.parametrize(
    ("part", "entries"),
    [
        ("vision_cfg", {"pool_type": "avg"}),
        ("vision_cfg", {"attentional_pool": True}),
        ("vision_cfg", {"timm_model_name": "convnext_base"}),
        ("text_cfg", {"no_causal_mask": True}),
        ("text_cfg", {"pool_type": "last"}),
        ("text_cfg", {"hf_model_name": "roberta-base"}),
    ],
)
def test_a_configuration_that_makes_another_network_of_the_same_tensors_is_refused(
    tmp_path: Path, part: str, entries: dict[str, object]
) -> None:
    state = parity_state("open_clip_vit", "open_clip_model.safetensors")
    with pytest.raises(BadWeights, match=r"open_clip_config\.json"):
        encoders.load(open_clip(tmp_path, state, **{part: entries}))


def test_another_epsilon_in_the_configuration_is_used(tmp_path: Path) -> None:
    state = parity_state("open_clip_vit", "open_clip_model.safetensors")
    model = clip_of(open_clip(tmp_path, state, vision_cfg={"norm_kwargs": {"eps": 1e-3}}))
    assert isinstance(model.visual, VisionTransformer)
    assert model.visual.config.epsilon == 1e-3
    assert model.text.config.epsilon == 1e-5


@pytest.mark.parametrize(
    ("name", "stated", "used"),
    [
        ("model", None, "gelu"),
        ("vit_b_32-quickgelu-x", None, "quick_gelu"),
        ("ViT-B-32-openai", None, "quick_gelu"),
        ("vit_b_32-quickgelu-x", "gelu", "gelu"),
    ],
)
def test_the_activation_of_a_bare_clip_is_read_from_its_name_unless_stated(
    tmp_path: Path, name: str, stated: Activation | None, used: str
) -> None:
    # heads cannot be known here, so tensors of 64 channels a head
    state = parity_state("open_clip_vit_head64", "open_clip_model.safetensors")
    wide = {key: tensor for key, tensor in state.items() if key.startswith("visual.")}
    source = parity_state_text()
    path = saved(wide | source, tmp_path / f"{name}.safetensors")
    model = clip_of(path, activation=stated)
    assert model.text.config.activation == used


def parity_state_text() -> State:
    """A text tower of 64 channels from an OpenAI archive, with the joint width of the image tower beside it."""
    from blemish.encoders.checkpoints.weights import read

    state = read(PARITY / "openai_vit" / "model.pt")
    skipped = ("visual.", "input_resolution", "context_length", "vocab_size")
    text = {name: tensor for name, tensor in state.items() if not name.startswith(skipped)}
    return text | {"text_projection": drawn(64, 40)}


def test_an_activation_that_cannot_be_computed_is_refused(tmp_path: Path) -> None:
    folder = PARITY / "transformers_clip"
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["hidden_act"] = "relu6"
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(BadWeights, match="relu6"):
        encoders.load(tmp_path)


def test_a_transformers_configuration_leaves_out_quick_gelu(tmp_path: Path) -> None:
    folder = PARITY / "transformers_clip"
    config = json.loads((folder / "config.json").read_text())
    for part in ("vision_config", "text_config"):
        del config[part]["hidden_act"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    model = clip_of(tmp_path)
    assert isinstance(model.visual, VisionTransformer)
    assert model.visual.config.activation == model.text.config.activation == "quick_gelu"


def test_a_transformers_clip_with_more_than_a_clip_is_refused(tmp_path: Path) -> None:
    state = parity_state("transformers_clip", "model.safetensors") | {"classifier.weight": drawn(3, 32)}
    (tmp_path / "config.json").write_bytes((PARITY / "transformers_clip" / "config.json").read_bytes())
    with pytest.raises(BadWeights, match=r"classifier\.weight"):
        encoders.load(saved(state, tmp_path / "model.safetensors"))


def test_a_configuration_that_is_no_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadWeights, match=r"config\.json"):
        vit_of(timm_vit(), tmp_path / "model.safetensors")


def test_an_incomplete_residual_network_is_refused(tmp_path: Path) -> None:
    state = parity_state("timm_resnet_basic", "model.safetensors")
    without = {name: tensor for name, tensor in state.items() if name != "layer2.0.bn1.running_var"}
    with pytest.raises(BadWeights, match=r"layer2\.0\.bn1\.running_var"):
        encoders.load(saved(without, tmp_path / "x.safetensors"))
    with pytest.raises(BadWeights, match=r"layer1\.0\.se\.fc1\.weight"):
        encoders.load(saved(state | {"layer1.0.se.fc1.weight": drawn(4)}, tmp_path / "x.safetensors"))
