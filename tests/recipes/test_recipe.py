from __future__ import annotations

import dataclasses
import json
import math
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.support.parts import LEARNERS, METHODS, TEST, frozen, good, same, scores, spots
from tests.support.quick import SIDE
from torch import Tensor

from blemish import catalog, encoders
from blemish.calibration.thresholds import calibrate_thresholds
from blemish.catalog.reconstructions import RECONSTRUCTIONS
from blemish.errors import BadRecipe, CannotWrite
from blemish.images import Region, View
from blemish.recipes import file as recipe_file
from blemish.recipes import update
from blemish.recipes.deployed import Deployed
from blemish.recipes.describe import differences, summary, to_json
from blemish.recipes.detectors import detector, encoders_of
from blemish.recipes.file import FORMAT, KEY
from blemish.recipes.recipe import Recipe, Reference, load, save
from blemish.recipes.tensors import StoredTensors, arrays_of
from blemish.types import Encoder, Geometry, Prediction


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A recipe with everything in it."""
    found = frozen("patchcore", good(tmp_path / "good", 3))
    found = update.add_defects(found, "spot", spots(tmp_path / "bad", 1))
    mask = np.zeros((61, 47), bool)
    mask[5:40, 3:30] = True
    found = dataclasses.replace(
        found,
        view=View(Region(1, 2, 30, 40), mask, 32, 8, 4095.0),
        calibration=calibrate_thresholds(
            [0.1, 0.2, 0.35], scheme="split", defects={"spot": [0.3, 0.9]}, sizes={"spot": [5.0, math.nan]}
        ),
    )
    save(found, tmp_path / "a.blemish")
    return tmp_path / "a.blemish"


def with_seed(recipe: Recipe, seed: int) -> Recipe:
    return dataclasses.replace(recipe, arguments={**recipe.arguments, "seed": seed})


def meant_for(recipe: Recipe, name: str, *, source: str = "a.blemish") -> Recipe:
    """An encoder of that name and of a sha256 that none has."""
    return dataclasses.replace(recipe, encoders={"encoder": Reference(name, "ab" * 32)}, source=source)


def header(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    found: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return found


def with_header(path: Path, entries: dict[str, Any]) -> None:
    """The same tensors behind another header."""
    data = path.read_bytes()
    text = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + int.from_bytes(data[:8], "little") :])


def with_content(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Another content under its own, right hash: what only somebody who wants to can make."""
    content = recipe_file.read(path)
    values = json.loads(json.dumps(content.header))
    change(values)
    path.write_bytes(recipe_file.encode(recipe_file.Content(values, content.tensors)))


