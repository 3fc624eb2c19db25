"""What is wrong in labels is listed, the picture left out whole; what is no labels at all is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.cli.test_inspect import run as command
from tests.support.annotated import CRACK, HEIGHT, WIDTH, picture

from blemish.formats import READ

BOW = [[10, 10], [30, 30], [30, 10], [10, 30]]
FLAT_BOW = [value for point in BOW for value in point]
TEXT = "<annotations><meta><task><labels><label><name>crack</name></label></labels></task></meta>{}</annotations>"


def coco(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    flat = [value for point in CRACK for value in point]
    whole: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for n in (1, 2)],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [flat], "bbox": [10, 10, 20, 30]}],
        "categories": [{"id": 1, "name": "crack"}],
    }
    for number in (1, 2):
        picture(folder / f"{number}.png", number)
    change(whole)
    file = folder / "labels.json"
    file.write_text(json.dumps(whole))
    return file


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "outside": (
        lambda w: w["annotations"][0].update(segmentation=[], bbox=[70, 50, 40, 40]),
        "a region reaches beyond its picture",
    ),
    "empty": (lambda w: w["annotations"][0].update(segmentation=[], bbox=[7, 5, 0, 4]), "a region has no area"),
    "class": (lambda w: w["annotations"][0].update(category_id=9), "the category of an annotation is not listed"),
    "image": (lambda w: w["images"].append(w["images"][0]), "another image has the same id"),
    "annotation": (lambda w: w["annotations"].append(w["annotations"][0]), "two annotations have the same id"),
    "crossing": (lambda w: w["annotations"][0].update(segmentation=[FLAT_BOW]), "a polygon crosses itself"),
    "missing": (lambda w: w["images"][0].update(file_name="gone.png"), "a picture is missing"),
    "size": (lambda w: w["images"][0].update(width=81), "a picture has another size than its labels say"),
    "lost": (lambda w: w["annotations"][0].update(image_id=7), "an annotation is of an image that is not listed"),
    "shape": (lambda w: w["annotations"][0].update(segmentation=[[1, 2]]), "a segmentation is no polygon and no mask"),
    "nothing": (lambda w: w["annotations"][0].pop("id"), "an annotation has no id or no image_id"),
    "names": (
        lambda w: w["categories"].append({"id": 1, "name": "dent"}),
        "the category of an annotation has two names",
    ),
    "box": (
        lambda w: w["annotations"][0].update(bbox=[70, 50, 40, 40]),
        "the box of a polygon reaches beyond its picture",
    ),
    "list": (lambda w: w["annotations"][0].update(category_id=[1]), "the category of an annotation is not listed"),
    "large": (lambda w: w["annotations"][0].update(id=1 << 70), "an annotation has no id or no image_id"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_listed_and_its_picture_left_out(case: str, tmp_path: Path) -> None:
    change, said = WRONG[case]
    out = tmp_path / "out"
    result = command("convert", coco(tmp_path, change), "--from", "coco", "--out", out)
    assert result.exit_code == 3, result.output
    listed = [json.loads(line) for line in (out / "left-out.jsonl").read_text().splitlines()]
    assert said in [each["kind"] for each in listed]
    assert f"left out: {said}" in result.stderr
    left = {path.name for path in (out / "good").glob("*")} | {path.name for path in (out / "crack").glob("*")}
    assert left <= {"1.png", "2.png"}
    if case != "lost":
        assert not (out / "good" / "1.png").exists()  # a defect without its region would teach as good


def test_coco_without_annotations_is_refused_and_with_none_is_read(tmp_path: Path) -> None:
    labels = coco(tmp_path, lambda w: w.pop("annotations"))
    result = command("convert", labels, "--from", "coco", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert f"{labels} is no file of COCO" in result.output
    labels = coco(tmp_path, lambda w: w.update(annotations=[]))
    assert "good 2" in command("convert", labels, "--from", "coco", "--out", tmp_path / "other").output


def kinds(out: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in (out / "left-out.jsonl").read_text().splitlines()]


def test_of_two_annotations_with_one_id_the_pictures_of_both_are_left_out(tmp_path: Path) -> None:
    def change(whole: dict[str, Any]) -> None:
        whole["images"].append({"id": 3, "file_name": "3.png", "width": WIDTH, "height": HEIGHT})
        whole["annotations"].append(whole["annotations"][0] | {"image_id": 2})
        whole["annotations"].append(whole["annotations"][0] | {"image_id": 9})

    picture(tmp_path / "3.png", 3)
    result = command("convert", coco(tmp_path, change), "--from", "coco", "--out", tmp_path / "out")
    assert result.exit_code == 3, result.output
    assert kinds(tmp_path / "out") == ["two annotations have the same id"] * 4
    assert [path.name for path in (tmp_path / "out" / "good").iterdir()] == ["3.png"]


def test_a_category_that_is_listed_twice_by_one_name_is_told_and_taken(tmp_path: Path) -> None:
    labels = coco(tmp_path, lambda w: w["categories"].append(w["categories"][0]))
    result = command("convert", labels, "--from", "coco", "--out", tmp_path / "out")
    assert (result.exit_code, kinds(tmp_path / "out")) == (3, ["two categories have the same id"])
    assert "crack 1, good 1" in result.output


def test_pictures_of_yolo_lie_beside_their_labels(tmp_path: Path) -> None:
    result = command("convert", tmp_path, "--from", "yolo", "--images", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert f"put a link to {tmp_path} there" in " ".join(result.output.split())


def test_a_picture_with_defects_of_two_types_is_in_both_folders_with_the_mask_of_each(tmp_path: Path) -> None:
    def change(whole: dict[str, Any]) -> None:
        whole["categories"].append({"id": 2, "name": "dent"})
        box = {"id": 2, "image_id": 1, "category_id": 2, "bbox": [50, 5, 4, 6]}
        whole["annotations"].append(box)

    out = tmp_path / "out"
    result = command("convert", coco(tmp_path, change), "--from", "coco", "--out", out)
    assert result.exit_code == 0, result.output
    assert (out / "crack/1.png").read_bytes() == (tmp_path / "1.png").read_bytes()
    assert (out / "dent/1.png").samefile(out / "crack/1.png")
    masks = [np.asarray(Image.open(out / "masks" / name / "1.png")) for name in ("crack", "dent")]
    assert masks[1].sum() == 4 * 6 == masks[1][5:11, 50:54].sum()
    assert masks[0].any()
    assert not (masks[0] & masks[1]).any()


def test_a_picture_that_is_there_twice_is_one_sentence(tmp_path: Path) -> None:
    labels = coco(tmp_path, lambda w: w["images"][1].update(file_name="./1.png"))
    result = command("convert", labels, "--from", "coco", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "1.png twice, and nobody knows which is right: leave one out" in result.output


def test_a_region_that_is_a_rounding_error_too_large_is_cut(tmp_path: Path) -> None:
    labels = coco(tmp_path, lambda w: w["annotations"][0].update(segmentation=[], bbox=[-0.5, 10, 80.9, 20]))
    result = command("convert", labels, "--from", "coco", "--out", tmp_path / "out", "--to", "coco")
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert written["annotations"][0]["bbox"] == [0, 10, 80, 20]


def test_run_lengths_of_coco_are_read_in_both_spellings(tmp_path: Path) -> None:
    counts = [10 * HEIGHT + 5, *[20, HEIGHT - 20] * 9, 20, HEIGHT - 25 + 60 * HEIGHT]
    boxes = list[list[float]]()
    for spelling in (counts, encode(counts)):
        shape = {"size": [HEIGHT, WIDTH], "counts": spelling}
        labels = coco(tmp_path, lambda w, shape=shape: w["annotations"][0].update(segmentation=shape))  # type: ignore[misc]
        out = tmp_path / f"out{len(boxes)}"
        assert command("convert", labels, "--from", "coco", "--to", "coco", "--out", out).exit_code == 0
        boxes.append(json.loads((out / "annotations.json").read_text())["annotations"][0]["bbox"])
    assert boxes == [[10, 5, 10, 20]] * 2


def encode(counts: list[int]) -> str:
    """As the authors' code writes runs."""
    text = ""
    for at, count in enumerate(counts):
        value, more = count - (counts[at - 2] if at > 2 else 0), True
        while more:
            digit = value & 31
            value >>= 5
            more = value != (-1 if digit & 16 else 0)
            text += chr(digit + (32 if more else 0) + 48)
    return text


