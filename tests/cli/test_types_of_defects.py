"""`blemish evaluate --task types` through its door."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from blemish.cli.main import main
from blemish.encoders import TINY

KINDS = {"dark spot": (0, 1), "bright line": (1, 0), "red tint": (2, 0)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a class, of 8 drawn pictures each, with masks."""
    folder = tmp_path_factory.mktemp("types")
    generator = np.random.default_rng(0)
    for kind in KINDS:
        (folder / "images" / kind).mkdir(parents=True)
        (folder / "masks" / kind).mkdir(parents=True)
        for number in range(8):
            image, mask = generator.normal(128, 8, (64, 64, 3)), np.zeros((64, 64), np.uint8)
            x, y = generator.integers(8, 40, 2)
            place = (slice(y, y + 14), slice(x, x + 14)) if kind == "dark spot" else (slice(y, y + 3), slice(None))
            mask[place] = 255
            if kind == "red tint":
                mask[:] = 255
                image[..., 0] += 60
            else:
                image[place] = 10 if kind == "dark spot" else 245
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / kind / f"{number}.png")
            Image.fromarray(mask).save(folder / "masks" / kind / f"{number}.png")
    return folder


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["evaluate", *arguments, "--task", "types", "--encoder", TINY])
    return found.exit_code, found.stdout if "--json" in arguments and not found.exit_code else found.output


@pytest.mark.parametrize("classifier", ["ridge", "mvrec"])
@pytest.mark.parametrize("of", ["pictures", "defects"])
def test_types_are_told_apart_and_measured_with_intervals(root: Path, of: str, classifier: str) -> None:
    sizes = ["--set", "sizes=[24,32]"] if classifier == "mvrec" else []
    status, said = run(str(root), "--shots", "3", "--of", of, "--classifier", classifier, *sizes, "--json")
    found = json.loads(said)
    assert status == 0
    assert found["accuracy"]["value"] > (0.6 if classifier == "mvrec" else 0.7)  # of three, by a random encoder
    assert set(found["balanced_accuracy"]) == {"value", "low", "high"}
    assert found["learned"] == dict.fromkeys(sorted(KINDS), 3)
    assert found["defects"] == 12


def test_grades_have_a_quadratic_kappa(root: Path) -> None:
    order = '["bright line","red tint","dark spot"]'
    status, said = run(str(root), "--classifier", "rebar", "--set", f"order={order}", "--json")
    assert status == 0, said
    assert json.loads(said)["quadratic_kappa"]["value"] > 0.5
    assert json.loads(run(str(root), "--json")[1])["quadratic_kappa"] is None


def test_a_type_that_was_not_learned_is_measured_as_unknown(root: Path) -> None:
    status, said = run(str(root), "--hold-out", "each", "--json")
    found = json.loads(said)
    assert status == 0
    assert set(found["held_out"]) == set(KINDS)
    values = [each["unknown_auroc"]["value"] for each in found["held_out"].values()]
    assert found["unknown_auroc"] == pytest.approx(np.mean(values))


