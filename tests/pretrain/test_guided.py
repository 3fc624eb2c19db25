"""A small network that an encoder guides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn
from torch.nn import functional as F

from blemish import encoders
from blemish.cli.main import main
from blemish.encoders.cnn import ResNetConfig
from blemish.errors import BadImage, BadInput
from blemish.pretrain.guided import GuidedModel, pretrain_by_guide, write_residual
from blemish.pretrain.objectives import agreement_of_views, info_nce
from blemish.training.schedule import Schedule

SMALL = ResNetConfig(
    stem=(8,), depths=(1, 1, 1, 1), hidden=(8, 16, 16, 32), widths=(8, 16, 16, 32), basic=True, image_size=64
)
PLAN = Schedule(steps=4, rate=1e-3, batch_size=4, device="cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(6):
        pixels = generator.normal(128, 20, (48 + 8 * number, 80, 3)).clip(0, 255)
        pixels[10:30, 10 * number : 10 * number + 12] = 255 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def trained(paths: list[Path], folder: Path, **arguments: Any) -> tuple[nn.Module, bool]:
    return pretrain_by_guide(paths, encoders.load(encoders.TINY), PLAN, folder, config=SMALL, side=64, **arguments)


def test_pairs_choose_each_other_and_the_views_that_agree_most_agree_more() -> None:
    q, k = torch.randn(5, 7), torch.randn(5, 7)
    cosines = torch.stack([F.cosine_similarity(each[None], k) for each in q]) / 0.5
    expected = -cosines.log_softmax(1).diagonal().mean()
    torch.testing.assert_close(info_nce(q, k, temperature=0.5), expected)
    own = F.cosine_similarity(q, k)
    torch.testing.assert_close(agreement_of_views([q, k]), -own.log_softmax(0).max())


def test_it_is_trained_the_same_every_time_and_goes_on_where_it_stopped(paths: list[Path], tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    whole, done = trained(paths, tmp_path / "whole")
    assert done
    asked = iter([False, False, True])
    _, early = trained(paths, tmp_path / "cut", stop=lambda: next(asked))
    assert not early
    again, _ = trained(paths, tmp_path / "cut")
    assert torch.equal(state, torch.random.get_rng_state())
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    fresh = GuidedModel(SMALL, 32).student.state_dict()["stem.convolution.weight"]
    assert not torch.allclose(fresh, whole.state_dict()["stem.weight"], atol=1e-3)


def test_what_is_written_is_an_encoder_that_sees_the_same(paths: list[Path], tmp_path: Path) -> None:
    network, _ = trained(paths, tmp_path / "work")
    write_residual(network, tmp_path / "guided.safetensors")  # type: ignore[arg-type]
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = network(images, layers=[2, 4])
        found = encoders.load(tmp_path / "guided.safetensors", precision="float32")(images, layers=[2, 4])
    torch.testing.assert_close(found.image, expected.image, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.patches, expected.patches, rtol=1e-4, atol=1e-5)


def test_what_cannot_teach_is_refused(paths: list[Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="give two or more"):
        trained(paths[:1], tmp_path / "one")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(BadImage, match=r"broken\.png"):
        trained([broken, *paths[:1]], tmp_path / "two")


def test_the_command_makes_an_encoder(paths: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "guided.safetensors"
    command = [
        "guide",
        str(paths[0].parent),
        "--guide",
        encoders.TINY,
        "--side",
        "64",
        "--batch-size",
        "2",
        "--steps",
        "1",
    ]
    found = CliRunner().invoke(main, [*command, "--work", str(tmp_path / "work"), "--out", str(out), "--device", "cpu"])
    assert found.exit_code == 0, found.output
    assert "finished" in found.output
    assert encoders.load(out).width == 512
