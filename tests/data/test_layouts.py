from __future__ import annotations

import builtins
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from tests.support import trees

from blemish import data
from blemish.errors import BadData, MissingExtra, UnknownName
from blemish.notices import gather

Tally = dict[tuple[str, bool], int]
TREES: dict[str, tuple[Callable[[Path], object], list[str], Tally, Tally]] = {
    "mvtec": (trees.mvtec, ["bottle", "cable"], {("good", False): 6}, {("good", False): 6, ("crack", True): 4}),
    "mpdd": (trees.mvtec, ["bottle", "cable"], {("good", False): 6}, {("good", False): 6, ("crack", True): 4}),
    "mvtec-ad-2": (trees.mvtec_ad_2, ["can", "rice"], {("good", False): 4}, {("good", False): 2, ("bad", True): 4}),
    "mvtec-loco": (
        trees.mvtec_loco,
        ["juice_bottle", "pushpins"],
        {("good", False): 4},
        {("good", False): 2, ("logical_anomalies", True): 2, ("structural_anomalies", True): 2},
    ),
    "autovi": (
        trees.autovi,
        ["pipe_clip", "tank_screw"],
        {("good", False): 4},
        {("good", False): 2, ("missing", True): 2},
    ),
    "btad": (trees.btad, ["01", "02"], {("good", False): 4}, {("good", False): 4, ("ko", True): 4}),
    "visa": (trees.visa, ["candle", "pcb1"], {("good", False): 4}, {("good", False): 2, ("anomaly", True): 2}),
    "kolektorsdd": (trees.kolektorsdd, [], {("good", False): 8}, {("good", False): 2, ("defect", True): 5}),
    "kolektorsdd2": (
        trees.kolektorsdd2,
        [],
        {("good", False): 3, ("defect", True): 1},
        {("good", False): 3, ("defect", True): 1},
    ),
    "mtd": (
        trees.mtd,
        [],
        {("good", False): 8},
        {("good", False): 2, ("blowhole", True): 2, ("uneven", True): 1},
    ),
    "dagm": (
        trees.dagm,
        ["Class2", "Class10"],
        {("good", False): 4, ("defect", True): 2},
        {("good", False): 4, ("defect", True): 2},
    ),
    "realiad": (trees.realiad, ["audiojack", "usb"], {("good", False): 4}, {("good", False): 2, ("AK", True): 2}),
    "folder": (trees.folder, [], {("good", False): 4}, {("good", False): 1, ("scratch", True): 2}),
    "table": (trees.table, ["cap", "lid"], {("good", False): 4}, {("good", False): 2, ("dent", True): 2}),
}


def planted(layout: str, home: Path) -> Path:
    made = TREES[layout][0](home)
    return made if isinstance(made, Path) else home


def tally(root: Path, layout: str | None, split: str, category: str | None = None) -> Tally:
    found = data.samples(root, layout=layout, split=split, category=category)
    return dict(Counter((sample.label, bool(sample.masks)) for sample in found))


def test_every_layout_has_a_tree_here() -> None:
    assert TREES.keys() == data.LAYOUTS.keys()


@pytest.mark.parametrize("layout", TREES)
def test_a_published_tree_is_read(layout: str, tmp_path: Path) -> None:
    root = planted(layout, tmp_path)
    _, categories, train, test = TREES[layout]
    assert data.categories(root, layout=layout) == categories
    assert tally(root, layout, "train") == train
    assert tally(root, layout, "test") == test


@pytest.mark.parametrize("layout", TREES)
def test_samples_are_files_in_a_stable_order_and_no_split_shares_one(layout: str, tmp_path: Path) -> None:
    root = planted(layout, tmp_path)
    train, test = (data.samples(root, layout=layout, split=split) for split in ("train", "test"))
    assert all(sample.image.is_file() for sample in train + test)
    assert all(mask.is_file() for sample in train + test for mask in sample.masks)
    assert train == data.samples(root, layout=layout, split="train")
    assert not {sample.image for sample in train} & {sample.image for sample in test}


