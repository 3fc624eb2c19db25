from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.support import pictures

from blemish.errors import BadInput
from blemish.images import colours, overlay, read, save_picture

GREY = torch.full((3, 2, 3), 128, dtype=torch.uint8)


def luminance(colour: torch.Tensor) -> torch.Tensor:
    """CIELAB lightness of (3, N) sRGB in [0, 1]."""
    linear = torch.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return 116 * (linear * torch.tensor([[0.2126], [0.7152], [0.0722]])).sum(0) ** (1 / 3) - 16


def test_equal_steps_of_the_score_are_equal_steps_of_lightness() -> None:
    lightness = luminance(colours(torch.linspace(0, 1, 61)[None])[:, 0])
    steps = lightness.diff()
    assert steps.min() > 0
    assert torch.allclose(lightness, torch.linspace(float(lightness[0]), float(lightness[-1]), 61), atol=2)


def test_at_low_the_picture_is_untouched_and_above_high_nothing_changes_any_more() -> None:
    scores = torch.tensor([[-9.0, 2, 3], [4, 99, 3.5]])
    shown = overlay(GREY, scores, 2, 4)
    assert shown.dtype == torch.uint8
    assert torch.equal(shown[:, 0, :2], GREY[:, 0, :2])
    assert torch.equal(shown[:, 1, 0], shown[:, 1, 1])
    assert not torch.equal(shown[:, 0, 2], GREY[:, 0, 2])


def test_the_part_stays_visible_under_the_strongest_tint() -> None:
    image = torch.tensor([0, 255], dtype=torch.uint8).expand(3, 1, 2)
    shown = overlay(image, torch.ones(1, 2), 0, 1).int()
    assert (shown[:, 0, 1] - shown[:, 0, 0]).min() > 50


def test_what_was_not_inspected_is_dark_grey() -> None:
    image = torch.tensor([[[200]], [[100]], [[0]]], dtype=torch.uint8)
    shown = overlay(image, torch.full((1, 1), torch.nan), 0, 1)[:, 0, 0].tolist()
    assert shown == [40, 40, 40]


def test_floats_and_bytes_give_the_same_overlay() -> None:
    image = torch.from_numpy(pictures.ramp()).permute(2, 0, 1)
    scores = torch.linspace(0, 1, 40 * 36).reshape(40, 36)
    assert torch.equal(overlay(image, scores, 0, 1), overlay(image.float() / 255, scores, 0, 1))


def test_an_empty_scale_and_a_map_of_another_size_are_refused() -> None:
    with pytest.raises(BadInput, match="low must be below high"):
        overlay(GREY, torch.zeros(2, 3), 1, 1)
    with pytest.raises(BadInput, match="call place"):
        overlay(GREY, torch.zeros(3, 2), 0, 1)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.TIF"])
def test_a_saved_picture_reads_back(tmp_path: Path, name: str) -> None:
    image = torch.from_numpy(pictures.ramp()).permute(2, 0, 1)
    save_picture(tmp_path / name, image)
    assert torch.equal(read(tmp_path / name), image)
    save_picture(tmp_path / name, image.float() / 255)
    assert torch.equal(read(tmp_path / name), image)


def test_a_picture_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot be written as '\.gif': use one of"):
        save_picture(tmp_path / "a.gif", GREY)
    with pytest.raises(BadInput, match=r"a picture is \(3, H, W\)"):
        save_picture(tmp_path / "a.png", torch.zeros(2, 3))