def test_the_table_says_what_was_learned(root: Path) -> None:
    status, said = run(str(root), "--shots", "all", "--classifier", "nearest")
    assert status == 0
    assert "learned: bright line 4, dark spot 4, red tint 4; measured on 12" in said
    assert "macro_f1" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--classifier", "no"], "no classifier 'no': choose from"),
        (["--shots", "0"], "ridge learns from examples"),
        (["--hold-out", "dent"], "'dent' is no type here: choose one of bright line, dark spot, red tint"),
        (["--shots", "few"], "'few' is not a valid integer range"),
        (["--split", "train"], "--split does not go with --task types"),
        (["--set", "colour=1"], "ridge takes no colour"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(root: Path, arguments: list[str], sentence: str) -> None:
    status, said = run(str(root), *arguments)
    assert status in (1, 2)
    assert sentence in said


def test_an_option_of_types_alone_is_refused_without_them(root: Path) -> None:
    found = CliRunner().invoke(main, ["evaluate", str(root), "--classifier", "nearest"])
    assert found.exit_code == 2
    assert "--classifier goes with --task types" in found.output


def test_one_name_in_two_spellings_is_refused(root: Path, tmp_path: Path) -> None:
    for name in ("dark_spot", "Dark Spot"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes((root / "images" / "dark spot" / "1.png").read_bytes())
    status, said = run(str(tmp_path))
    assert status == 1
    assert "one type in two spellings" in said


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((" ", "red"), "is of ' ', which names no type: give it a name with letters"),
        (("unknown", "red"), "'unknown' is no type of defect here"),
        (("caf\u00e9", "cafe\u0301"), "one type in two spellings"),
    ],
)
def test_a_folder_that_names_no_type_is_refused(
    root: Path, tmp_path: Path, names: tuple[str, ...], sentence: str
) -> None:
    for name, kind in zip(names, KINDS, strict=False):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}.png").write_bytes((root / "images" / kind / f"{number}.png").read_bytes())
    status, said = run(str(tmp_path))
    assert status == 1
    assert sentence in said


def copied(root: Path, folder: Path, counts: dict[str, int]) -> Path:
    """So many pictures of each type, with their masks."""
    for kind, count in counts.items():
        for part in ("images", "masks"):
            (folder / part / kind).mkdir(parents=True)
            for number in range(count):
                where = folder / part / kind / f"{number}.png"
                where.write_bytes((root / part / kind / f"{number}.png").read_bytes())
    return folder


def test_one_picture_of_a_type_teaches_and_nothing_of_it_is_measured(root: Path, tmp_path: Path) -> None:
    status, said = run(str(copied(root, tmp_path, {"dark spot": 1, "red tint": 8})), "--json")
    found = json.loads(said)
    assert status == 0
    assert found["learned"] == {"dark spot": 1, "red tint": 4}
    assert found["defects"] == 4


def test_a_type_of_which_no_picture_can_be_read_is_named(root: Path, tmp_path: Path) -> None:
    folder = copied(root, tmp_path, {"dark spot": 1, "bright line": 4, "red tint": 4})
    (folder / "images" / "dark spot" / "0.png").write_bytes(b"no picture")
    status, said = run(str(folder))
    assert status == 1
    where = folder / "images" / "dark spot" / "0.png"
    why = f"(1 picture cannot be read, such as {where})"
    assert f"there is no example of dark spot {why}: show one, or leave the type out" in said


def test_an_empty_folder_is_no_type(root: Path, tmp_path: Path) -> None:
    folder = copied(root, tmp_path, {"dark spot": 4, "bright line": 0, "red tint": 4})
    status, said = run(str(folder), "--json")
    assert status == 0
    assert json.loads(said)["learned"] == {"dark spot": 2, "red tint": 2}
    empty = folder / "images" / "bright line"
    (note,) = json.loads(said)["notes"]
    assert note == f"{empty} is empty, so bright line is no type here: put pictures into it, or remove it"


def test_a_mask_of_another_size_is_named_with_its_picture(root: Path, tmp_path: Path) -> None:
    folder = copied(root, tmp_path, {"dark spot": 4, "red tint": 4})
    mask = folder / "masks" / "dark spot" / "2.png"
    Image.fromarray(np.full((20, 30), 255, np.uint8)).save(mask)
    status, said = run(str(folder), "--of", "defects")
    assert status == 1
    assert str(mask) in said
    assert "30 x 20" in said
    assert "64 x 64" in said


def test_a_picture_without_a_mask_has_no_defect_to_name_and_that_is_said(root: Path, tmp_path: Path) -> None:
    folder = copied(root, tmp_path, {"dark spot": 5, "red tint": 4})
    (folder / "masks" / "dark spot" / "3.png").unlink()
    status, said = run(str(folder), "--of", "defects", "--json")
    found = json.loads(said)
    assert status == 0
    assert sum(found["learned"].values()) + found["defects"] == 8
    assert any("3.png has no mask, so no defect of it is looked at" in note for note in found["notes"])