def with_tensors(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    content = recipe_file.read(path)
    tensors = dict(StoredTensors(content.tensors))
    change(tensors)
    path.write_bytes(recipe_file.encode(recipe_file.Content(content.header, arrays_of(tensors))))


@pytest.mark.parametrize(
    ("method", "fitted"),
    [
        *(
            pytest.param(method, True, marks=[pytest.mark.slow] if method in RECONSTRUCTIONS else [])
            for method in METHODS
        ),
        ("tab", False),
        ("winclip", False),
    ],
)
def test_a_recipe_is_the_same_bit_for_bit_after_saving_and_loading(method: str, fitted: bool, tmp_path: Path) -> None:
    before = frozen(method, good(tmp_path, 3) if fitted else [])
    save(before, tmp_path / "a.blemish")
    after = load(tmp_path / "a.blemish")
    assert after.hash == before.hash
    assert {name: str(t) for name, t in after.tensors.items()} == {name: str(t) for name, t in before.tensors.items()}
    assert all(torch.equal(after.tensors[name], tensor) for name, tensor in before.tensors.items())
    assert same(scores(after), scores(before))
    save(after, tmp_path / "b.blemish")
    assert (tmp_path / "a.blemish").read_bytes() == (tmp_path / "b.blemish").read_bytes()


@pytest.mark.parametrize("method", LEARNERS)
def test_a_frozen_detector_scores_as_one_that_was_fitted(method: str, tmp_path: Path) -> None:
    from tests.support.quick import QUICK

    from blemish.fitting import fit_detector

    paths = good(tmp_path, 3)
    fitted = fit_detector(method, "test-tiny", product="cap", good=paths, arguments=QUICK[method])(TEST)
    found = scores(frozen(method, paths))
    torch.testing.assert_close(found.image_score, fitted.image_score, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.anomaly_map, fitted.anomaly_map, rtol=1e-4, atol=1e-5)


def test_everything_is_there_again(saved: Path) -> None:
    found = load(saved)
    assert found.view.region == Region(1, 2, 30, 40)
    assert found.view.mask is not None
    assert found.view.mask.shape == (61, 47)
    assert int(found.view.mask.sum()) == 35 * 27
    assert (found.view.tile, found.view.overlap, found.view.white) == (32, 8, 4095.0)
    assert found.calibration is not None
    assert found.calibration.good == (0.1, 0.2, 0.35)
    assert math.isnan(found.calibration.sizes["spot"][1])
    assert [each.kind for each in found.taught] == ["good", "good", "good", "spot"]
    assert all(len(each.sha256) == 64 and each.sha256.startswith(each.id) for each in found.taught)
    assert (found.method, found.arguments["width"], found.precision) == ("patchcore", 32, "float32")
    assert found.encoders == {"encoder": Reference("test-tiny", "")}
    assert len(found.parent) == 64
    assert set(found.versions) == {"blemish", "torch"}
    assert found.created.endswith("+00:00")


def test_any_reader_of_safetensors_can_read_it(saved: Path) -> None:
    tensors = load_file(saved)
    assert "detector.bank.rows" in tensors
    assert not [name for name in tensors if "encoder" in name]
    with safe_open(saved, "pt") as file:
        assert json.loads(file.metadata()[KEY])["method"] == "patchcore"


def test_the_hash_is_of_the_whole_content(saved: Path) -> None:
    found = load(saved)
    others = [
        with_seed(found, 9),
        dataclasses.replace(found, view=dataclasses.replace(found.view, overlap=9)),
        dataclasses.replace(found, calibration=None),
        dataclasses.replace(found, tensors={**found.tensors, "x": torch.zeros(1)}),
        dataclasses.replace(found, tensors={name: tensor.clone().mul_(2) for name, tensor in found.tensors.items()}),
        dataclasses.replace(found, taught=found.taught[1:]),
    ]
    assert len({found.hash, *(each.hash for each in others)}) == 7
    assert dataclasses.replace(found, source="elsewhere").hash == found.hash


def test_what_a_file_was_before_is_kept_under_its_hash(saved: Path) -> None:
    first = saved.read_bytes()
    changed = with_seed(load(saved), 9)
    number = load(saved).hash
    save(changed, saved)
    assert (recipe_file.history(saved) / f"{number}.blemish").read_bytes() == first
    assert load(saved).hash == changed.hash
    assert not [each for each in saved.parent.iterdir() if each.name.startswith(".")]


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError("no space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match="no space"):
        save(with_seed(load(saved), 9), saved)
    assert saved.read_bytes() == before
    assert not [each for each in saved.parent.iterdir() if each.name.startswith(".")]


def test_a_file_that_is_no_recipe_is_not_overwritten(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    with pytest.raises(BadRecipe, match=r"notes\.txt is not a recipe"):
        save(load(saved), tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "keep me"


def test_differences_name_what_changed(saved: Path) -> None:
    found = load(saved)
    assert differences(found, found) == []
    changed = dataclasses.replace(
        found,
        arguments={**found.arguments, "width": 33},
        taught=found.taught[:-1],
        tensors={**found.tensors, "detector.bank.norms": found.tensors["detector.bank.norms"] + 1},
    )
    rows = {what: (before, after) for what, before, after in differences(found, changed)}
    assert rows["arguments width"] == ("32", "33")
    assert rows[f"picture {found.taught[-1].id}"] == ("spot: spot0.png", "")
    assert rows["tensor detector.bank.norms"][1].endswith("other values")
    assert set(rows) == {"hash", "arguments width", f"picture {found.taught[-1].id}", "tensor detector.bank.norms"}


def test_the_summary_and_the_description_say_what_it_is(saved: Path) -> None:
    found = load(saved)
    rows = dict(summary(found))
    assert rows["hash"] == found.hash
    assert rows["taught by"] == "good 3, spot 1"
    assert rows["region"] == "30 x 40 at (1, 2)"
    assert "accept below" in rows["verdicts"]
    assert "deployed" not in rows
    told = json.loads(json.dumps(to_json(found)))
    assert told["hash"] == found.hash
    assert told["tensors"]["view.mask"]["type"] == "U8"


def test_of_a_deployed_recipe_it_is_said_how_it_runs_and_what_was_compared() -> None:
    check = {"pictures": 16, "score": 2.7e-7, "map": 9.1e-7, "verdicts": 0, "types": None}
    deployed = Deployed(Geometry(8), (8, 16), ("image_score", "anomaly_map"), backend="openvino", check=check)
    one = Recipe("padim", {}, {"encoder": Reference("test-tiny", "")}, deployed=deployed)
    rows = dict(summary(one))
    assert rows["deployed"] == "float32 by openvino, 16 x 8"
    assert rows["compared"] == "16 pictures differ in scores by 2.7e-07, maps by 9.1e-07; verdicts flipped: 0"
    other = dataclasses.replace(one, deployed=dataclasses.replace(deployed, precision="bfloat16", check={}))
    assert dict(summary(other))["deployed"].startswith("bfloat16")
    assert [row[0] for row in differences(one, other)] == ["hash", "deployed precision", "deployed check"]


def test_a_missing_file_a_folder_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.blemish").touch()
    for path in (tmp_path / "gone.blemish", tmp_path, tmp_path / "empty.blemish"):
        with pytest.raises(BadRecipe, match="recipe freeze") as caught:
            load(path)
        assert str(path) in str(caught.value)


def test_another_file_is_not_a_recipe(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(2)}, tmp_path / "weights.safetensors")
    (tmp_path / "text.blemish").write_text("a recipe for cake, with flour and sugar")
    for name in ("weights.safetensors", "text.blemish"):
        with pytest.raises(BadRecipe, match="not a recipe"):
            load(tmp_path / name)


def test_a_file_cut_anywhere_is_refused(saved: Path, tmp_path: Path) -> None:
    data = saved.read_bytes()
    cut = tmp_path / "cut.blemish"
    for length in [*range(0, 40), *np.linspace(40, len(data) - 1, 60).astype(int).tolist()]:
        cut.write_bytes(data[:length])
        with pytest.raises(BadRecipe, match=r"truncated|not a recipe") as caught:
            load(cut)
        assert str(cut) in str(caught.value)


def test_an_altered_file_is_refused(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[-3] ^= 1
    saved.write_bytes(data)
    with pytest.raises(BadRecipe, match=r"a\.blemish was altered after it was written.*another hash.*history"):
        load(saved)


def test_a_header_changed_by_hand_is_refused(saved: Path) -> None:
    entries = header(saved)
    entries["__metadata__"][KEY] = entries["__metadata__"][KEY].replace('"width":32', '"width":33')
    with_header(saved, entries)
    with pytest.raises(BadRecipe, match="was altered"):
        load(saved)


def test_a_newer_format_says_to_upgrade_whatever_else_has_changed(saved: Path) -> None:
    entries = header(saved)
    entries["__metadata__"][KEY] = json.dumps({"format": FORMAT + 1, "unheard": "of"})
    entries["detector.bank.rows"]["dtype"] = "F4"
    with_header(saved, entries)
    with pytest.raises(BadRecipe, match=f"is of format {FORMAT + 1}, and this blemish reads up to {FORMAT}: pip"):
        load(saved)


def test_a_recipe_of_the_first_format_says_how_to_make_it_again(tmp_path: Path) -> None:
    """As the first version wrote them: one encoder, and words of their own."""
    entries = {"format": 1, "hash": "ab" * 32, "method": "winclip", "arguments": {}, "encoder": "test-tiny"}
    entries |= {"encoder_sha256": "", "product": "cap", "defects": [], "precision": "float32"}
    save_file({"detector.texts": torch.zeros(2, 8)}, tmp_path / "old.blemish", {KEY: json.dumps(entries)})
    with pytest.raises(BadRecipe, match=r"old\.blemish is of format 1, .* reads no longer: make it again .* freeze"):
        load(tmp_path / "old.blemish")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_tensors_of_half_precision_are_kept_as_they_are(saved: Path, kind: torch.dtype) -> None:
    tensors = {"half": TEST[0].to(kind), "empty": torch.empty(0, 3, dtype=kind), "one": torch.tensor(0.5, dtype=kind)}
    before = dataclasses.replace(load(saved), tensors={**load(saved).tensors, **tensors})
    save(before, saved)
    after = load(saved)
    assert after.hash == before.hash
    for name, tensor in tensors.items():
        assert after.tensors[name].dtype == kind
        assert torch.equal(after.tensors[name], tensor)
    assert load_file(saved)["half"].dtype == kind
    with_tensors(saved, lambda t: t.update(half=torch.full((2,), torch.nan, dtype=kind)))
    with pytest.raises(BadRecipe, match="NaN"):
        load(saved)


class Pair(torch.nn.Module):
    """How far two encoders are apart, as a method with a teacher has them."""

    def __init__(self, encoder: str | Encoder, *, teacher: str | Encoder, gain: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.teacher, self.gain = encoders.load(encoder), encoders.load(teacher), gain
        self.geometry = Geometry(SIDE)
        self.register_buffer("shift", torch.ones(()))

    def forward(self, images: Tensor) -> Prediction:
        one, other = (each(images, layers=[1]).patches[0].mean(-1) for each in (self.encoder, self.teacher))
        maps = torch.nn.functional.interpolate((self.gain * one - other)[:, None], images.shape[-2:])[:, 0]
        return Prediction(maps.flatten(1).amax(1), maps + self.get_buffer("shift"))


def test_a_recipe_holds_several_encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.METHODS, "pair", catalog.Card(f"{__name__}:Pair", "", ""))
    teacher = encoders.load("test-tiny")
    teacher.sha256 = "cd" * 32
    found = update.freeze("pair", "test-tiny", arguments={"teacher": teacher, "gain": 2})
    assert found.arguments == {"gain": 2}
    assert found.encoders == {"encoder": Reference("test-tiny", ""), "teacher": Reference("test-tiny", "cd" * 32)}
    assert set(found.tensors) == {"detector.shift"}
    save(found, tmp_path / "a.blemish")
    again = load(tmp_path / "a.blemish")
    assert again.encoders == found.encoders
    with pytest.raises(BadRecipe, match=r"a\.blemish is meant for the encoder test-tiny \(cdcdcdcdcdcd\)"):
        detector(again)
    places = {"teacher": teacher}
    assert set(encoders_of(again, places)) == {"encoder", "teacher"}
    expected = Pair("test-tiny", teacher="test-tiny", gain=2)(TEST)
    assert same(detector(again, places)(TEST), expected)
    assert dict(summary(again))["teacher"].startswith("test-tiny cdcd")
    other = dataclasses.replace(again, encoders={**again.encoders, "teacher": Reference("vit", "ef" * 32)})
    rows = {what: (before, after) for what, before, after in differences(again, other)}
    assert rows["teacher"] == (f"test-tiny {'cd' * 32}", f"vit {'ef' * 32}")


def test_another_encoder_is_refused(saved: Path) -> None:
    found = meant_for(load(saved), "test-tiny", source="line 3.blemish")
    with pytest.raises(
        BadRecipe, match=r"line 3\.blemish is meant for the encoder test-tiny \(abababababab\).*--encoder"
    ):
        detector(found)
    with pytest.raises(BadRecipe, match=r"needs its encoder.*--encoder PATH"):
        detector(meant_for(load(saved), "/gone/vit.safetensors"))


def test_the_encoder_may_lie_elsewhere_if_it_is_the_same(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoders.load("test-tiny")
    encoder.sha256 = "ab" * 32
    found = meant_for(load(saved), "/gone/vit.safetensors")
    assert same(detector(found, encoder)(TEST), scores(load(saved)))


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "an unknown entry": (lambda v: v.update(run="rm -rf /"), "run: there is no such key"),
    "a missing entry": (lambda v: v.pop("precision"), "precision"),
    "no encoder": (lambda v: v["encoders"].pop("encoder"), "encoders"),
    "an encoder without a name": (lambda v: v["encoders"]["encoder"].pop("name"), "encoders"),
    "an encoder of numbers": (lambda v: v["encoders"].update(teacher={"name": 1, "sha256": 2}), "encoders"),
    "a list of encoders": (lambda v: v.update(encoders=["test-tiny"]), "encoders"),
    "a number for a name": (lambda v: v.update(method=7), "method"),
    "a list for arguments": (lambda v: v.update(arguments=[1]), "arguments"),
    "a region of words": (lambda v: v["view"].update(region=["a", "b", "c", "d"]), "region"),
    "a region without area": (lambda v: v["view"].update(region=[0, 0, 0, 9]), "region"),
    "a huge mask": (lambda v: v["view"].update(mask=[1 << 30, 1 << 30]), "mask"),
    "a mask of one side": (
        lambda v: v["view"].update(mask=[61]),
        r"view\.mask: \[61\] will not do, wanted is .*copy it again",
    ),
    "no tile to overlap": (lambda v: v["view"].update(tile=16, overlap=16), "tile"),
    "a black white": (lambda v: v["view"].update(white=-1), "white"),
    "a picture without a hash": (lambda v: v["taught"].append(["ab", "a.png", "good"]), "taught"),
    "a picture of three hundred": (lambda v: v["taught"].append(["a"] * 300), "taught: .* will not do"),
    "an odd precision": (lambda v: v.update(precision="float8"), "precision"),
    "an odd calibration": (lambda v: v.update(calibration={"good": []}), "calibration"),
    "no versions": (lambda v: v.update(versions=None), "versions"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_values_of_another_kind_are_refused(saved: Path, name: str) -> None:
    change, reason = HOSTILE[name]
    with_content(saved, change)
    with pytest.raises(BadRecipe, match=reason) as caught:
        load(saved)
    assert str(saved) in str(caught.value)


MISFITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "an unknown method": lambda v: v.update(method="guess"),
    "an unknown argument": lambda v: v["arguments"].update(speed=9),
    "an argument of another kind": lambda v: v["arguments"].update(layers="many"),
    "layers that are not there": lambda v: v["arguments"].update(layers=[99]),
    "another width": lambda v: v["arguments"].update(width=25),
    "pictures too large": lambda v: v["arguments"].update(image_size=1 << 20),
    "another method": lambda v: v.update(method="padim", arguments={}),
}


@pytest.mark.parametrize("name", MISFITS)
def test_arguments_that_do_not_fit_are_refused_before_the_first_picture(saved: Path, name: str) -> None:
    with_content(saved, MISFITS[name])
    found = load(saved)
    with pytest.raises(BadRecipe, match=r"does not fit .*freeze it again") as caught:
        detector(found)
    assert str(saved) in str(caught.value)


ROWS, NORMS = "detector.bank.rows", "detector.bank.norms"
ODD: dict[str, Callable[[dict[str, torch.Tensor]], object]] = {
    "a name that is not expected": lambda t: t.update({"detector.bank.more": torch.zeros(1)}),
    "a missing tensor": lambda t: t.pop(NORMS),
    "another type": lambda t: t.update({ROWS: t[ROWS].double()}),
    "another number of axes": lambda t: t.update({ROWS: t[ROWS].flatten()}),
    "sizes that do not agree": lambda t: t.update({NORMS: t[NORMS][1:]}),
    "an empty one": lambda t: t.update({NORMS: torch.empty(0)}),
    "another width": lambda t: t.update({ROWS: t[ROWS][:, :5].clone()}),
    "nothing to learn": lambda t: t.update({NORMS: torch.empty(0), ROWS: torch.empty(0)}),
    "defects without contrast": lambda t: t.pop("contrast.rows"),
    "defects of nobody": lambda t: t.update({"shown.of": t["shown.of"] + 1}),
    "defects of another width": lambda t: t.update({"shown.rows": t["shown.rows"][:, :5].clone()}),
    "no margin": lambda t: t.pop("shown.margin"),
}


@pytest.mark.parametrize("name", ODD)
def test_tensors_that_do_not_fit_are_refused_before_the_first_picture(saved: Path, name: str) -> None:
    with_tensors(saved, ODD[name])
    found = load(saved)
    with pytest.raises(BadRecipe, match="does not fit patchcore"):
        detector(found)


@pytest.mark.parametrize("change", ["origin.0", "evicted"])
def test_rows_that_do_not_agree_are_refused_when_more_is_taught(saved: Path, tmp_path: Path, change: str) -> None:
    def changed(tensors: dict[str, torch.Tensor]) -> None:
        if change == "evicted":
            tensors["evicted.pictures"] = torch.tensor([1])
        else:
            tensors["origin.0"] = tensors["origin.0"][:, :1].clone()

    with_tensors(saved, changed)
    found = dataclasses.replace(load(saved), view=View())
    with pytest.raises(BadRecipe, match="does not fit"):
        update.add_good(found, good(tmp_path / "more", 1, first=50))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_tensors_that_are_not_finite_are_refused(saved: Path, value: float) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors[ROWS].view(-1)[7] = value

    with_tensors(saved, spoil)
    with pytest.raises(BadRecipe, match="NaN or infinite"):
        load(saved)


PLACES: dict[str, dict[str, Any]] = {
    "a type that is not there": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]},
    "another size than its shape": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 8]},
    "a negative size": {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]},
    "sizes that overflow": {"dtype": "U8", "shape": [1 << 40, 1 << 40, 0], "data_offsets": [0, 0]},
    "sizes of another kind": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]},
    "true for one": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
    "an end before the start": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
    "beyond the end of the file": {"dtype": "F32", "shape": [1 << 38], "data_offsets": [0, 1 << 40]},
    "three offsets": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8, 8]},
    "no offsets": {"dtype": "F32", "shape": [2]},
    "more than its place": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], "run": "ls"},
    "many axes": {"dtype": "F32", "shape": [1] * 40, "data_offsets": [0, 4]},
}


