"""A recipe that names defects, from training on labels of several kinds to its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest
import torch
from click.testing import CliRunner, Result
from tests.support.parts import mask, part

from blemish import encoders
from blemish.blocks.prompts import defect_prototypes
from blemish.cli.main import main
from blemish.detectors.clip_mdc import CLIPMDC
from blemish.errors import BadInput
from blemish.recipes.detectors import detector
from blemish.recipes.recipe import load, save
from blemish.recipes.update import freeze_detector
from blemish.types import TextEncoder

PARITY = Path(__file__).parents[1] / "parity/encoders"
SMALL = ("--encoder", "test-tiny", "--batch-size", "6", "--device", "cpu", "--augment", "cutpaste")
QUICK = (*SMALL, *(word for each in ("image_size=64", "width=16", "sigma=1") for word in ("--set", each)))


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def passed(*words: str | Path) -> Result:
    result = run(*words)
    assert result.exit_code in (0, 10, 11), result.output + result.stderr
    return result


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Good parts, and orange spots, of which some have a mask."""
    lines = ["image,label,mask,split"]
    for at in range(12):
        split, spot = ("train", "test")[at % 2], (10 + 3 * at, 40 - 2 * at)
        part(tmp_path / split / f"good/{at}.png", at)
        part(tmp_path / split / f"bad/{at}.png", 50 + at, spot=spot)
        mask(tmp_path / f"mask{at}.png", spot)
        known = f"mask{at}.png" if at % 4 < 2 else ""
        lines += [f"{split}/good/{at}.png,good,,{split}", f"{split}/bad/{at}.png,orange_spot,{known},{split}"]
    (tmp_path / "parts.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "parts.csv"


def test_a_recipe_learns_types_from_labels_with_masks_or_without_and_names_regions(table: Path, tmp_path: Path) -> None:
    recipe, out, page = tmp_path / "a.blemish", tmp_path / "out", tmp_path / "page.html"
    words: tuple[str | Path, ...] = (
        "train",
        "clip-mdc",
        *QUICK,
        table,
        "--product",
        "cap",
        "--steps",
        "40",
        "--rate",
        "0.005",
    )
    result = passed(*words, "--out", recipe)
    assert "learning from 6 good parts and 6 with defects" in result.stderr
    assert load(recipe).arguments["defects"] == ["orange_spot"]
    passed("inspect", tmp_path / "test/bad", "--recipe", recipe, "--out", tmp_path / "undecided")
    undecided = [json.loads(line) for line in (tmp_path / "undecided/results.jsonl").read_text().splitlines()]
    assert [line["types"] for line in undecided] == [["orange_spot"]] * 6
    passed("calibrate", recipe, "--good", tmp_path / "test/good", "--every-picture")
    passed("inspect", tmp_path / "test/bad", "--recipe", recipe, "--out", out, "--report", page)
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    said = [region["sentence"] for line in lines for region in line["regions"]]
    assert any(sentence.startswith("cap with orange spot: ") for sentence in said)
    assert "cap with orange spot: " in page.read_text(encoding="utf-8")
    found = json.loads(passed("evaluate", table, "--recipe", recipe, "--json").stdout)
    assert found["naming"]["accuracy"]["value"] == 1
    assert found["naming"]["found_and_named"]["value"] == 1
    assert found["naming"]["joint_macro_f1"]["value"] > 0.9  # one good part in twelve is rejected
    assert "found_and_named" in passed("evaluate", table, "--recipe", recipe).output


def test_words_may_be_given_for_types_and_for_one_that_has_no_label(table: Path, tmp_path: Path) -> None:
    command: tuple[str | Path, ...] = (
        "train",
        "clip-mdc",
        *QUICK,
        table,
        "--steps",
        "1",
        "--out",
        tmp_path / "a.blemish",
    )
    passed(*command, "--set", 'defects={"orange_spot": "spot", "B7": "crack"}')
    found = detector(load(tmp_path / "a.blemish"))
    assert found.types == ("B7", "orange_spot")  # type: ignore[attr-defined]
    reader = cast(TextEncoder, encoders.load("test-tiny"))
    words = [defect_prototypes(reader, "object", [each])[0] for each in ("crack", "spot")]
    torch.testing.assert_close(found.texts[1:], torch.stack(words))  # type: ignore[attr-defined]
    assert found.type_prompts["B7"] == "object with crack"  # type: ignore[attr-defined]


def test_a_light_backbone_is_combined_with_an_encoder_that_reads(tmp_path: Path) -> None:
    light = next(PARITY.glob("timm_resnet*/*model*.safetensors"))
    with pytest.raises(BadInput, match="reads no sentences"):
        CLIPMDC(str(light), image_size=64)
    made = CLIPMDC(str(light), text="test-tiny", defects=["hole"], image_size=64, width=16)
    made.updates.add()
    arguments = {"defects": ["hole"], "image_size": 64, "width": 16, "text": "test-tiny"}
    recipe = freeze_detector(made, "clip-mdc", arguments=arguments)
    assert set(recipe.encoders) == {"encoder", "text"}
    save(recipe, tmp_path / "a.blemish")
    again, image = detector(load(tmp_path / "a.blemish")), torch.rand(1, 3, 64, 64)
    assert torch.equal(again(image).anomaly_map, made(image).anomaly_map)
    assert made.text is not None
    assert made.text.sha256 == encoders.load("test-tiny").sha256
