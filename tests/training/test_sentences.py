"""What detectors by sentences have in common, and their switches."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from tests.support.quick import QUICK
from tests.support.training import batch, ready

from blemish import catalog
from blemish.types import Batch

SWITCHES: list[tuple[str, dict[str, Any]]] = [
    ("adp", {"regularise": 0.0}),
    ("adp", {"self_tune": 0.0}),
    ("anomaly-nlp", {"purify": False, "term": "cross-entropy"}),
    ("attribute-clip", {"bridge": False}),
    ("attribute-clip", {"components": 1}),
    ("clip-core", {"plus": False}),
    ("code-clip", {"decouple": False}),
    ("dma-sap", {"align": False}),
    ("dma-sap", {"pooling": "class"}),
    ("dyc-clip", {"dynamic": False}),
    ("fe-clip", {"frequency": None}),
    ("fe-clip", {"frequency": "features"}),
    ("fe-clip", {"frequency": "statistics"}),
    ("fp-clip", {"foreground": False}),
    ("ftpa-dmm", {"refine": False}),
    ("ftpa-dmm", {"modulate": False}),
    ("g-anomaly", {"graph": False}),
    ("genclip", {"branches": "vision"}),
    ("genclip", {"branches": "query"}),
    ("genclip", {"term_weights": False}),
    ("hieclip", {"weights": "equal"}),
    ("ia-clip", {"triplet": 0.0}),
    ("ia-clip", {"focal": 0.0}),
    ("normal-variation", {"normals": 1}),
    ("ov-iad", {"words": "names", "vocabulary": ("scratch", "dent")}),
    ("pro-clip", {"prompts": False}),
    ("scale-clip", {"agreement": False}),
    ("sea-clip", {"decoder": False}),
    ("semantic-splicing", {"margin": 0.0}),
    ("text-adapted-medical", {"text_adapter": False}),
    ("uniclip-ad", {"rank": 0}),
]


def total(detector: Any, given: Batch) -> float:
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return float(torch.stack(list(detector.loss(given).values())).sum())


@pytest.mark.parametrize(("name", "switch"), SWITCHES, ids=str)
def test_a_switch_changes_what_is_trained_or_what_comes_of_it(name: str, switch: dict[str, Any]) -> None:
    given = QUICK[name] | ({"vocabulary": switch["vocabulary"]} if "vocabulary" in switch else {})
    on, off = (catalog.method(name)("test-tiny", **arguments) for arguments in (given, given | switch))
    losses = [[total(each, batch(number)) for number in range(3)] for each in (on, off)]
    trained = [
        sum(each.numel() for group in made.trained_parameters() for each in group.parameters) for made in (on, off)
    ]
    seen = [each(batch(0).images) for each in (on, off)]
    maps = [each.anomaly_map for each in seen]
    assert losses[0] != losses[1] or trained[0] != trained[1] or not torch.equal(*maps)
    assert torch.isfinite(torch.tensor(losses)).all()


def test_types_are_named_where_they_are() -> None:
    seen, found = batch(1000), ready("ov-as")(batch(1000).images)
    assert seen.masks is not None
    assert found.type_scores is not None
    assert found.type_map is not None
    assert found.type_scores[1::2].argmax(1).tolist() == [0, 0]
    assert (found.type_map[seen.masks] == 0).float().mean() > (found.type_map[~seen.masks] == 0).float().mean()


def test_a_few_marked_pictures_of_a_type_are_remembered_and_no_more() -> None:
    found = cast(Any, ready("ov-as"))
    assert found.counts.tolist() == [2, 0]
    assert found.marked[0].norm() > 0
    assert found.marked[1].norm() == 0


def test_a_vocabulary_may_be_another_one_once_words_are_trained() -> None:
    one = cast(Any, ready("ov-iad"))
    other = catalog.method("ov-iad")("test-tiny", **QUICK["ov-iad"] | {"vocabulary": ("dent",)})
    other.load_state_dict(one.state_dict())
    found = other(batch(3).images)
    assert found.type_scores.shape == (4, 1)
    assert other.types == ("dent",)


def test_labels_that_disagree_with_the_transport_are_taken_for_wrong() -> None:
    found = cast(Any, catalog.method("anomaly-nlp")("test-tiny", **QUICK["anomaly-nlp"]))
    logits = torch.tensor([-4.0, -3.0, 3.0, 4.0, -5.0, 5.0])
    labels = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    assert found.clean(logits, labels).tolist() == [True, True, True, True, False, False]