@pytest.mark.parametrize("name", PLACES)
def test_a_header_that_asks_for_what_is_not_there_is_refused(saved: Path, name: str) -> None:
    entries = header(saved)
    with_header(saved, {"__metadata__": entries["__metadata__"], "x": PLACES[name]})
    with pytest.raises(BadRecipe, match=r"makes no sense|truncated|overlap"):
        load(saved)


def test_tensors_may_neither_overlap_nor_leave_gaps(saved: Path) -> None:
    entries = header(saved)
    place = entries[NORMS]["data_offsets"]
    for moved in (-4, 4):
        entries[NORMS]["data_offsets"] = [end + moved for end in place]
        with_header(saved, entries)
        with pytest.raises(BadRecipe, match=r"overlap or leave gaps|truncated"):
            load(saved)


NO_JSON = {
    "a deep list": b"[" * 100_000,
    "a deep object": b'{"a":' * 100_000,
    "NaN": b'{"a": NaN}',
    "a name that comes twice": b'{"a": 1, "a": 2}',
    "no UTF-8": b"{\xff\xfe}",
    "something behind": b"{}x",
    "a list": b"[1]",
    "a long number": b'{"a": 1' + b"0" * 5000 + b"}",
}


@pytest.mark.parametrize("name", NO_JSON)
def test_a_header_that_is_no_plain_json_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.blemish"
    path.write_bytes(struct.pack("<Q", len(NO_JSON[name])) + NO_JSON[name])
    with pytest.raises(BadRecipe):
        load(path)


