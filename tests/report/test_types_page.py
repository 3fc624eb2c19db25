"""The page of how well types are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tests.support.defects import TYPES, draw_defects
from tests.support.pages import Page, result

from blemish import catalog
from blemish.classification.explain import ATTENTION, explain_picture
from blemish.cli.main import main
from blemish.encoders import TINY
from blemish.images import Region, read
from blemish.report import About, Writer
from blemish.report.pictures import split_map
from blemish.runs.decision import Decided
from blemish.types import TypedExamples


def run(*arguments: str | Path, status: int = 0) -> str:
    found = CliRunner().invoke(main, [str(each) for each in arguments])
    assert found.exit_code == status, found.output
    return found.output


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_defects(tmp_path_factory.mktemp("named"), 6)


def larges(page: Page) -> list[dict[str, Any]]:
    return [json.loads(text) for name, text in page.texts.items() if name.startswith("large-")]


@pytest.mark.parametrize("of", ["pictures", "defects"])
def test_the_worst_named_come_first_with_what_spoke_for_each_type(root: Path, tmp_path: Path, of: str) -> None:
    path = tmp_path / "page.html"
    task = ("--task", "types", "--shots", "2", "--of", of, "--encoder", TINY)
    said = run("evaluate", root, *task, "--report", path, "--json")
    page, measured = Page(path), json.loads(said[said.index("{") :].splitlines()[0])
    assert page.about["task"] == "types"
    assert page.about["measures"]["naming"]["accuracy"] == measured["accuracy"]
    assert page.about["measures"]["naming"]["confusion"] == measured["confusion"]
    scores = [item["score"] for item in page.items]
    assert len(scores) == measured["defects"] == 9
    assert scores == sorted(scores, reverse=True)
    for item in page.items:
        (region,) = item["regions"]
        assert item["score"] == pytest.approx(1 - region["likeliest"][item["label"]], abs=1e-4)
        assert (item.get("mistake") == "misnamed") == (item["type"] != item["label"])
        assert ("box" in region) == (of == "defects")
    for large in larges(page):
        assert {each["name"] for each in large["maps"]} == set(TYPES)
        assert large["truth"]


def test_each_type_that_is_held_out_has_a_page(root: Path, tmp_path: Path) -> None:
    run(
        "evaluate", root, "--task", "types", "--hold-out", "each", "--encoder", TINY, "--report", tmp_path / "page.html"
    )
    for name in TYPES:
        items = Page(tmp_path / f"page-{name}.html").items
        for item in (each for each in items if each["label"] == name):
            assert ("mistake" in item) == (item["type"] != "unknown")


def test_a_recipe_has_a_page_of_its_names(root: Path, tmp_path: Path) -> None:
    recipe, path, new = tmp_path / "types.blemish", tmp_path / "page.html", tmp_path / "new"
    draw_defects(new, 2, first=50)
    run("classify", root / "images" / TYPES[0], "--examples", root / "images", "--save", recipe, "--encoder", TINY)
    run("evaluate", new, "--task", "types", "--recipe", recipe, "--report", path)
    page = Page(path)
    assert len(page.items) == 6
    assert {each["kind"] for each in page.about["taught"]} == set(TYPES)
    assert page.about["recipe"]["hash"]


def test_what_cannot_be_written_is_refused_before_the_work(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    task = ("evaluate", root, "--task", "types", "--encoder", TINY)
    said = run(*task, "--report", tmp_path / "file" / "page.html", status=1)
    assert "naming" not in said
    assert "file" in said


def taught(name: str, root: Path, **arguments: Any) -> Any:
    classifier = catalog.classifier(name, TINY, list(TYPES), arguments)
    images = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    seen = classifier.look(images)[:, None]
    classifier.fit(TypedExamples(seen, torch.eye(3, dtype=torch.bool).repeat(2, 1)))
    return classifier


def test_an_explanation_lies_on_the_picture_and_of_a_region_inside_it(root: Path) -> None:
    picture, classifier = read(next((root / "images" / TYPES[1]).iterdir())), taught("ridge", root)
    wide = np.concatenate([picture, picture], -1)
    found = explain_picture(classifier, wide)
    assert set(found) == set(TYPES)
    assert {each.shape for each in found.values()} == {wide.shape[-2:]}
    assert max(float(each.max()) for each in found.values()) <= 1
    box = explain_picture(classifier, wide, Region(0, 0, 32, 64))
    assert all(float(each[:, 80:].max()) == 0 for each in box.values())
    assert max(float(each[:, :32].max()) for each in box.values()) > 0.5


def test_of_a_classifier_that_looks_at_crops_the_attention_is_shown(root: Path) -> None:
    picture, classifier = read(next((root / "images" / TYPES[1]).iterdir())), taught("mvrec", root, sizes=[24, 32])
    found = explain_picture(classifier, picture)
    assert set(found) == {ATTENTION}
    assert found[ATTENTION].shape == picture.shape[-2:]
    assert float(found[ATTENTION].max()) == pytest.approx(1, abs=0.2)


def test_the_map_of_a_type_is_that_of_all_where_that_type_is(tmp_path: Path) -> None:
    found = result(0)
    kinds = np.full((48, 64), -1, np.int16)
    kinds[8:20, 30:37], kinds[8:20, 37:44] = 0, 1
    split = split_map(found.anomaly_map, kinds, ("dent", "crack", "stain"))
    assert list(split) == ["dent", "crack"]
    assert np.array_equal(split["dent"][8:20, 30:37], found.anomaly_map[8:20, 30:37])
    assert np.isnan(split["dent"][kinds != 0]).all()
    assert split_map(found.anomaly_map, None, ("dent",)) == {}
    path = tmp_path / "page.html"
    with Writer(path, About("part")) as writer:
        writer.add(Decided(found._replace(type_map=kinds), known=("dent", "crack", "stain")))
        writer.finish()
    (large,) = larges(Page(path))
    assert [each["name"] for each in large["maps"]] == ["dent", "crack"]
    lowest = float(found.anomaly_map.min())  # where another type is or none, there is no heat
    assert [each["heat"][0] for each in large["maps"]] == pytest.approx([lowest, lowest])


def test_pictures_of_several_types_are_on_the_page_with_all_of_them(root: Path, tmp_path: Path) -> None:
    for number in range(6):
        for kind in TYPES[:2]:
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            both = [np.asarray(Image.open(root / f"images/{each}/{each[:3]}{number}.png")) for each in TYPES[:2]]
            Image.fromarray(np.minimum(*both)).save(tmp_path / "data" / kind / f"both{number}.png")
            name = f"{kind[:3]}{number}.png"
            (tmp_path / "data" / kind / name).write_bytes((root / "images" / kind / name).read_bytes())
    run("evaluate", tmp_path / "data", "--task", "types", "--report", tmp_path / "page.html", "--encoder", TINY)
    page = Page(tmp_path / "page.html")
    assert "names" not in page.about["measures"]["naming"]
    assert {item["label"] for item in page.items} == {*TYPES[:2], "+".join(TYPES[:2])}
    for item in page.items:
        assert ("mistake" in item) == ({*item["label"].split("+")} != {*item["type"].split("+")})