@pytest.mark.parametrize("name", ["coco", "labelstudio", "cvat"])
def test_a_folder_stands_for_the_file_that_is_written_there(name: str, tmp_path: Path) -> None:
    refused = command("convert", tmp_path, "--from", name, "--out", tmp_path / "none")
    assert "has no " in refused.output
    assert "name the file with the labels" in refused.output
    words = (coco(tmp_path, lambda w: None), "--from", "coco", "--to", name, "--out", tmp_path / "made")
    assert command("convert", *words).exit_code == 0
    result = command("convert", tmp_path / "made", "--from", name, "--images", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "crack 1, good 1" in result.stdout


@pytest.mark.parametrize("name", READ)
def test_what_is_no_labels_is_one_sentence(name: str, tmp_path: Path) -> None:
    for number, content in enumerate(("no labels", "[1, 2", "{}", "<a/>")):
        (tmp_path / "labels").write_text(content)
        result = command("convert", tmp_path / "labels", "--from", name, "--out", tmp_path / f"out{number}")
        assert result.exit_code == 1, result.output
        assert result.output.splitlines()[-1].startswith("Error: ")
    result = command("convert", tmp_path / "nowhere", "--from", name, "--out", tmp_path / "out")
    assert "does not exist: name the labels that were exported" in result.output


def test_wrong_lines_of_yolo_are_named(tmp_path: Path) -> None:
    lines = {"a": "0 0.5 0.5 0.1 0.1", "b": "7 0.5 0.5 0.1 0.1", "c": "0 0.5 x 0.1 0.1", "d": "0 0.5 0.5 0.1"}
    lines |= {"e": "0 nan 0.5 0.2 0.2", "f": "0 1e308 0.5 0.2 0.2"}
    for name, line in lines.items():
        picture(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{name}.txt").write_text(line + "\n")
    (tmp_path / "labels" / "gone.txt").write_text("")
    (tmp_path / "classes.txt").write_text("crack\n")
    result = command("convert", tmp_path, "--from", "yolo", "--out", tmp_path / "out")
    assert result.exit_code == 3, result.output
    listed = [json.loads(line) for line in (tmp_path / "out" / "left-out.jsonl").read_text().splitlines()]
    assert [each["kind"] for each in listed] == [
        "the picture of labels is missing",
        "a class is not in the list of names",
        "a line holds something else than numbers",
        "a line is neither a box of 4 numbers nor a polygon of 3 points or more",
        "a line holds something else than finite numbers",
        "a region has a place that is no finite number",
    ]
    assert listed[1]["place"].endswith("b.txt, line 1")
    assert [path.name for path in (tmp_path / "out" / "crack").iterdir()] == ["a.png"]


def test_pictures_of_yolo_that_differ_by_their_endings_share_their_labels(tmp_path: Path) -> None:
    for name in ("a.png", "a.bmp", "deep/A.png"):
        picture(tmp_path / "images" / name)
    for name, text in (("a.txt", "0 0.5 0.5 0.1 0.1\n"), ("deep/._A.txt", "none"), ("deep/a.txt", "0 0.5 0.5 1 1\n")):
        (tmp_path / "labels" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels" / name).write_text(text)
    (tmp_path / "classes.txt").write_text("crack\n")
    result = command("convert", tmp_path, "--from", "yolo", "--to", "coco", "--out", tmp_path / "out")
    assert (result.exit_code, kinds(tmp_path / "out")) == (3, ["the picture of labels is missing"])
    written = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert [each["file_name"] for each in written["images"]] == ["a.bmp", "a.png", "deep/A.png"]
    assert [each["image_id"] for each in written["annotations"]] == [1, 2]


def test_names_of_yolo_are_read_from_yaml_in_every_spelling(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("1 0.5 0.5 0.1 0.1\n")
    for number, names in enumerate(("[dent, crack]", "\n- dent\n- 'crack'", "\n  0: dent\n  1: crack")):
        (tmp_path / "data.yaml").write_text(f"path: .\nnames: {names}\n")
        place = tmp_path / "data.yaml" if number else tmp_path
        result = command("convert", place, "--from", "yolo", "--out", tmp_path / f"out{number}")
        assert "crack 1" in result.output


def test_wrong_images_of_cvat_are_named(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    about = f'id="1" name="a.png" width="{WIDTH}" height="{HEIGHT}"'
    wrong = {
        '<polygon label="dent" points="1,1;9,1;9,9"/>': "a label is not in the list of labels",
        '<polygon label="crack" points="1,1;9,1"/>': "a polygon has fewer than 3 points",
        '<polyline label="crack" points="1,1;9,1"/>': "a polyline marks no area that is read",
        '<box label="crack" xtl="x" ytl="1" xbr="2" ybr="2"/>': "an image holds something else than numbers",
        '<mask label="crack" rle="1,2" left="0" top="0" width="2" height="2"/>': "a mask is empty",
    }
    for number, (inside, said) in enumerate(wrong.items()):
        (tmp_path / "a.xml").write_text(TEXT.format(f"<image {about}>{inside}</image><image {about}/>"))
        result = command("convert", tmp_path / "a.xml", "--from", "cvat", "--out", tmp_path / f"out{number}")
        assert result.exit_code == 1
        assert said in result.output


def test_masks_of_cvat_are_read(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    about = f'id="1" name="a.png" width="{WIDTH}" height="{HEIGHT}"'
    mask = '<mask label="crack" rle="1,2,1,2" left="5" top="6" width="3" height="2"/>'
    (tmp_path / "a.xml").write_text(TEXT.format(f"<image {about}>{mask}</image>"))
    result = command("convert", tmp_path / "a.xml", "--from", "cvat", "--to", "coco", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (found,) = json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]
    assert (found["bbox"], found["area"]) == ([6, 6, 2, 2], 4)


def test_shapes_of_labelme_are_read(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    shapes = [
        {"label": "crack", "points": CRACK, "shape_type": "polygon"},
        {"label": "crack", "points": [[30, 40], [10, 20]], "shape_type": "rectangle"},
        {"label": "hole", "points": [[40, 30], [45, 30]], "shape_type": "circle"},
    ]
    whole = {"imagePath": "a.png", "imageWidth": WIDTH, "imageHeight": HEIGHT, "shapes": shapes}
    (tmp_path / "a.json").write_text(json.dumps(whole))
    result = command("convert", tmp_path, "--from", "labelme", "--to", "coco", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]
    assert [each["bbox"] for each in found[:2]] == [[10, 10, 20, 30], [10, 20, 20, 20]]
    assert found[2]["bbox"] == pytest.approx([35, 25, 10, 10])
    shapes.append({"label": "crack", "points": [[1, 1], [5, 5]], "shape_type": "line"})
    (tmp_path / "a.json").write_text(json.dumps(whole))
    result = command("convert", tmp_path / "a.json", "--from", "labelme", "--out", tmp_path / "other")
    assert "a line of 2 points marks no area that is read" in result.output


def test_tasks_of_label_studio_are_read_as_people_left_them(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    value = {"x": 50, "y": 50, "width": 10, "height": 20, "rotation": 90, "rectanglelabels": ["crack"]}
    about = {"original_width": WIDTH, "original_height": HEIGHT, "to_name": "image", "from_name": "boxes"}
    drawn = [{"id": "x", "type": "rectanglelabels", "value": value, **about}]
    tasks: list[dict[str, Any]] = [
        {"id": 1, "data": {"image": "/data/upload/3/0123abcd-a.png"}, "annotations": [{"result": drawn}]},
        {"id": 2, "data": {"image": "b.png"}, "annotations": [{"result": drawn, "was_cancelled": True}]},
        {"id": 3, "data": {"words": "none"}},
        {"id": 4, "data": {"image": "a.png"}, "annotations": [{"result": drawn}, {"result": []}]},
        {
            "id": 5,
            "data": {"image": "a.png"},
            "annotations": [{"result": [{**drawn[0], "value": value | {"x": 1e308}}]}],
        },
        {
            "id": 6,
            "data": {"image": "a.png"},
            "annotations": [{"result": [{**drawn[0], "value": value | {"x": 10**308}}]}],
        },
        {"id": 7, "data": {"image": "c.png"}, "annotations": 5},
        {"id": 8, "data": {"image": "c.png"}, "predictions": [{"result": [1]}]},
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    out = tmp_path / "out"
    result = command("convert", tmp_path / "tasks.json", "--from", "labelstudio", "--to", "coco", "--out", out)
    assert result.exit_code == 3, result.output
    (found,) = json.loads((out / "annotations.json").read_text())["annotations"]
    assert found["bbox"] == pytest.approx([28, 30, 12, 8])  # turned about its upper left corner
    listed = [json.loads(line)["kind"] for line in (out / "left-out.jsonl").read_text().splitlines()]
    far = "a region has a place that is no finite number"
    several = "a task has several annotations, of which one is to be left"
    no_list = ["the annotations or predictions of a task are no list of objects"]
    no_list += ["the result of a task is no list of objects"]
    assert listed == ["a task is not annotated", "a task names no picture", several, far, far, *no_list]
    drawn[0] = {"id": "x", "type": "brushlabels", "value": {"rle": [1], "brushlabels": ["crack"]}, **about}
    (tmp_path / "tasks.json").write_text(json.dumps(tasks[:1]))
    result = command("convert", tmp_path / "tasks.json", "--from", "labelstudio", "--out", tmp_path / "other")
    assert "is of the kind brushlabels, which is read from polygons and rectangles alone" in result.output


def test_tasks_and_regions_of_one_id_are_listed(tmp_path: Path) -> None:
    about = {"original_width": WIDTH, "original_height": HEIGHT, "to_name": "image", "from_name": "regions"}
    points = [[10, 10], [40, 10], [40, 60]]
    shape = {"id": "x", "type": "polygonlabels", "value": {"points": points, "polygonlabels": ["crack"]}, **about}
    other = {**shape, "value": {"points": points[::-1], "polygonlabels": ["crack"]}}
    plain_shape = {**shape, "type": "polygon", "value": {"points": points}}
    label = {**shape, "type": "labels", "value": {"points": points, "labels": ["crack"]}}
    tasks: list[dict[str, Any]] = []
    for number, results in enumerate(([shape, other], [plain_shape, label], [], [])):
        picture(tmp_path / f"{number}.png", number)
        task = {"id": min(number, 2), "data": {"image": f"{number}.png"}, "annotations": [{"result": results}]}
        tasks.append(task)
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    out = tmp_path / "out"
    result = command("convert", tmp_path / "tasks.json", "--from", "labelstudio", "--to", "coco", "--out", out)
    assert result.exit_code == 3, result.output
    assert kinds(out) == ["two regions have the same id", "two tasks have the same id"]
    whole = json.loads((out / "annotations.json").read_text())
    assert [each["file_name"] for each in whole["images"]] == ["1.png", "2.png"]
    assert [(len(each["segmentation"]), each["category_id"]) for each in whole["annotations"]] == [(1, 1)]
    assert whole["categories"][0]["name"] == "crack"


def test_images_of_cvat_need_no_ids_and_a_second_one_of_one_id_is_listed(tmp_path: Path) -> None:
    names = ("a.png", "b.png", "c.png", "d.png")
    for number, name in enumerate(names):
        picture(tmp_path / name, number)
    ids = ("", "", 'id="1"', 'id="1"')
    sides = f'width="{WIDTH}" height="{HEIGHT}"'
    images = "".join(f'<image {about} name="{name}" {sides}/>' for about, name in zip(ids, names, strict=True))
    (tmp_path / "a.xml").write_text(TEXT.format(images))
    result = command("convert", tmp_path / "a.xml", "--from", "cvat", "--out", tmp_path / "out")
    assert (result.exit_code, kinds(tmp_path / "out")) == (3, ["two images have the same id"])
    assert "good 3" in result.output


def test_a_type_that_is_called_as_a_folder_of_masks_is_refused(tmp_path: Path) -> None:
    labels = coco(tmp_path, lambda w: w["categories"][0].update(name="mask"))
    result = command("convert", labels, "--from", "coco", "--out", tmp_path / "out")
    assert "give it another name in the labels" in result.output


def test_options_that_say_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    assert command("convert", tmp_path, "--out", tmp_path / "out").exit_code == 2
    wanted = ("--to", "coco", "--out", tmp_path / "out", "--images", tmp_path)
    assert command("convert", tmp_path, *wanted).exit_code == 2
    assert "is not empty" in command("convert", tmp_path, "--to", "coco", "--out", tmp_path / "full").output
    assert "holds no run" in command("convert", tmp_path, "--to", "coco", "--out", tmp_path / "out").output
    (tmp_path / "batch.json").touch()
    assert "`blemish merge" in command("convert", tmp_path, "--to", "coco", "--out", tmp_path / "out").output
