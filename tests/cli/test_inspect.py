from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from blemish import inspection
from blemish.cli.main import main
from blemish.images import read

QUICK = ["--encoder", "test-tiny", "--method", "patchcore", "--set", "ratio=0.5"]


def picture(path: Path, *, seed: int = 0, size: int = 64, spot: bool = False) -> Path:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(110, 140, (size, size, 3), dtype=np.uint8)
    if spot:
        pixels[24:40, 24:40] = (250, 40, 20)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for number in range(4):
        picture(tmp_path / "good" / f"{number}.png", seed=number)
    for number in range(3):
        picture(tmp_path / "new" / f"fine{number}.png", seed=10 + number)
    picture(tmp_path / "new" / "spot.png", seed=20, spot=True)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def inspect(parts: Path, *more: object, images: tuple[object, ...] = ()) -> Result:
    images = images or (parts / "new",)
    return run("inspect", *images, "--normal", parts / "good", "--out", parts / "out", *QUICK, *more)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_picture_gets_a_line_and_an_overlay_and_the_defect_comes_first(parts: Path) -> None:
    result = inspect(parts)
    assert result.exit_code == 0, result.output
    found = lines(parts / "out" / "results.jsonl")
    assert [Path(line["path"]).name for line in found] == ["fine0.png", "fine1.png", "fine2.png", "spot.png"]
    assert max(found, key=lambda line: line["score"])["path"].endswith("spot.png")
    for line in found:
        assert line["method"] == "patchcore"
        assert line["size"] == {"width": 64, "height": 64}
        assert line["seconds"]["detect"] > 0
        assert read(parts / "out" / line["overlay"]).shape == (3, 64, 64)
    table = [row for row in result.stdout.splitlines() if ".png" in row]
    assert "spot.png" in table[0]
    assert len(table) == 4


def test_the_peak_lies_on_the_defect(parts: Path) -> None:
    inspect(parts)
    peak = lines(parts / "out" / "results.jsonl")[-1]["peak"]
    assert 20 <= peak["x"] < 44
    assert 20 <= peak["y"] < 44


def test_a_random_encoder_says_that_its_scores_mean_nothing(parts: Path) -> None:
    assert "random weights" in inspect(parts).stderr


def test_json_prints_the_lines_that_are_written(parts: Path) -> None:
    printed = [json.loads(line) for line in inspect(parts, "--json").stdout.splitlines()]
    assert printed == lines(parts / "out" / "results.jsonl")


