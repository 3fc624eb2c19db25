"""TGRF-CLIP and Pro-CLIP without their own blocks, against Res2CLIP's maps, see methods/PROVENANCE.md."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from tests.parity.test_methods import assert_near, stored

from blemish.blocks.memory import MemoryBank
from blemish.blocks.residuals import matched_reference, place_numbers
from blemish.detectors import pro_clip, tgrf_clip
from blemish.types import Batch

RUNS = {"published": (72, 0.01), "strong": (72, 0.2), "anywhere": (72, 0.0), "nearest": (1, 0.0)}


@pytest.mark.parametrize("run", RUNS)
def test_tgrf_clip_gives_the_same_maps(monkeypatch: pytest.MonkeyPatch, run: str) -> None:
    data = stored("res2clip")
    count, penalty = RUNS[run]
    detector = tgrf_clip.TGRFCLIP("test-tiny", count=count, penalty=penalty)
    detector.toward = data["toward"]
    monkeypatch.setattr(detector, "_look", lambda images: images)
    monkeypatch.setattr(tgrf_clip, "matched_reference", partial(matched_reference, sharpness=1.0))
    monkeypatch.setattr(tgrf_clip, "upsample", lambda maps, size: maps)
    monkeypatch.setattr(tgrf_clip, "smooth", lambda maps, sigma: maps)
    detector.bank.hold(*detector.extract(Batch(data["good"]))[0])
    assert_near(detector(data["images"]).anomaly_map, data[f"{run}.sum"], rtol=1e-4, atol=1e-6)
    detector.guide = False
    assert_near(detector(data["images"]).anomaly_map, data[f"{run}.visual"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("run", RUNS)
def test_pro_clip_gives_the_same_maps_without_its_adapter(run: str) -> None:
    data = stored("res2clip")
    count, penalty = RUNS[run]
    detector = pro_clip.ProCLIP("test-tiny")
    detector.adapter.widen.weight.data.zero_()
    bank = MemoryBank(beside=("down", "across"))
    bank.hold(data["good"].flatten(0, 2), *place_numbers(2, 6, 6, data["good"]))
    good = matched_reference(bank, data["images"], count=count, penalty=penalty, sharpness=1.0)
    for found, name in zip(
        detector._compare(data["images"], good, data["texts"]),
        ("text", f"{run}.visual", f"{run}.residual"),
        strict=True,
    ):
        assert_near(found, data[name], rtol=1e-4, atol=1e-6)


def test_the_runs_differ() -> None:
    maps = torch.stack([stored("res2clip")[f"{run}.sum"] for run in RUNS])
    assert torch.pdist(maps.flatten(1)).min() > 1e-3
