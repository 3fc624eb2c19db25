from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_inspect import picture
from tests.support.made import PLAN, category, data_set, here, plan_file, planned

from blemish.benchmark.plan import PlannedTrial, read, trials
from blemish.benchmark.trial import Measured, measure, peak_memory, split_parts
from blemish.data import samples
from blemish.evaluation import evaluate as evaluation

TABLE = PLAN.replace('"parts"', '"parts.csv"')


def one(folder: Path, text: str = PLAN) -> PlannedTrial:
    return planned(folder, text)[0]


def test_metrics_are_those_of_evaluate(tmp_path: Path) -> None:
    plan = one(data_set(tmp_path, "bolt", masks=True))
    outcome = measure(plan).outcome
    report = evaluation.run_trial(plan.trial).as_json()
    assert {name: outcome[name] for name in evaluation.METRICS} == {name: report[name] for name in evaluation.METRICS}
    assert outcome["shots"] == 2
    assert outcome["pixel_ap"]
    assert set(outcome["types"]) == {"spot", "stain"}
    for kind, found in report["types"].items():
        assert {name: outcome["types"][kind][name] for name in found} == found


def test_scores_verdicts_and_rates_belong_together(tmp_path: Path) -> None:
    outcome, lines = measure(one(data_set(tmp_path, "bolt")))
    train = [line for line in lines if line["split"] == "train"]
    test = [line for line in lines if line["split"] == "test"]
    assert (outcome["held_out"], outcome["scheme"], len(train), len(test)) == (4, "rest", 4, 6)
    assert {line["label"] for line in train} == {"good"}
    assert outcome["threshold"] > max(line["score"] for line in train)
    assert all((line["verdict"] == "reject") == (line["score"] >= outcome["threshold"]) for line in lines)
    defects = [line for line in test if line["label"] != "good"]
    escaped = [line for line in defects if line["verdict"] == "accept"]
    assert outcome["escape"]["value"] == len(escaped) / len(defects)
    spots = [line["verdict"] == "accept" for line in defects if line["label"] == "spot"]
    assert outcome["types"]["spot"]["escape"]["value"] == sum(spots) / len(spots)


@pytest.mark.parametrize(
    ("shots", "scheme", "learned", "held"),
    [("0", "rest", 0, 6), ("1", "rest", 1, 5), ("5", "rest", 5, 1), ("6", "split", 6, 2), ('"all"', "split", 6, 2)],
)
def test_parts_that_are_held_out_were_not_learned(
    tmp_path: Path, shots: str, scheme: str, learned: int, held: int
) -> None:
    text = PLAN.replace("[2]", f"[{shots}]").replace('"patchcore"', '"winclip"').replace("ratio = 0.5", "")
    plan = one(data_set(tmp_path, "bolt"), text)
    parts = split_parts(plan.trial)
    assert (len(parts.learned), len(parts.held)) == (learned, held)
    assert parts.learned == evaluation.training_samples(plan.trial)
    assert not set(parts.held) & set(parts.fitted)
    assert set(parts.fitted) == set(parts.learned) - set(parts.held)
    assert (parts.fitted == parts.learned) == (scheme == "rest")
    test = samples(plan.trial.root, category="bolt", split="test")
    assert not set(parts.held + parts.learned) & set(test)


def test_a_single_good_part_leaves_none_to_hold_out(tmp_path: Path) -> None:
    category(tmp_path / "parts" / "bolt", good=1)
    outcome, lines = measure(one(tmp_path, PLAN.replace("[2]", "[1]")))
    assert (outcome["threshold"], outcome["f1"], outcome["escape"], outcome["held_out"]) == (None, None, None, 0)
    assert outcome["types"]["spot"]["escape"] is None
    assert {line["verdict"] for line in lines} == {None}
    assert outcome["image_auroc"]["value"] > 0.5


def test_the_parts_held_out_are_drawn_by_the_seed(tmp_path: Path) -> None:
    first, second = planned(data_set(tmp_path, "bolt"))
    assert set(split_parts(first.trial).held) != set(split_parts(second.trial).held)
    assert split_parts(first.trial) == split_parts(first.trial)


def test_pictures_that_cannot_be_read_are_named_once(tmp_path: Path) -> None:
    folder = data_set(tmp_path, "bolt")
    for name in ("train/good/0.png", "test/spot/1.png"):
        (folder / "parts" / "bolt" / name).write_bytes(b"GIF89a")
    outcome, lines = measure(one(folder, PLAN.replace("[2]", '["all"]')))
    assert sorted(Path(bad["path"]).parent.name for bad in outcome["unreadable"]) == ["good", "spot"]
    assert outcome["n_anomalous"] == 3
    assert len([line for line in lines if line["split"] == "test"]) == 5


def table_of(folder: Path, labels: dict[str, str]) -> None:
    """A table of twelve parts to learn and the test pictures with these labels; files stay what they are."""
    with (folder / "parts.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "split"])
        writer.writerows([picture(folder / f"train{n:02}.png", seed=n).name, "good", "train"] for n in range(12))
        writer.writerows([name, label, "test"] for name, label in labels.items())


def drawn(folder: Path) -> dict[str, str]:
    """Test pictures with their true labels, a few of which have a spot."""
    labels = {f"test{n}.png": "spot" if n % 3 == 0 else "stain" if n % 3 == 1 else "good" for n in range(9)}
    for n, (name, label) in enumerate(labels.items()):
        picture(folder / name, seed=100 + n, spot=label != "good")
    return labels


@pytest.mark.parametrize(
    ("method", "shots"),
    [("winclip", "0"), *((name, k) for name in ("winclip", "patchcore", "anomaly-dino") for k in ("4", '"all"'))],
)
def test_shuffling_the_labels_of_the_test_split_changes_no_threshold_and_no_verdict(
    tmp_path: Path, method: str, shots: str
) -> None:
    sizes = {"winclip": "", "patchcore": "ratio = 0.5", "anomaly-dino": "image_size = 64, turns = 1"}
    text = (
        TABLE.replace('"patchcore"', f'"{method}"').replace("ratio = 0.5", sizes[method]).replace("[2]", f"[{shots}]")
    )
    labels = drawn(tmp_path)
    shuffled = list(labels.values())
    random.Random(1).shuffle(shuffled)
    assert shuffled != list(labels.values())
    found: list[tuple[Any, Any, Any]] = []
    for each in (labels, dict(zip(labels, shuffled, strict=True))):
        table_of(tmp_path, each)
        outcome, lines = measure(one(tmp_path, text))
        said = {line["path"]: (line["score"], line["verdict"]) for line in lines}
        found.append((outcome["threshold"], said, (outcome["image_auroc"]["value"], outcome["escape"]["value"])))
    assert found[0][0] is not None
    assert {verdict for _, verdict in found[0][1].values()} == {"accept", "reject"}
    assert found[0][:2] == found[1][:2]
    assert found[0][2] != found[1][2]  # the labels do count where they should: in what is measured


def test_memory_is_what_the_process_has_held() -> None:
    peak = peak_memory()
    assert peak is None or 1 << 24 < peak < 1 << 40


def test_every_value_can_be_written_as_json(tmp_path: Path) -> None:
    import json

    plan = trials(read(plan_file(data_set(tmp_path, "bolt"))))[0]
    found = here(plan)
    assert isinstance(found, Measured)
    assert json.loads(json.dumps(found.outcome, allow_nan=False)) == found.outcome
