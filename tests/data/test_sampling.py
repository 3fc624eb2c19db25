from __future__ import annotations

import random
from pathlib import Path

import pytest

from blemish.data.sampling import hold_out, normals, shots
from blemish.errors import BadData, BadInput
from blemish.types import Sample

SAMPLES = [Sample(Path(f"/data/bottle/train/good/{number:03}.png"), "good") for number in range(20)]
DEFECTS = [Sample(Path(f"/data/bottle/test/crack/{number:03}.png"), "crack") for number in range(5)]


def test_fewer_shots_are_the_beginning_of_more() -> None:
    assert shots(SAMPLES, 8, seed=3)[:4] == shots(SAMPLES, 4, seed=3)


def test_shots_are_different_good_samples() -> None:
    drawn = shots(DEFECTS + SAMPLES, 20)
    assert sorted(sample.image for sample in drawn) == [sample.image for sample in SAMPLES]


def test_the_seed_decides_the_shots_and_the_order_of_samples_does_not() -> None:
    mixed = random.Random(0).sample(SAMPLES, len(SAMPLES))
    assert shots(mixed, 5, seed=1) == shots(SAMPLES, 5, seed=1)
    assert shots(SAMPLES, 5, seed=1) != shots(SAMPLES, 5, seed=2)


def test_shots_are_the_same_wherever_the_data_lies() -> None:
    elsewhere = [Sample(Path("/mnt/other") / sample.image.relative_to("/data"), "good") for sample in SAMPLES]
    names = [[sample.image.name for sample in shots(of, 6, seed=4)] for of in (SAMPLES, elsewhere)]
    assert names[0] == names[1]


def test_a_draw_never_changes_between_machines_and_releases() -> None:
    assert [sample.image.stem for sample in shots(SAMPLES, 4, seed=0)] == ["007", "001", "014", "005"]


def test_too_many_or_no_shots_are_refused() -> None:
    with pytest.raises(BadData, match="there are 20 good samples"):
        shots(SAMPLES + DEFECTS, 21)
    with pytest.raises(BadInput, match="at least one"):
        shots(SAMPLES, 0)


def test_normals_are_the_samples_labelled_good() -> None:
    assert normals([*DEFECTS, *SAMPLES, Sample(Path("unknown.png"))]) == SAMPLES


def test_four_fifths_of_the_good_and_no_defect_are_learned_from() -> None:
    everything = [*SAMPLES, *DEFECTS, Sample(Path("unknown.png"))]
    train, test = hold_out(everything, "train"), hold_out(everything, "test")
    assert len(train) == 16
    assert normals(train) == train
    assert sorted(map(str, train + test)) == sorted(map(str, everything))


def test_groups_are_never_divided() -> None:
    everything = [*SAMPLES, *DEFECTS]
    train, test = (hold_out(everything, split, group=lambda path: path.stem[:2]) for split in ("train", "test"))
    assert not {s.image.stem[:2] for s in normals(train)} & {s.image.stem[:2] for s in normals(test)}
