"""Files in the layouts of methods' authors, generated here, as detectors and recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from click.testing import CliRunner, Result
from tests.support.parts import good
from tests.support.training import begun
from torch import Tensor, nn

from blemish import catalog
from blemish.cli.main import main
from blemish.errors import BadInput, BadWeights
from blemish.recipes.published import load_weights
from blemish.recipes.recipe import STATE, load


class Heads(nn.Module):
    """APRIL-GAN's, which are saved as {"trainable_linearlayer": state dict}."""

    def __init__(self, count: int, width: int, output: int) -> None:
        super().__init__()
        self.fc = nn.ModuleList(nn.Linear(width, output) for _ in range(count))


class Prompts(nn.Module):
    """AnomalyCLIP's, which are saved as {"prompt_learner": state dict}, with what our detector has otherwise."""

    def __init__(self, tokens: int, deep: int, blocks: int, width: int) -> None:
        super().__init__()
        self.compound_prompts_text = nn.ParameterList(nn.Parameter(torch.randn(deep, width)) for _ in range(blocks))
        self.compound_prompt_projections = nn.ModuleList(nn.Linear(width, 896) for _ in range(blocks))
        self.ctx_pos, self.ctx_neg = (nn.Parameter(torch.randn(1, 1, tokens, width)) for _ in range(2))
        for side in ("pos", "neg"):
            self.register_buffer(f"token_prefix_{side}", torch.randn(1, 1, 1, width))
            self.register_buffer(f"tokenized_prompts_{side}", torch.zeros(1, 1, 77, dtype=torch.int64))


def april_gan(folder: Path, output: int = 0) -> tuple[Path, Heads]:
    encoder = cast(Any, begun("april-gan")).encoder
    with torch.random.fork_rng(devices=[]):
        theirs = Heads(2, encoder.widths[1], output or encoder.width)
    torch.save({"trainable_linearlayer": theirs.state_dict()}, folder / "theirs.pth")
    return folder / "theirs.pth", theirs


def learned_words(method: str, folder: Path) -> tuple[Path, Prompts]:
    own = cast(Any, begun(method))
    with torch.random.fork_rng(devices=[]):
        theirs = Prompts(3, 2, len(own.prompts.blocks), own.encoder.prompt_width)
    torch.save({"prompt_learner": theirs.state_dict()}, folder / "theirs.pth")
    return folder / "theirs.pth", theirs


def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_april_gans_heads_are_those_of_the_file(tmp_path: Path) -> None:
    path, theirs = april_gan(tmp_path)
    found = cast(Any, begun("april-gan"))
    said = load_weights(found, "april-gan", path)
    layers = found.frozen(images()).patches
    for own, linear, layer in zip(found.heads(layers), theirs.fc, layers, strict=True):
        assert torch.equal(own, linear(layer))
    assert found(images()).anomaly_map.isfinite().all()
    assert (said.name, said.good, said.defects) == ("theirs.pth", 0, 0)


@pytest.mark.parametrize("method", ["anomaly-clip", "leclip"])
def test_learned_words_are_those_of_the_file_and_are_read(method: str, tmp_path: Path) -> None:
    path, theirs = learned_words(method, tmp_path)
    found = cast(Any, begun(method))
    load_weights(found, method, path)
    prompts = [[theirs.ctx_pos[0, 0].detach(), "object."], [theirs.ctx_neg[0, 0].detach(), "damaged object."]]
    deep = {block: theirs.compound_prompts_text[at].detach() for at, block in enumerate(found.prompts.blocks)}
    texts = nn.functional.normalize(found.encoder.encode_prompts(prompts, deep=deep), dim=-1)
    torch.testing.assert_close(found.texts, texts)
    assert found(images()).anomaly_map.isfinite().all()


def test_found_ads_projector_is_that_of_the_file(tmp_path: Path) -> None:
    found = cast(Any, begun("found-ad"))
    outer = {"narrow": "embed", "widen": "proj", "norm": "norm", "blocks": "blocks"}
    inner = {"qkv": "attn.qkv", "out": "attn.proj", "wide.0": "mlp.fc1", "wide.2": "mlp.fc2"}
    theirs = {"mask_token": torch.zeros(1, 1, 24)}
    for name, tensor in found.projector.state_dict().items():
        head, _, rest = name.partition(".")
        for one, other in inner.items() if head == "blocks" else ():
            rest = rest.replace(one, other)
        theirs[f"predictor_{outer[head]}.{rest}"] = torch.rand_like(tensor)
    torch.save({"predictor": theirs, "projector": None, "epoch": 3, "lr": 0.001}, tmp_path / "theirs.pth.tar")
    load_weights(found, "found-ad", tmp_path / "theirs.pth.tar")
    assert torch.equal(found.projector.blocks[1].wide[2].weight, theirs["predictor_blocks.1.mlp.fc2.weight"])
    assert torch.equal(found.projector.norm.bias, theirs["predictor_norm.bias"])
    assert found(images()).anomaly_map.isfinite().all()


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_a_recipe_begins_with_the_weights_of_a_methods_authors_and_learns_good_parts(tmp_path: Path) -> None:
    path, theirs = april_gan(tmp_path)
    parts = good(tmp_path / "good", 2)
    out = tmp_path / "line.blemish"
    words = ("--encoder", "test-tiny", "--method", "april-gan", "--set", "image_size=64", "--set", "layers=[2, 4]")
    result = run("recipe", "freeze", out, *words, "--weights", path, "--normal", tmp_path / "good")
    assert result.exit_code == 0, result.output
    recipe = load(out)
    assert torch.equal(recipe.tensors[f"{STATE}heads.heads.1.weight"], theirs.fc[1].state_dict()["weight"])
    assert [each.kind for each in recipe.taught] == ["good", "good"]
    assert "theirs.pth: weights of the method's authors" in run("recipe", "show", out).output
    result = run("inspect", parts[0], "--recipe", out, "--out", tmp_path / "run")
    assert result.exit_code in (0, 10, 11), result.output


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    wide, _ = april_gan(tmp_path, output=7)
    with pytest.raises(BadWeights, match=r"is for another encoder.*heads.heads.0.weight is 7 x .* by --encoder"):
        load_weights(begun("april-gan"), "april-gan", wide)
    with pytest.raises(BadWeights, match=r"is no file of anomaly-clip.*nothing for prompts.context"):
        load_weights(begun("anomaly-clip"), "anomaly-clip", wide)
    with pytest.raises(BadInput, match="supersimplenet knows no weights of its authors: train it by `blemish train"):
        load_weights(begun("supersimplenet"), "supersimplenet", wide)
    (tmp_path / "theirs.pth").write_bytes(b"no weights")
    with pytest.raises(BadWeights, match="neither a complete"):
        load_weights(begun("april-gan"), "april-gan", wide)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save({"trainable_linearlayer": Heads(2, 4, 4)}, tmp_path / "theirs.pth")
    with pytest.raises(BadWeights, match="was refused: it is damaged, or holds objects other than tensors"):
        load_weights(begun("april-gan"), "april-gan", tmp_path / "theirs.pth")


@pytest.mark.parametrize("method", [name for name in catalog.METHODS if hasattr(catalog.method(name), "published")])
def test_whatever_is_trained_can_be_published(method: str, tmp_path: Path) -> None:
    """An empty file is missed by name, whatever the method makes of it."""
    torch.save({"nothing": torch.zeros(1)}, tmp_path / "theirs.pth")
    with pytest.raises(BadWeights, match=rf"is no file of {method}, or of other arguments: it has nothing for "):
        load_weights(begun(method), method, tmp_path / "theirs.pth")