@pytest.mark.parametrize("layout", TREES)
def test_a_mask_belongs_to_the_picture_of_its_name(layout: str, tmp_path: Path) -> None:
    root = planted(layout, tmp_path)
    masked = [sample for sample in data.samples(root, layout=layout) if sample.masks]
    assert masked
    for sample in masked:
        for mask in sample.masks:
            own = mask.parent if layout in ("mvtec-loco", "autovi") else mask
            assert own.stem.startswith(sample.image.stem)
        assert sample.category in (*TREES[layout][1], "")


@pytest.mark.parametrize("layout", TREES)
def test_every_sample_is_in_a_split_and_the_folder_is_taken_apart_once(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, looked, detect = planted(layout, tmp_path), list[Path](), data.detect

    def watched(path: Path) -> str:
        looked.append(path)
        return detect(path)

    monkeypatch.setattr(data, "detect", watched)
    found = data.every_sample(root)
    assert looked == [root]
    several = [each for split in data.splits(root) for each in data.samples(root, split=split)]
    assert {each.image: each for each in several} == {each.image: each for each in found}
    assert len(found) == len({each.image for each in found})


@pytest.mark.parametrize("layout", [name for name in TREES if TREES[name][1]])
def test_one_category_can_be_chosen(layout: str, tmp_path: Path) -> None:
    root = planted(layout, tmp_path)
    parts = [data.samples(root, layout=layout, category=name) for name in data.categories(root, layout=layout)]
    assert all({sample.category for sample in part} == {part[0].category} for part in parts)
    assert [sample for part in parts for sample in part] == data.samples(root, layout=layout)


@pytest.mark.parametrize("layout", TREES)
def test_an_unknown_category_lists_those_found(layout: str, tmp_path: Path) -> None:
    root, names = planted(layout, tmp_path), TREES[layout][1]
    with pytest.raises(UnknownName, match=", ".join(names) if names else "no categories"):
        data.samples(root, layout=layout, category="submarine")


@pytest.mark.parametrize("layout", TREES)
def test_the_layout_is_detected(layout: str, tmp_path: Path) -> None:
    assert data.detect(planted(layout, tmp_path)) == ("mvtec" if layout == "mpdd" else layout)


@pytest.mark.parametrize("layout", TREES)
def test_a_root_without_the_layout_says_what_was_looked_for(layout: str, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(BadData, match=r"looked for .* the layouts are visa, realiad"):
        data.samples(tmp_path, layout=layout)


def test_a_root_of_no_layout_lists_what_each_needs(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="holds no file: put pictures into it"):
        data.samples(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadData, match="none of the known layouts") as error:
        data.samples(tmp_path)
    first, *lines = str(error.value).splitlines()
    assert str(tmp_path) in first
    assert [line.strip().partition(":")[0] for line in lines] == list(data.LAYOUTS)
    assert all(len(line) < 120 for line in lines)


def test_a_root_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="does not exist"):
        data.samples(tmp_path / "nowhere", layout="mvtec")


def test_unknown_layouts_and_splits_list_the_choices(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="choose one of visa"):
        data.samples(tmp_path, layout="imagenet")
    trees.folder(tmp_path)
    with pytest.raises(UnknownName, match="choose one of train, test"):
        data.samples(tmp_path, split="val")


def test_a_category_folder_can_itself_be_the_root(tmp_path: Path) -> None:
    trees.mvtec(tmp_path)
    assert data.categories(tmp_path / "cable") == ["cable"]
    assert tally(tmp_path / "cable", None, "test") == {("good", False): 3, ("crack", True): 2}


@pytest.mark.parametrize(
    ("layout", "gone"),
    [
        ("kolektorsdd", "kos01/Part1_label.bmp"),
        ("kolektorsdd2", "test/20001_GT.png"),
        ("visa", "pcb1/Data/Masks/Anomaly/000.png"),
        ("realiad", "realiad_1024/usb/NG/AK/S0002/usb_0002_NG_AK_C1.png"),
        ("table", "cap/9_mask.png"),
    ],
)
def test_a_mask_that_a_list_names_and_that_is_missing_is_named(layout: str, gone: str, tmp_path: Path) -> None:
    root = planted(layout, tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(BadData, match=Path(gone).stem.removesuffix("_mask").removesuffix("_label")):
        data.samples(root, layout=layout)


@pytest.mark.parametrize(
    ("layout", "gone"),
    [
        ("mvtec", "bottle/ground_truth/crack/001_mask.png"),
        ("btad", "01/ground_truth/ko/0001.png"),
        ("mtd", "MT_Uneven/Imgs/exp1_num_0.png"),
        ("folder", "masks/scratch/0.png"),
    ],
)
def test_a_defect_without_a_mask_has_none_and_the_others_keep_theirs(layout: str, gone: str, tmp_path: Path) -> None:
    root = planted(layout, tmp_path)
    before = Counter({key: count for key, count in tally(root, layout, "test").items() if key[1]})
    (tmp_path / gone).unlink()
    after = Counter({key: count for key, count in tally(root, layout, "test").items() if key[1]})
    assert (before - after).total() == 1
    assert sum(tally(root, layout, "test").values()) == before.total() + tally(root, layout, "test")[("good", False)]


@pytest.mark.parametrize(("layout", "masks"), [("mvtec", "*/ground_truth"), ("folder", "masks")])
def test_a_data_set_without_any_mask_is_read(layout: str, masks: str, tmp_path: Path) -> None:
    root = planted(layout, tmp_path)
    for place in root.glob(masks):
        shutil.rmtree(place)
    assert all(not sample.masks for sample in data.samples(root, layout=layout))


@pytest.mark.parametrize("layout", ["visa", "realiad", "table"])
def test_a_listed_picture_that_is_missing_is_named(layout: str, tmp_path: Path) -> None:
    root = planted(layout, tmp_path)
    gone = data.samples(root, layout=layout)[0].image
    gone.unlink()
    with pytest.raises(BadData, match=gone.name):
        data.samples(root, layout=layout)


def test_a_flat_folder_holds_unknowns(tmp_path: Path) -> None:
    trees.picture(tmp_path / "b.png")
    trees.picture(tmp_path / "a.JPG")
    (tmp_path / "notes.txt").touch()
    assert [(s.image.name, s.label) for s in data.samples(tmp_path)] == [("a.JPG", ""), ("b.png", "")]
    assert data.samples(tmp_path, split="train") == []


def test_good_folders_alone_are_all_learned_from(tmp_path: Path) -> None:
    for number in range(5):
        trees.picture(tmp_path / f"OK/{number}.png")
    assert tally(tmp_path, "folder", "train") == {("good", False): 5}
    assert tally(tmp_path, "folder", "test") == {}


def test_classes_and_masks_may_lie_in_two_folders(tmp_path: Path) -> None:
    for kind in ("cut", "hole"):
        trees.picture(tmp_path / f"images/{kind}/1.webp")
        trees.mask(tmp_path / f"masks/{kind}/1.png")
    assert data.detect(tmp_path) == "folder"
    assert tally(tmp_path, None, "test") == {("cut", True): 1, ("hole", True): 1}


def test_good_surfaces_of_one_kolektor_part_stay_together(tmp_path: Path) -> None:
    trees.kolektorsdd(tmp_path)
    good = {s.image.parent.name for s in data.samples(tmp_path) if not s.is_anomalous}
    assert len(good) == 1
    assert not good & {s.image.parent.name for s in data.samples(tmp_path, split="train")}


def test_json_lists_may_lie_one_folder_higher(tmp_path: Path) -> None:
    trees.realiad(tmp_path)
    shutil.move(tmp_path / "realiad_jsons/realiad_jsons", tmp_path / "lists")
    shutil.rmtree(tmp_path / "realiad_jsons")
    (tmp_path / "lists").rename(tmp_path / "realiad_jsons")
    assert tally(tmp_path, None, "train") == {("good", False): 4}


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"meta": {"prefix": ""}}), json.dumps({"meta": None})])
def test_a_broken_json_list_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "realiad_jsons").mkdir()
    (tmp_path / "realiad_jsons/usb.json").write_text(text)
    with pytest.raises(BadData, match=r"usb\.json"):
        data.samples(tmp_path, layout="realiad")


