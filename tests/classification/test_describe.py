"""What a classifier sees of pictures on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from blemish import encoders
from blemish.classification.describe import describe
from blemish.classifiers.mvrec import MVREC
from blemish.classifiers.nearest import Nearest
from blemish.errors import BadInput
from blemish.images import Region, View
from blemish.types import Sample

TYPES = ["hole", "stain"]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """A picture of 60 x 40 with two defects."""
    pixels, mask = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    mask[2:8, 3:13] = mask[20:32, 40:50] = 255
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return Sample(tmp_path / "picture.png", "hole", (tmp_path / "mask.png",))


def test_a_classifier_that_crops_sees_each_defect_at_the_resolution_of_the_picture(sample: Sample) -> None:
    classifier = MVREC(encoders.load(encoders.TINY), types=TYPES, sizes=(16,))
    found = list(describe(classifier, [sample], of="defects", mirrored=True, batch_size=4))
    assert [each.box for each in found] == [Region(3, 2, 10, 6), Region(40, 20, 10, 12)]
    picture = torch.from_numpy(np.asarray(Image.open(sample.image)).copy()).permute(2, 0, 1)
    mask = torch.zeros(40, 60, dtype=torch.bool)
    mask[20:32, 40:50] = True
    torch.testing.assert_close(found[1].seen, classifier.look_inside(*classifier.crop(picture, mask)))
    assert found[0].seen.shape[0] == 9


def test_other_classifiers_see_it_mirrored_as_well(sample: Sample) -> None:
    classifier = Nearest(encoders.load(encoders.TINY), types=TYPES)
    found = list(describe(classifier, [sample], of="defects", mirrored=True))
    assert [len(each.seen) for each in found] == [4, 4]


@pytest.mark.parametrize("of", ["pictures", "defects"])
def test_crops_of_a_part_of_the_picture_are_refused(sample: Sample, of: str) -> None:
    classifier = MVREC(encoders.load(encoders.TINY), types=TYPES)
    with pytest.raises(BadInput, match="leave out tiles and regions"):
        list(describe(classifier, [sample], of=of, view=View(tile=32)))  # type: ignore[arg-type]
