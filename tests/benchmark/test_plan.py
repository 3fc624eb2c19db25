from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.support.made import PLAN, data_set, plan_file, planned

from blemish.benchmark.plan import omissions, read, trials
from blemish.errors import BadInput

EXAMPLE = Path(__file__).parents[2] / "examples" / "benchmark.toml"
MISTAKES = {
    "shotz = [1]": "shotz: there is no such key; did you mean shots?",
    "colour = 1": "colour: there is no such key; the keys are alpha, classifiers, data, device",
    "shots = 4": "shots: 4 will not do, wanted is a list of",
    "shots = []": "shots: [] will not do",
    "shots = [-1]": "shots: -1 will not do",
    "shots = [true]": "shots: True will not do",
    'shots = ["few"]': "shots: 'few' will not do",
    "shots = [2, 2]": "shots: 2 is there twice",
    "shots = [0]": "shots: methods[0], patchcore, learns from good parts: add",
    "seeds = [0.5]": "seeds: 0.5 will not do",
    "seeds = [-1]": "seeds: -1 will not do",
    'encoders = "test-tiny"': "encoders: 'test-tiny' will not do, wanted is a list of",
    "encoders = [3]": "encoders: 3 will not do",
    'precision = "half"': "precision: 'half' will not do, wanted is one of auto, float32, bfloat16",
    "alpha = 1": "alpha: 1 will not do",
    'alpha = "5 %"': "alpha: '5 %' will not do",
    'methods = ["patchcore"]': "methods: write one table or more, each under [[methods]]",
}
MISTAKES_IN_METHODS = {
    'name = "padding"': "methods[1].name: 'padding' will not do, wanted is one of aa-clip",
    "arguments = { ratio = 0.1 }": "methods[1].name: this key is needed",
    'name = "padim"\nargs = { }': "methods[1].args: there is no such key; did you mean arguments?",
    'name = "padim"\narguments = { neighbors = 9 }': "methods[1].arguments.neighbors: there is no such key",
    'name = "patchcore"\narguments = { neighbors = 9 }': "methods[1].arguments.neighbors: there is no such key; did",
    'name = "patchcore"\narguments = { encoder = "a" }': "methods[1].arguments.encoder: there is no such key",
    'name = "winclip"\narguments = { product = "a" }': "methods[1].arguments.product: there is no such key",
    'name = "patchcore"\narguments = 3': "methods[1].arguments: 3 will not do",
    'name = "patchcore"\narguments = { seed = 2026-01-01 }': "methods[1].arguments: ",
    'name = "patchcore"\nencoders = []': "methods[1].encoders: [] will not do",
    'name = "patchcore"\narguments = { ratio = 0.5 }': "methods[1]: measures the same as methods[0]",
}
MISTAKES_IN_DATA = {
    'name = "more"': "data[1].root: this key is needed",
    'root = "nowhere"': "data[1].root: ",
    'root = "parts"': "data[1]: measures the same as data[0]",
    'root = "parts"\nname = "b"\nlayout = "mtvec"': "data[1].layout: 'mtvec' will not do, wanted is one of",
    'root = "parts"\nname = "b"\nlayout = "visa"': "data[1].root: ",
    'root = "parts"\nname = "b"\ncategories = ["bold"]': "data[1].categories: 'bold' will not do, wanted is a list",
    'root = "parts"\nname = "b"\nproduct = { bold = "a" }': "data[1].product.bold: there is no such key; did you mean",
    'root = "parts"\nname = "b"\nproduct = { bolt = 1 }': "data[1].product.bolt: 1 will not do",
    'root = "parts"\nname = "b"\nproduct = 1': "data[1].product: 1 will not do",
    'root = "parts"\nname = "b"\npublished = "MVTec"': "data[1].published: 'MVTec' will not do, wanted is one of",
    'root = "parts/bolt/train"\ncategories = ["good"]': "data[1].categories: this data set has none",
}


def without(key: str) -> str:
    return "\n".join(line for line in PLAN.splitlines() if not line.startswith(f"{key} ="))


def refused(folder: Path, text: str) -> str:
    path = plan_file(data_set(folder), text)
    with pytest.raises(BadInput) as caught:
        trials(read(path))
    assert str(path) in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_refused_by_its_key_and_with_a_way_out(tmp_path: Path, line: str) -> None:
    key = line.partition(" ")[0]
    rest = PLAN.partition("[[data]]")[2] if key == "methods" else without(key)
    assert refused(tmp_path, f"{line}\n{'[[data]]' if key == 'methods' else ''}{rest}").startswith(MISTAKES[line])