def test_the_length_of_a_header_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.blemish"
    for length in (1 << 63, (1 << 64) - 1, 1 << 31, 200):
        path.write_bytes(struct.pack("<Q", length) + b'{"a": 1}')
        with pytest.raises(BadRecipe, match=r"not a recipe|truncated"):
            load(path)


def test_a_deeply_nested_argument_is_refused_or_loads(saved: Path) -> None:
    entries = header(saved)
    for depth in (50, 300, 900, 960, 990, 5000):
        values = entries["__metadata__"][KEY].replace('"width":32', '"width":' + "[" * depth + "]" * depth)
        with_header(saved, entries | {"__metadata__": {KEY: values}})
        with pytest.raises(BadRecipe):
            load(saved)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.blemish")
    with pytest.raises(BadRecipe, match="is no file"):
        load(tmp_path / "a.blemish")


def test_a_recipe_of_words_keeps_them(tmp_path: Path) -> None:
    found = update.freeze("tab", "test-tiny", arguments={"product": "bolt", "defects": ("scratch", "dent")})
    save(found, tmp_path / "a.blemish")
    again = load(tmp_path / "a.blemish")
    assert again.arguments == {"product": "bolt", "defects": ["scratch", "dent"]}
    assert same(scores(again), scores(found))
    assert not same(scores(again), scores(update.freeze("tab", "test-tiny", arguments={"product": "bolt"})))
    assert dict(summary(again))["defects"] == "scratch, dent"


def test_a_recipe_has_no_default_that_is_shared() -> None:
    one, other = (Recipe("winclip", {}, {"encoder": Reference("test-tiny", "")}) for _ in range(2))
    assert one.tensors is not other.tensors