def test_a_table_needs_nothing_but_images(tmp_path: Path) -> None:
    trees.picture(tmp_path / "1.png")
    root = trees.write_csv(tmp_path / "t.csv", [["image", "station"], ["1.png", "7"]])
    assert [sample.label for sample in data.samples(root)] == [""]


def test_a_table_without_splits_holds_good_rows_out(tmp_path: Path) -> None:
    rows = [["image", "label"], *([f"{number}.png", "OK"] for number in range(5)), ["9.png", "dent"]]
    for name, _ in rows[1:]:
        trees.picture(tmp_path / name)
    root = trees.write_csv(tmp_path / "t.csv", rows)
    assert tally(root, None, "train") == {("good", False): 4}
    assert tally(root, None, "test") == {("good", False): 1, ("dent", False): 1}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["file"], ["1.png"]], "no column image; its columns are file"),
        ([["image", "split"], ["1.png", "val"]], "row 1 .* 'val'"),
        ([["image", "split"], ["1.png", "test"], ["1.png", ""]], "row 2"),
        ([["image", "label"], ["", "good"]], "names no image"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused(rows: list[list[str]], message: str, tmp_path: Path) -> None:
    trees.picture(tmp_path / "1.png")
    with pytest.raises(BadData, match=message):
        data.samples(trees.write_csv(tmp_path / "t.csv", rows))


def test_a_csv_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"image\n\xff\xfe.png\n")
    with pytest.raises(BadData, match="does not exist"):  # some bytes are letters everywhere
        data.samples(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(b"image\n\xff\xfe\x81.png\n")
    with pytest.raises(BadData, match="UTF-8"):
        data.samples(tmp_path / "t.csv")


def test_a_visa_csv_without_its_columns_is_refused(tmp_path: Path) -> None:
    trees.write_csv(tmp_path / "split_csv/1cls.csv", [["object", "image"], ["candle", "1.JPG"]])
    with pytest.raises(BadData, match="no column label, mask, split; its columns are object, image"):
        data.samples(tmp_path)


def test_parquet_gives_the_samples_of_the_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import csv, parquet

    root = trees.table(tmp_path)
    options = csv.ConvertOptions(strings_can_be_null=True)
    table = csv.read_csv(root, convert_options=options)
    assert isinstance(table, pyarrow.Table)
    parquet.write_table(table, root.with_suffix(".parquet"))
    assert data.samples(root.with_suffix(".parquet")) == data.samples(root)
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(BadData, match="not a parquet table"):
        data.samples(tmp_path / "broken.parquet")


def test_parquet_without_pyarrow_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *rest: object) -> ModuleType:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return original(name, *rest)  # type: ignore[arg-type]

    (tmp_path / "t.parquet").touch()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r"pip install 'blemish\[parquet\]'"):
        data.samples(tmp_path / "t.parquet")