@pytest.mark.parametrize("lines", MISTAKES_IN_METHODS)
def test_a_mistake_in_a_method_is_refused(tmp_path: Path, lines: str) -> None:
    assert refused(tmp_path, f"{PLAN}\n[[methods]]\n{lines}").startswith(MISTAKES_IN_METHODS[lines])


@pytest.mark.parametrize("lines", MISTAKES_IN_DATA)
def test_a_mistake_in_a_data_set_is_refused(tmp_path: Path, lines: str) -> None:
    assert refused(tmp_path, f"{PLAN}\n[[data]]\n{lines}").startswith(MISTAKES_IN_DATA[lines])


def test_what_is_needed_is_asked_for(tmp_path: Path) -> None:
    assert refused(tmp_path, "shots = [1]").startswith("methods: this key is needed")


def test_what_is_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is not TOML .*examples/benchmark.toml shows a plan"):
        read(plan_file(tmp_path, "shots = ["))
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="is not TOML"):
        read(tmp_path / "plan.toml")
    with pytest.raises(BadInput, match="cannot be read"):
        read(tmp_path / "missing.toml")


def test_trials_are_the_cross_product_in_the_order_of_the_plan(tmp_path: Path) -> None:
    found = [each.asked() for each in planned(data_set(tmp_path))]
    assert [(each["category"], each["seed"]) for each in found] == [("bolt", 0), ("bolt", 1), ("nut", 0), ("nut", 1)]
    assert found[0] == {
        "data": "parts",
        "category": "bolt",
        "method": "patchcore",
        "arguments": {"ratio": 0.5},
        "encoder": "test-tiny",
        "precision": "float32",
        "product": None,
        "shots": 2,
        "seed": 0,
        "alpha": 0.05,
    }


def test_only_a_draw_needs_more_than_one_seed(tmp_path: Path) -> None:
    text = PLAN.replace("[2]", '[0, 2, "all"]').replace('"patchcore"', '"winclip"').replace("ratio = 0.5", "")
    found = [(each.trial.shots, each.trial.seed) for each in planned(data_set(tmp_path, "bolt"), text)]
    assert found == [(0, 0), (2, 0), (2, 1), (None, 0)]


def test_a_method_that_must_learn_is_left_out_without_shots_and_that_is_said(tmp_path: Path) -> None:
    plan = read(plan_file(data_set(tmp_path), PLAN.replace("[2]", "[0, 2]") + '[[methods]]\nname = "winclip"'))
    measured = {(each.trial.method, each.trial.shots) for each in trials(plan)}
    assert measured == {("patchcore", 2), ("winclip", 0), ("winclip", 2)}
    assert omissions(plan) == ["patchcore is not measured with 0 shots: it learns from good parts"]


def test_a_method_may_have_encoders_of_its_own(tmp_path: Path) -> None:
    text = PLAN.replace('name = "patchcore"', 'name = "patchcore"\nencoders = ["embedded"]')
    assert {each.encoder for each in planned(data_set(tmp_path), text)} == {"embedded"}


def test_words_are_those_of_the_category_unless_the_plan_has_others(tmp_path: Path) -> None:
    text = PLAN.replace('"patchcore"', '"winclip"').replace("ratio = 0.5", "")
    folder = data_set(tmp_path, "hex_bolt", "nut")
    assert {each.asked()["product"] for each in planned(folder, text)} == {"hex bolt", "nut"}
    assert {each.asked()["product"] for each in planned(folder, text + 'product = "part"')} == {"part"}
    table = text + 'product = { nut = "steel nut" }'
    assert {each.asked()["product"] for each in planned(folder, table)} == {"hex bolt", "steel nut"}


def test_paths_start_at_the_plan_and_names_stay_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data_set(tmp_path / "somewhere")
    (folder / "own.safetensors").write_bytes(b"")
    (folder / "test-tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    found = planned(Path("somewhere"), PLAN.replace('"test-tiny"', '"test-tiny", "own.safetensors", "none"'))
    assert {each.encoder: each.trial.encoder for each in found} == {
        "test-tiny": "test-tiny",
        "own.safetensors": str(folder / "own.safetensors"),
        "none": "none",
    }
    assert {each.trial.root.resolve() for each in found} == {folder / "parts"}


def test_the_example_is_a_plan(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "plan.toml")
    data_set(tmp_path, "bottle", "metal_nut")
    (tmp_path / "parts").rename(tmp_path / "mvtec_anomaly_detection")
    found = trials(read(tmp_path / "plan.toml"))
    assert {each.trial.method for each in found} == {"winclip", "patchcore"}
    assert {each.published for each in found} == {"MVTec AD"}
    assert {each.asked()["product"] for each in found} == {"bottle", "steel nut", None}