def test_an_unreadable_picture_is_listed_and_the_rest_inspected(parts: Path) -> None:
    (parts / "new" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (parts / "new" / "empty.jpg").touch()
    result = inspect(parts)
    assert result.exit_code == 3
    assert len(lines(parts / "out" / "results.jsonl")) == 4
    failures = lines(parts / "out" / "unreadable.jsonl")
    assert [Path(line["path"]).name for line in failures] == ["broken.png", "empty.jpg"]
    assert all(line["path"] in line["error"] for line in failures)
    assert result.stderr.count("left out: ") == 2


def test_an_unreadable_good_part_is_listed_too(parts: Path) -> None:
    (parts / "good" / "broken.png").write_bytes(b"no picture")
    result = inspect(parts)
    assert result.exit_code == 3
    assert "good/broken.png" in result.stderr
    assert len(lines(parts / "out" / "results.jsonl")) == 4


def test_nothing_readable_is_failure(parts: Path) -> None:
    (parts / "bad.png").write_text("text")
    result = inspect(parts, images=(parts / "bad.png",))
    assert result.exit_code == 1
    assert "no picture could be read" in result.stderr


def test_a_second_run_into_the_same_folder_is_refused(parts: Path) -> None:
    inspect(parts)
    before = (parts / "out" / "results.jsonl").read_bytes()
    result = inspect(parts)
    assert result.exit_code == 1
    assert "--resume" in result.stderr
    assert (parts / "out" / "results.jsonl").read_bytes() == before


def test_resuming_inspects_only_what_is_missing_and_ends_where_one_run_would(parts: Path) -> None:
    inspect(parts)
    results = parts / "out" / "results.jsonl"
    whole = lines(results)
    text = results.read_text(encoding="utf-8").splitlines(keepends=True)
    results.write_text("".join(text[:2]) + text[2][:25], encoding="utf-8")  # cut off while writing the third line
    assert inspect(parts, "--resume").exit_code == 0
    again = lines(results)
    assert again[:2] == whole[:2]
    assert [(line["path"], line["score"]) for line in again] == [(line["path"], line["score"]) for line in whole]


def test_resuming_with_other_settings_is_refused(parts: Path) -> None:
    inspect(parts)
    result = inspect(parts, "--resume", "--tile", "32")
    assert result.exit_code == 1
    assert "tile" in result.stderr


def test_a_damaged_run_file_is_refused(parts: Path) -> None:
    inspect(parts)
    (parts / "out" / "run.json").write_text("{", encoding="utf-8")
    result = inspect(parts, "--resume")
    assert result.exit_code == 1
    assert "run.json is damaged" in result.stderr


def test_a_damaged_line_is_refused(parts: Path) -> None:
    inspect(parts)
    results = parts / "out" / "results.jsonl"
    results.write_text("{}\n" + results.read_text(encoding="utf-8"), encoding="utf-8")
    result = inspect(parts, "--resume")
    assert result.exit_code == 1
    assert "results.jsonl, line 1 is damaged" in result.stderr


def test_a_run_that_failed_before_its_first_result_leaves_the_folder_free(parts: Path) -> None:
    assert inspect(parts, "--set", "ratio=0.5", "--method", "winclip").exit_code == 1
    assert inspect(parts).exit_code == 0


def test_an_interrupted_run_keeps_what_it_has_and_can_be_resumed(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield from islice(stream(*arguments, **options), 2)
        raise KeyboardInterrupt

    stream = inspection.inspect
    monkeypatch.setattr(inspection, "inspect", interrupted)
    assert inspect(parts).exit_code != 0
    monkeypatch.undo()
    assert len(lines(parts / "out" / "results.jsonl")) == 2
    assert inspect(parts, "--resume").exit_code == 0
    assert len(lines(parts / "out" / "results.jsonl")) == 4


def test_words_alone_are_enough(parts: Path) -> None:
    arguments = ["--encoder", "test-tiny", "--product", "steel plate", "--out", parts / "words"]
    result = run("inspect", parts / "new", *arguments)
    assert result.exit_code == 0, result.output
    found = lines(parts / "words" / "results.jsonl")
    assert {line["method"] for line in found} == {"winclip"}
    assert all(0 <= line["score"] <= 1 for line in found)
    assert "from words alone the scores only rank the pictures" in result.stderr
    assert "from words alone" not in inspect(parts).stderr


def test_tiles_see_a_large_picture_at_native_resolution(parts: Path) -> None:
    large = picture(parts / "large.png", size=200)
    pixels = np.asarray(Image.open(large)).copy()
    pixels[150:158, 60:68] = (250, 40, 20)
    Image.fromarray(pixels).save(large)
    assert inspect(parts, "--tile", "64", images=(large,)).exit_code == 0
    (line,) = lines(parts / "out" / "results.jsonl")
    assert abs(line["peak"]["x"] - 64) < 12
    assert abs(line["peak"]["y"] - 154) < 12


def test_outside_the_region_nothing_is_found(parts: Path) -> None:
    inside = inspect(parts, "--region", "0", "0", "20", "64")
    assert inside.exit_code == 0, inside.output
    found = lines(parts / "out" / "results.jsonl")
    assert all(line["peak"]["x"] < 20 for line in found)


def test_outside_the_mask_nothing_is_found(parts: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 44:] = 255
    Image.fromarray(mask).save(parts / "mask.png")
    assert inspect(parts, "--mask", parts / "mask.png").exit_code == 0
    assert all(line["peak"]["x"] >= 44 for line in lines(parts / "out" / "results.jsonl"))


def test_no_overlays_writes_none(parts: Path) -> None:
    assert inspect(parts, "--no-overlays").exit_code == 0
    assert not list((parts / "out" / "overlays").iterdir())
    assert all("overlay" not in line for line in lines(parts / "out" / "results.jsonl"))


def test_two_pictures_of_one_name_keep_their_own_overlays(parts: Path) -> None:
    picture(parts / "new" / "again" / "spot.png", seed=5)
    inspect(parts)
    overlays = [line["overlay"] for line in lines(parts / "out" / "results.jsonl")]
    assert len(set(overlays)) == len(overlays) == 5


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (["nowhere.png"], 1, "nowhere.png does not exist"),
        (["{new}", "--method", "guess"], 1, "no method 'guess': choose from"),
        (["{new}", "--encoder", "nonesuch"], 1, "no encoder is called 'nonesuch'"),
        (["{new}", "--method", "patchcore"], 1, "learns from good parts"),
        (["{new}", "--set", "scale=3"], 1, "winclip takes no scale; it takes"),
        (["{new}", "--set", "scale"], 2, "write NAME=VALUE"),
        (["{new}", "--overlap", "8"], 2, "--overlap goes with --tile"),
        (["{new}", "--tile", "32", "--overlap", "32"], 2, "must be smaller"),
        (["{new}", "--product", " "], 1, "the product's name is empty"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(parts: Path, arguments: list[str], status: int, reason: str) -> None:
    encoder = [] if "--encoder" in arguments else ["--encoder", "test-tiny"]
    filled = [argument.format(new=parts / "new") for argument in arguments]
    result = run("inspect", *filled, *encoder, "--out", parts / "out")
    assert result.exit_code == status
    assert reason in result.stderr
    assert "Traceback" not in result.output