@pytest.fixture(scope="module")
def several(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn pictures, in the folder of each type that they have: half of them have two."""
    folder = tmp_path_factory.mktemp("several")
    for kind in KINDS:
        (folder / kind).mkdir()
    for number in range(8):
        dark, line, red = (np.asarray(Image.open(root / "images" / k / f"{number}.png")).astype(int) for k in KINDS)
        both = dark + np.array([60, 0, 0])
        for kinds, pixels in ((["dark spot"], dark), (["bright line"], line), (["dark spot", "red tint"], both),
                              (["red tint"], red)):  # fmt: skip
            for kind in kinds:
                picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                picture.save(folder / kind / f"{number} {' '.join(kinds)}.png")
    return folder


def test_a_picture_in_the_folders_of_two_types_has_both(several: Path) -> None:
    status, said = run(str(several), "--json")
    found = json.loads(said)
    assert status == 0
    assert found["defects"] == 16
    assert found["notes"] == [
        f"8 pictures of several types, such as {several / 'dark spot' / '0 dark spot red tint.png'} "
        "(dark spot and red tint): each type is decided by itself"
    ]
    assert {name: each["defects"] for name, each in found["types"].items()}["bright line"] == 4
    assert sum(each["defects"] for each in found["types"].values()) > 16
    assert found["mean_average_precision"]["value"] > 0.7
    assert {"accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "coverage", "calibration_error"} <= set(found)


def test_examples_of_several_types_teach_each_of_them(several: Path, tmp_path: Path) -> None:
    words = ["classify", str(several / "dark spot"), "--examples", str(several), "--save", str(tmp_path / "a.blemish")]
    found = CliRunner().invoke(main, [*words, "--encoder", TINY, "--json"])
    assert found.exit_code == 0, found.output
    said = {Path(line["path"]).stem[2:]: line["type"] for line in map(json.loads, found.stdout.splitlines())}
    assert said == {"dark spot": "dark spot", "dark spot red tint": "dark spot+red tint"}
    assert found.stderr.count("each type is decided by itself") == 1
    again = CliRunner().invoke(main, [*words[:2], "--recipe", words[-1], "--json"])
    assert again.stdout == found.stdout


def test_a_table_may_name_several_types_and_one_may_be_held_out(several: Path, tmp_path: Path) -> None:
    rows = {path: ";".join(kind for kind in KINDS if kind in path.stem) for path in sorted(several.glob("*/*.png"))}
    once = {path.name: (path, label) for path, label in rows.items()}
    table = tmp_path / "table.csv"
    table.write_text("image,label\n" + "".join(f"{path},{label}\n" for path, label in once.values()))
    status, said = run(str(table), "--hold-out", "red tint", "--json")
    found = json.loads(said)
    assert status == 0
    assert set(found["types"]) == {"dark spot", "bright line"}
    assert found["unknown_auroc"] is not None
    status, said = run(str(table))
    assert status == 0
    assert "average precision" in said
    status, said = run(str(table), "--classifier", "rebar")
    assert status == 1
    assert "rebar names one type of each picture, and some have several" in said
    status, said = run(str(table), "--of", "defects")
    assert status == 1
    assert "leave out --of defects" in said


def test_one_picture_of_each_type_is_refused_in_one_sentence(root: Path, tmp_path: Path) -> None:
    status, said = run(str(copied(root, tmp_path, {"dark spot": 1, "red tint": 1})))
    assert status == 1
    assert said.count("give two") == 1
    assert "note:" not in said


def test_a_type_with_one_picture_is_said_to_be_untested(root: Path, tmp_path: Path) -> None:
    status, said = run(str(copied(root, tmp_path, {"dark spot": 1, "red tint": 8})))
    assert status == 0
    assert said.count("note: dark spot: its only picture may teach, so nothing of it is tested: give two at least") == 1
