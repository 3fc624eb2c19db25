"""RAD on the arrays that anomalib made, see methods/PROVENANCE.md."""

from __future__ import annotations

import pytest
import torch
from tests.parity.test_methods import HERE, assert_near, stored
from tests.support.learning import learn

from blemish import encoders
from blemish.detectors.rad import RAD

RUNS: dict[str, tuple[int, int | None, float]] = {
    "plain": (3, 1, 0.01),
    "same_place": (2, 0, 0.01),
    "wide": (7, 2, 0.01),
    "anywhere": (3, None, 0.0),
}


@pytest.mark.parametrize("run", RUNS)
def test_it_gives_the_same_scores_and_maps(run: str) -> None:
    data = stored("rad")
    pictures, radius, fraction = RUNS[run]
    encoder = encoders.load(HERE / "encoders" / "dino" / "dino.pth", precision="float32")
    made = RAD(encoder, layers=(1, 2), pictures=pictures, radius=radius, fraction=fraction, image_size=32)
    found = learn(made, (data["good"] / 255).split(2))(data["images"] / 255)
    assert_near(found.image_score, data[f"{run}.image_score"], rtol=1e-4, atol=1e-5)
    assert_near(found.anomaly_map, data[f"{run}.anomaly_map"], rtol=1e-4, atol=1e-5)
    others = torch.stack([data[f"{other}.anomaly_map"] for other in RUNS if other != run])
    assert ((others - found.anomaly_map).abs().flatten(1).amax(1) > 1e-3).all()
