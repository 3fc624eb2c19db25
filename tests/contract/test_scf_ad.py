"""What SCF-AD promises beyond the other methods that are trained on good parts."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
import torch
from tests.support.learning import learn
from tests.support.quick import SIDE, quick
from tests.support.training import batch, ready
from torch.testing import assert_close

from blemish.detectors.scf_ad import SCFAD
from blemish.errors import BadInput
from blemish.types import Batch


def trained() -> SCFAD:
    return copy.deepcopy(cast(SCFAD, ready("scf-ad")))


def test_without_good_parts_the_words_decide_alone_and_with_them_their_distances_too() -> None:
    found, images = trained(), batch(5).images
    words = found(images).anomaly_map
    learn(found, [batch(6).images[::2]])
    both = found(images).anomaly_map
    assert (both.logit() >= words.logit() - 1e-4).all()
    assert (both > words).float().mean() > 0.9


def test_distances_of_the_layers_compete_only_where_that_is_asked_for() -> None:
    plain = trained()
    competing = SCFAD("test-tiny", **quick("scf-ad"), compete=True)
    competing.load_state_dict(plain.state_dict())
    images = batch(5).images
    assert torch.equal(plain(images).anomaly_map, competing(images).anomaly_map)
    logits = []
    for found in (plain, competing):
        found.weights.data = torch.tensor([0.0, 1.0, 1.0])
        found.bias.data.zero_()
        logits.append(learn(found, [batch(6).images[::2]])(images).anomaly_map.logit())
    assert logits[0].std() > 0.01
    assert_close(logits[1], torch.ones_like(logits[1]), rtol=0, atol=1e-4)


def test_named_defects_are_among_the_anomalous_sentences() -> None:
    plain, named = (SCFAD("test-tiny", product="cap", defects=words, image_size=SIDE) for words in ((), ("big hole",)))
    one, other = (cast(Any, made.prompts[1]).suffixes for made in (plain, named))
    assert other == (*one, "cap with big hole.")


def test_a_lonely_good_part_cannot_be_compared() -> None:
    found, seen = trained(), batch(0)
    assert seen.masks is not None
    with pytest.raises(BadInput, match="use --batch-size 4 or more"):
        found.loss(Batch(seen.images[:1], seen.masks[:1]))
