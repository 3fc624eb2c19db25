"""Tiny data sets of each published layout, written as their publishers do."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), "grey").save(path)
    return path


def mask(path: Path, *, value: int = 255) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((4, 6), dtype=np.uint8)
    values[1:3, 2:4] = value
    Image.fromarray(values).save(path)
    return path


def mvtec(root: Path) -> None:
    for category in ("bottle", "cable"):
        for number in range(3):
            picture(root / category / f"train/good/{number:03}.png")
            picture(root / category / f"test/good/{number:03}.png")
        for number in range(2):
            picture(root / category / f"test/crack/{number:03}.png")
            mask(root / category / f"ground_truth/crack/{number:03}_mask.png")


def mvtec_ad_2(root: Path) -> None:
    for category in ("can", "rice"):
        home = root / category
        for number in range(2):
            picture(home / f"train/good/{number:03}_regular.png")
            picture(home / f"test_private/{number:03}_regular.png")
            picture(home / f"test_private_mixed/{number:03}_mixed.png")
            picture(home / f"test_public/bad/{number:03}_shift_1.png")
            mask(home / f"test_public/ground_truth/bad/{number:03}_shift_1_mask.png")
        picture(home / "validation/good/000_regular.png")
        picture(home / "test_public/good/000_overexposed.png")


def mvtec_loco(root: Path) -> None:
    for category in ("juice_bottle", "pushpins"):
        _several_masks(root / category, ("logical_anomalies", "structural_anomalies"), "{:03}.png")
        picture(root / category / "validation/good/000.png")


def autovi(root: Path) -> None:
    for category in ("pipe_clip", "tank_screw"):
        _several_masks(root / category, ("missing",), "{:04}.png")


def _several_masks(home: Path, types: tuple[str, ...], name: str) -> None:
    for number in range(2):
        picture(home / "train/good" / name.format(number))
    picture(home / "test/good" / name.format(0))
    for kind in types:
        picture(home / "test" / kind / name.format(0))
        for number in range(2):
            mask(home / "ground_truth" / kind / Path(name.format(0)).stem / name.format(number), value=200 + number)
    (home / "defects_config.json").write_text("[]")


def btad(root: Path) -> None:
    for category, kind in (("01", "bmp"), ("02", "png")):
        for number in range(2):
            picture(root / category / f"train/ok/{number:04}.{kind}")
            picture(root / category / f"test/ok/{number:04}.{kind}")
            picture(root / category / f"test/ko/{number:04}.{kind}")
            mask(root / category / f"ground_truth/ko/{number:04}.png")


def visa(root: Path) -> None:
    rows = [["object", "split", "label", "image", "mask"]]
    for category in ("candle", "pcb1"):
        home = f"{category}/Data"
        for number, split in enumerate(("train", "train", "test")):
            image = f"{home}/Images/Normal/{number:04}.JPG"
            picture(root / image)
            rows.append([category, split, "normal", image, ""])
        image, truth = f"{home}/Images/Anomaly/000.JPG", f"{home}/Masks/Anomaly/000.png"
        picture(root / image)
        mask(root / truth, value=1)
        rows.append([category, "test", "anomaly", image, truth])
    write_csv(root / "split_csv/1cls.csv", rows)


def kolektorsdd(root: Path) -> None:
    for part in range(1, 6):
        for number in range(3):
            picture(root / f"kos{part:02}/Part{number}.jpg")
            mask(root / f"kos{part:02}/Part{number}_label.bmp", value=255 if number == 2 else 0)


def kolektorsdd2(root: Path) -> None:
    for split in ("train", "test"):
        for number in range(4):
            picture(root / split / f"{20000 + number}.png")
            mask(root / split / f"{20000 + number}_GT.png", value=255 if number == 3 else 0)


def mtd(root: Path) -> None:
    for kind, count in (("Blowhole", 2), ("Uneven", 1), ("Free", 10)):
        for number in range(count):
            picture(root / f"MT_{kind}/Imgs/exp1_num_{number}.jpg")
            mask(root / f"MT_{kind}/Imgs/exp1_num_{number}.png", value=0 if kind == "Free" else 255)


def dagm(root: Path) -> None:
    for category in ("Class2", "Class10"):
        for split in ("Train", "Test"):
            for number in (1, 2, 3):
                picture(root / category / split / f"{number:04}.PNG")
            mask(root / category / split / "Label/0002_label.PNG")
            (root / category / split / "Label/Labels.txt").write_text("1\n0001 0 0001.PNG 0 0\n")


def realiad(root: Path) -> None:
    for category in ("audiojack", "usb"):
        home = root / "realiad_1024" / category
        good, bad = "OK/S0001/{}_0001_OK_C1.jpg", "NG/AK/S0002/{}_0002_NG_AK_C1.jpg"
        names = [good.format(f"{category}{n}") for n in range(3)] + [bad.format(category)]
        truth = names[-1].replace(".jpg", ".png")
        for name in names:
            picture(home / name)
        mask(home / truth)
        entries = [
            {
                "category": category,
                "anomaly_class": "OK" if name.startswith("OK") else "AK",
                "image_path": name,
                "mask_path": None if name.startswith("OK") else truth,
            }
            for name in names
        ]
        meta = {"prefix": f"{category}/", "normal_class": "OK", "pre_transform": {}}
        source = root / f"realiad_jsons/realiad_jsons/{category}.json"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(json.dumps({"meta": meta, "train": entries[:2], "test": entries[2:]}))


def folder(root: Path) -> None:
    for number in range(5):
        picture(root / f"good/{number}.png")
    for number in range(2):
        picture(root / f"scratch/{number}.jpg")
        mask(root / f"masks/scratch/{number}.png")


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def table(root: Path) -> Path:
    rows = [["image", "label", "mask", "split", "category"]]
    for category in ("cap", "lid"):
        for number, split in enumerate(("train", "train", "test")):
            picture(root / f"{category}/{number}.png")
            rows.append([f"{category}/{number}.png", "good", "", split, category])
        picture(root / f"{category}/9.png")
        mask(root / f"{category}/9_mask.png")
        rows.append([f"{category}/9.png", "dent", f"{category}/9_mask.png", "test", category])
    return write_csv(root / "parts.csv", rows)
