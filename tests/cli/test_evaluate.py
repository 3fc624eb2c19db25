from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tests.cli.test_inspect import picture, run

from blemish.cli.main import main

METRICS = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")
QUICK = ["--encoder", "test-tiny", "--method", "patchcore", "--set", "ratio=0.5"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return category(tmp_path / "steel_plate")


def category(folder: Path) -> Path:
    for number in range(6):
        picture(folder / "train" / "good" / f"{number}.png", seed=number)
    for number in range(4):
        picture(folder / "test" / "good" / f"{number}.png", seed=30 + number)
        picture(folder / "test" / "spot" / f"{number}.png", seed=50 + number, spot=True)
        mask = np.zeros((64, 64), np.uint8)
        mask[24:40, 24:40] = 255
        target = folder / "ground_truth" / "spot" / f"{number}_mask.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)
    return folder


def test_json_holds_every_metric_with_its_interval(root: Path) -> None:
    result = run("evaluate", root, "--layout", "mvtec", "--shots", 4, "--seed", 1, *QUICK, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    for metric in METRICS:
        assert 0 <= report[metric]["low"] <= report[metric]["value"] <= report[metric]["high"] <= 1
    assert report["image_auroc"]["value"] == 1.0
    assert report["pixel_auroc"]["value"] > 0.9
    assert (report["n_normal"], report["n_anomalous"], report["shots"], report["seed"]) == (4, 4, 4, 1)
    assert (report["method"], report["encoder"]) == ("patchcore", "test-tiny")
    assert report["seconds_per_image"] > 0


def test_each_type_of_defect_is_measured_on_its_own(root: Path) -> None:
    for number in (2, 3):
        for place, name in (("test", f"{number}.png"), ("ground_truth", f"{number}_mask.png")):
            (root / place / "scratch").mkdir(exist_ok=True)
            (root / place / "spot" / name).rename(root / place / "scratch" / name)
    report = json.loads(run("evaluate", root, *QUICK, "--json").stdout)
    assert sorted(report["types"]) == ["scratch", "spot"]
    for found in report["types"].values():
        assert set(found) == {*METRICS, "n_normal", "n_anomalous"}
        assert (found["n_normal"], found["n_anomalous"]) == (4, 2)
        assert found["image_auroc"]["value"] == 1.0
    shown = run("evaluate", root, *QUICK).stdout
    assert "defects alone" in shown
    assert "scratch" in shown


def test_masks_of_defects_that_are_black_are_said_in_one_line(root: Path) -> None:
    for number in range(3):
        Image.new("L", (64, 64)).save(root / f"ground_truth/spot/{number}_mask.png")
    result = run("evaluate", root, *QUICK, "--json")
    (said,) = [note for note in json.loads(result.stdout)["notes"] if "black everywhere" in note]
    assert said.startswith(f"{root / 'ground_truth/spot/0_mask.png'} is black everywhere, so it marks no defect")
    assert said.endswith("(and 2 more)")
    assert said in result.stderr


def test_lists_are_plain_lines_of_a_usual_width() -> None:
    for what in ("methods", "layouts", "encoders"):
        lines = CliRunner().invoke(main, ["list", what]).stdout.splitlines()
        assert max(map(len, lines)) <= 150, max(lines, key=len)
        assert not any(line.endswith(" ") for line in lines)


def test_without_masks_pixel_metrics_are_null(root: Path) -> None:
    for mask in (root / "ground_truth" / "spot").iterdir():
        mask.unlink()
    (root / "ground_truth" / "spot").rmdir()
    (root / "ground_truth").rmdir()
    report = json.loads(run("evaluate", root, "--layout", "mvtec", *QUICK, "--json").stdout)
    assert report["pixel_auroc"] is None
    assert report["aupro"] is None
    assert report["image_auroc"]["value"] == 1.0


def test_all_good_parts_are_learned_when_no_number_is_given(root: Path) -> None:
    assert json.loads(run("evaluate", root, *QUICK, "--json").stdout)["shots"] == 6


def test_without_good_parts_words_decide(root: Path) -> None:
    report = json.loads(run("evaluate", root, "--shots", 0, "--encoder", "test-tiny", "--json").stdout)
    assert (report["method"], report["shots"]) == ("winclip", 0)


def test_the_same_seed_gives_the_same_report(root: Path) -> None:
    reports = [json.loads(run("evaluate", root, "--shots", 2, *QUICK, "--json").stdout) for _ in range(2)]
    for report in reports:
        del report["seconds_per_image"]
    assert reports[0] == reports[1]


def test_every_category_is_reported_unless_one_is_named(tmp_path: Path) -> None:
    for name in ("bolt", "nut"):
        category(tmp_path / name)
    every = json.loads(run("evaluate", tmp_path, "--layout", "mvtec", *QUICK, "--json").stdout)
    assert sorted(every["categories"]) == ["bolt", "nut"]
    one = json.loads(run("evaluate", tmp_path, "--layout", "mvtec", "--category", "nut", *QUICK, "--json").stdout)
    assert one["image_auroc"] == every["categories"]["nut"]["image_auroc"]
    values = [every["categories"][name]["pixel_ap"]["value"] for name in ("bolt", "nut")]
    assert every["mean"]["pixel_ap"] == pytest.approx(sum(values) / 2)
    assert every["failed"] == {}
    assert "mean of 2 categories" in run("evaluate", tmp_path, "--layout", "mvtec", *QUICK).stdout


def test_pages_of_several_categories_are_named_and_are_there(tmp_path: Path) -> None:
    lines = ["image,label,split,category"]
    for name in ("bolt", "nut/m4"):
        home = category(tmp_path / name)
        for path in sorted(home.glob("t*/*/*.png")):
            split, label = path.parts[-3:-1]
            lines.append(f"{path.relative_to(tmp_path)},{label},{split},{name}")
    (tmp_path / "parts.csv").write_text("\n".join(lines), encoding="utf-8")
    page = tmp_path / "page.html"
    result = run("evaluate", tmp_path / "parts.csv", "--report", page, *QUICK)
    assert result.exit_code == 0, result.output
    named = [line.removeprefix("report: ") for line in result.stdout.splitlines() if line.startswith("report: ")]
    assert named == [str(tmp_path / "page-bolt.html"), str(tmp_path / "page-nut%2Fm4.html")]
    assert all(Path(name).is_file() for name in named)
    assert not page.exists()


def test_a_category_that_fails_does_not_cost_the_others(tmp_path: Path) -> None:
    for name in ("bolt", "nut"):
        category(tmp_path / name)
    for path in (tmp_path / "bolt" / "train" / "good").iterdir():
        path.write_bytes(b"GIF89a")
    result = run("evaluate", tmp_path, "--layout", "mvtec", *QUICK, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert list(found["categories"]) == ["nut"]
    assert found["mean"]["image_auroc"] == found["categories"]["nut"]["image_auroc"]["value"]
    assert list(found["failed"]) == ["bolt"]
    assert "bolt: " in result.stderr


def test_the_table_shows_metrics_for_people(root: Path) -> None:
    output = run("evaluate", root, *QUICK).stdout
    assert "4 good, 4 anomalous, 6 good parts learned" in output
    assert all(metric in output for metric in METRICS)


def test_a_broken_test_picture_is_listed_and_the_rest_measured(root: Path) -> None:
    (root / "test" / "good" / "0.png").write_bytes(b"GIF89a")
    result = run("evaluate", root, *QUICK, "--json")
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert report["n_normal"] == 3
    assert report["unreadable"][0]["path"].endswith("0.png")


def test_a_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    result = run("evaluate", tmp_path, "--layout", "visa", *QUICK)
    assert result.exit_code == 1
    assert "visa" in result.stderr


@pytest.mark.parametrize(
    ("what", "name"), [("methods", "winclip"), ("encoders", "ViT-B-16-plus-240"), ("layouts", "visa")]
)
def test_list_shows_what_there_is(what: str, name: str) -> None:
    result = CliRunner().invoke(main, ["list", what])
    assert result.exit_code == 0
    assert name in result.stdout
