"""What every classifier promises that may be told of several types a picture."""

from __future__ import annotations

from inspect import signature

import pytest
import torch
from tests.contract.test_every_classifier import TYPES, pictures
from tests.support.quick import QUICK_CLASSIFIERS

from blemish import catalog, encoders
from blemish.catalog import CLASSIFIERS
from blemish.classification.learn import learn
from blemish.types import Classifier, TypedExamples


def takes_several(name: str) -> bool:
    module, _, made = CLASSIFIERS[name].where.partition(":")
    return "several" in signature(getattr(__import__(module, fromlist=[made]), made)).parameters


ABLE = sorted(name for name in CLASSIFIERS if takes_several(name))


def shown(classifier: Classifier, seed: int = 0) -> TypedExamples:
    """A hole, a scratch, both, or a red tint, four of each."""
    hole, scratch, tint = (pictures(number, 4, seed) for number in range(3))
    both = torch.where((scratch - 0.5).abs() > 0.3, scratch, pictures(0, 4, seed + 1))
    seen = torch.cat([classifier.look(each) for each in (hole, scratch, both, tint)])
    types = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool).repeat_interleave(4, 0)
    return TypedExamples(seen[:, None], types)


@pytest.mark.parametrize("name", ABLE)
def test_each_type_is_decided_by_itself(name: str) -> None:
    arguments = QUICK_CLASSIFIERS[name] | {"several": True}
    classifier = catalog.classifier(name, encoders.load(encoders.TINY), TYPES, arguments)
    examples = shown(classifier)
    namer = learn(classifier, examples, coverage=0.8)
    assert namer.sureness.middle is not None
    with torch.no_grad():
        logits = classifier(examples.seen)
    chances = torch.from_numpy(namer.sureness.chances(logits))
    assert torch.isfinite(chances).all()
    assert chances.shape == (16, 3)
    for each, row in zip(namer.name(examples.seen), chances, strict=True):
        assert set(each.others) == {TYPES[number] for number in range(3) if row[number] >= 1 - namer.sureness.rest}
    if "text" not in CLASSIFIERS[name].needs:  # what the small encoder reads means nothing
        right = ((chances >= 0.5) == examples.types).float().mean()
        assert right > 0.7, right