def test_the_private_splits_of_mvtec_ad_2_are_pictures_of_which_nothing_is_known(tmp_path: Path) -> None:
    trees.mvtec_ad_2(tmp_path)
    for split in ("test_private", "test_private_mixed"):
        assert tally(tmp_path, None, split) == {("", False): 4}
    assert tally(tmp_path, None, "test_public") == tally(tmp_path, None, "test")
    assert tally(tmp_path, None, "validation") == {("good", False): 2}


def test_it_is_said_which_split_of_mvtec_ad_2_is_measured(tmp_path: Path) -> None:
    trees.mvtec_ad_2(tmp_path)
    with gather() as notices:
        data.samples(tmp_path)
    (line,) = notices.lines()
    assert "test_public" in line
    assert "test_private" in line


@pytest.mark.parametrize("layout", ["mvtec-loco", "autovi"])
def test_all_masks_of_a_picture_are_its_masks(layout: str, tmp_path: Path) -> None:
    trees.mvtec_loco(tmp_path) if layout == "mvtec-loco" else trees.autovi(tmp_path)
    masks = {len(sample.masks) for sample in data.samples(tmp_path) if sample.is_anomalous}
    assert masks == {2}


def test_the_validation_split_of_mvtec_loco_is_good(tmp_path: Path) -> None:
    trees.mvtec_loco(tmp_path)
    assert tally(tmp_path, None, "validation") == {("good", False): 2}
