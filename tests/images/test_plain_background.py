from __future__ import annotations

import numpy as np
import pytest

from blemish.images.plain_background import find_part


def disc(height: int, width: int, *, noise: float = 4.0, radius: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:height, :width]
    inside = np.hypot(rows - height / 2, columns - width / 2) < radius * min(height, width)
    picture = np.random.default_rng(0).normal(40, noise, (3, height, width))
    picture[:, inside] += 120
    return picture.clip(0, 255).astype(np.uint8), inside


@pytest.mark.parametrize(("height", "width"), [(200, 200), (90, 333), (31, 40), (700, 500)])
def test_a_part_on_a_plain_background_is_found(height: int, width: int) -> None:
    picture, inside = disc(height, width)
    found = find_part(picture)
    assert found is not None
    assert found.shape == inside.shape
    assert found[inside].all()
    assert (found & ~inside).sum() < 0.5 * inside.sum() + 4 * max(height, width)
    again = find_part(picture.astype(np.float32) / 255)
    assert again is not None
    assert (again == found).mean() > 0.99


def test_holes_belong_to_the_part() -> None:
    picture, inside = disc(200, 200)
    picture[:, 95:105, 95:105] = 40
    found = find_part(picture)
    assert found is not None
    assert found[inside].all()


@pytest.mark.parametrize("kind", ["texture", "touches", "empty", "gradient", "speck"])
def test_where_it_is_not_sure_nothing_is_found(kind: str) -> None:
    picture, _ = disc(200, 200, noise=40 if kind == "texture" else 4, radius={"empty": 0, "speck": 0.03}.get(kind, 0.3))
    if kind == "touches":
        picture[:, 90:110] = 200
    if kind == "gradient":
        picture = (picture * 0.5 + np.linspace(0, 90, 200)).astype(np.uint8)
    assert find_part(picture) is None
