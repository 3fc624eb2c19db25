"""A recipe and the same as a graph: what is compared, what is refused, and what the file holds."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image
from tests.support.exports import IN_ONE_PROCESS, shared_graphs
from tests.support.parts import frozen, good, part, spots
from torch import Tensor, nn

from blemish import catalog
from blemish.blocks.memory import ROWS_IN_GRAPH
from blemish.calibration.thresholds import Goal
from blemish.cli.main import main
from blemish.errors import BadInput, BadRecipe, MissingExtra
from blemish.export import exporting
from blemish.export.check import Parity, compare, first_difference, require_parity
from blemish.export.deploying import (
    ExportPlan,
    Graphs,
    deployed_recipe,
    graph_bytes,
    require_graph,
    size_for,
)
from blemish.export.exporting import Exported, export_recipe
from blemish.export.lessons import learned_of, renew_graph
from blemish.export.quantizing import products_by_weights, quantize
from blemish.export.tracing import Deployable, trace
from blemish.images import Inspected, View
from blemish.inspection import inspect
from blemish.recipes.calibrate import HoldoutScheme, calibrate
from blemish.recipes.deployed import GRAPH, Backend, Deployed
from blemish.recipes.detectors import bare_detector, detector
from blemish.recipes.recipe import Recipe, load, save
from blemish.recipes.update import add_good
from blemish.runtime.graph import GraphDetector
from blemish.types import ArrayPrediction, Geometry, Prediction

pytestmark = IN_ONE_PROCESS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Recipe:
    made = frozen("patchcore", good(folder / "taught", 4))
    way, goal = HoldoutScheme("split", every_picture=True), Goal(false_reject=0.2, confidence=0.5)
    return calibrate(made, good(folder / "fresh", 8, first=20), goal=goal, way=way)


@pytest.fixture(scope="module")
def exported(recipe: Recipe) -> Exported:
    return export_recipe(recipe, ExportPlan())


@pytest.fixture(scope="module")
def graphs(recipe: Recipe) -> Graphs:
    return shared_graphs(recipe, None, (64, 64))


def run(recipe: Recipe) -> GraphDetector:
    assert recipe.deployed is not None
    return GraphDetector(graph_bytes(recipe), recipe.deployed)


def test_a_recipe_that_was_taught_more_takes_the_graph_of_before(
    recipe: Recipe, exported: Exported, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Anew(Exception):
        """A new graph is made."""

    def made_anew(*_: object) -> None:
        raise Anew

    taught = add_good(recipe, good(folder / "more", 4, first=60))
    assert learned_of(taught)["bank.rows"].shape != learned_of(recipe)["bank.rows"].shape
    monkeypatch.setattr(exporting, "graphs_of", made_anew)
    found = export_recipe(taught, ExportPlan(), before=exported.recipe)
    assert found.parity.holds
    assert found.recipe.deployed
    assert found.recipe.deployed.check != exported.recipe.deployed.check if exported.recipe.deployed else False
    monkeypatch.setattr(exporting, "renew_graph", lambda model, _: model)  # as if nothing had been learned
    with pytest.raises(Anew):
        export_recipe(taught, ExportPlan(), before=exported.recipe)
    with pytest.raises(Anew):
        export_recipe(taught, ExportPlan(backend="openvino"), before=exported.recipe)


@pytest.mark.slow
def test_what_no_prediction_reads_is_no_reason_for_a_new_graph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = frozen("tab", good(folder / "taught", 4))
    before = export_recipe(recipe, ExportPlan())
    taught = add_good(recipe, good(folder / "more", 4, first=60))
    assert not torch.equal(learned_of(taught)["bank.axes"], learned_of(recipe)["bank.axes"])
    monkeypatch.setattr(exporting, "graphs_of", None)
    found = export_recipe(taught, ExportPlan(), before=before.recipe)
    assert found.parity.holds


def test_a_graph_is_renewed_by_all_that_was_learned_or_not_at_all(recipe: Recipe, exported: Exported) -> None:
    graph, learned = graph_bytes(exported.recipe), learned_of(recipe)
    wide = learned["bank.rows"].repeat(1, 2)
    assert renew_graph(graph, learned) is not None
    assert renew_graph(graph, {**learned, "bank.rows": wide}) is None
    assert renew_graph(graph, {**learned, "bank.rows": torch.zeros(ROWS_IN_GRAPH + 1, wide.shape[1] // 2)}) is None
    assert renew_graph(graph, {**learned, "bank.more": torch.zeros(20)}) is None
    assert renew_graph(graph, {"bank.rows": learned["bank.rows"]}) is None


def test_a_deployed_recipe_scores_alike_and_says_what_was_compared(
    recipe: Recipe, exported: Exported, folder: Path
) -> None:
    paths = [*good(folder / "later", 3, first=40), *spots(folder / "spots", 2), part(folder / "odd.png", 7, side=51)]
    before, after = (list(inspect(each, paths)) for each in (detector(recipe), run(exported.recipe)))
    for one, other in zip(before, after, strict=True):
        assert isinstance(one, Inspected)
        assert isinstance(other, Inspected)
        assert other.score == pytest.approx(one.score, rel=1e-5)
        np.testing.assert_allclose(other.anomaly_map, one.anomaly_map, atol=1e-4 * float(one.anomaly_map.max()))
    assert exported.recipe.deployed is not None
    check = exported.recipe.deployed.check
    assert check["pictures"] == 16  # ten drawn ones, two of them by a mask as well, and four by tiles
    assert exported.parity.holds
    assert (check["verdicts"], check["auroc"]) == (0, None)
    assert exported.note == ""


def test_the_file_holds_the_recipe_but_its_tensors_and_can_be_calibrated(
    recipe: Recipe, exported: Exported, tmp_path: Path
) -> None:
    save(exported.recipe, tmp_path / "d.blemish")
    found = load(tmp_path / "d.blemish")
    assert (found.hash, found.parent) == (exported.recipe.hash, recipe.hash)
    assert list(found.tensors) == [GRAPH]
    assert found.deployed == exported.recipe.deployed
    assert (found.calibration, found.taught, found.view) == (recipe.calibration, recipe.taught, recipe.view)
    with pytest.raises(BadRecipe, match="is deployed and learns nothing: use the recipe it was exported from"):
        bare_detector(found, {})


def test_a_deployed_recipe_is_not_exported_again(exported: Exported) -> None:
    with pytest.raises(BadInput, match="is deployed already"):
        export_recipe(exported.recipe, ExportPlan())


def test_int8_keeps_the_bank_and_is_calibrated_again(recipe: Recipe, folder: Path) -> None:
    fresh = good(folder / "more", 8, first=60)
    shown = [*good(folder / "check" / "good", 3, first=80), *spots(folder / "check" / "spots", 3)]
    found = export_recipe(recipe, ExportPlan("int8", good=tuple(fresh), check=tuple(shown)))
    model = onnx.load_from_string(graph_bytes(found.recipe))
    kinds = {each.op_type for each in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert {each.domain for each in model.graph.node} == {""}
    bank = next(each for name, each in recipe.tensors.items() if name.endswith("bank.rows")).numpy()
    floats = [numpy_helper.to_array(each) for each in model.graph.initializer if each.data_type == 1]
    assert any(each.shape == bank.shape and np.array_equal(each, bank) for each in floats)
    bytes_of = [numpy_helper.to_array(each) for each in model.graph.initializer if each.data_type == 3]
    assert (
        0 < max(int(np.abs(each.astype(int)).max()) for each in bytes_of) <= 64
    )  # or processors without VNNI overflow
    assert 1e-4 < found.parity.score < 1
    assert found.parity.auroc is not None
    assert found.recipe.calibration is not None
    assert recipe.calibration is not None
    assert found.recipe.calibration.good != recipe.calibration.good
    assert len(found.recipe.calibration.good) == len(recipe.calibration.good)


def test_a_reduced_precision_that_nobody_calibrated_gives_no_verdicts(recipe: Recipe, folder: Path) -> None:
    found = export_recipe(recipe, ExportPlan("bfloat16", "openvino", check=tuple(good(folder / "few", 2, first=90))))
    assert found.recipe.calibration is None
    assert "its scores are others now" in found.note


def test_thresholds_of_bfloat16_are_kept_by_no_graph(recipe: Recipe, graphs: Graphs) -> None:
    half = dataclasses.replace(recipe, precision="bfloat16")
    for plan in (ExportPlan(), ExportPlan("bfloat16", "openvino")):
        assert deployed_recipe(half, graphs, plan).calibration is None
    assert deployed_recipe(recipe, graphs, ExportPlan()).calibration == recipe.calibration


def test_what_is_learned_is_not_among_what_is_quantized(graphs: Graphs) -> None:
    nodes = {node.name: node for node in graphs.traced.model.graph.node}
    chosen = products_by_weights(graphs.traced.model, Deployable(graphs.detector))
    assert {nodes[name].op_type for name in chosen} == {"Conv", "MatMul"}
    products = [node for node in nodes.values() if node.op_type in ("MatMul", "Gemm")]
    assert 0 < len(chosen) < len(products)


class Perceptron(nn.Module):
    """Matrices that are too large for the exporter to turn them beforehand, of tensors side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Linear(192, 192) for _ in range(2))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.first(images.flatten(2))
        found = self.second(torch.cat([seen, 3 * seen.relu()], 1))
        return found.amax((1, 2)), found


def test_large_matrices_are_computed_in_int8_too() -> None:
    torch.manual_seed(0)
    module, images = Perceptron().requires_grad_(False), torch.rand(2, 3, 8, 24)
    model = trace(module, {"images": images}, ["image_score", "anomaly_map"]).model
    chosen = products_by_weights(model, module)
    assert [node.op_type for node in model.graph.node if node.name in chosen] == ["MatMul", "MatMul"]
    expected = module(images)[1].numpy()
    backends: tuple[Backend, ...] = get_args(Backend)
    for backend in backends:
        data = quantize(model, module, [each[None].numpy() for each in images], backend)
        outputs = ("image_score", "anomaly_map")
        deployed = Deployed(Geometry(8), (8, 24), outputs, precision="int8", backend=backend)
        given = GraphDetector(data, deployed).predict_arrays(images.numpy()).anomaly_map
        assert 0 < np.abs(given - expected).max() < 0.05 * np.abs(expected).max()


class Padding(nn.Module):
    """Two convolutions, the first of numbers below zero too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(i, 8, 3, padding=1) for i in (3, 8))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.second(self.first(images - 0.9).relu()).square().mean(1)
        return found.flatten(1).mean(1), found


def test_int8_is_the_same_by_both_backends_where_zeros_pad_what_is_negative() -> None:
    torch.manual_seed(0)
    module, images = Padding().requires_grad_(False), torch.rand(4, 3, 16, 16)
    model = trace(module, {"images": images}, ["image_score", "anomaly_map"]).model
    assert len(products_by_weights(model, module)) == 1
    inputs, expected = [each[None].numpy() for each in images], module(images)[1].numpy()
    backends: tuple[Backend, ...] = get_args(Backend)
    for backend in backends:
        data = quantize(model, module, inputs, backend)
        deployed = Deployed(Geometry(16), (16, 16), ("image_score", "anomaly_map"), precision="int8", backend=backend)
        given = GraphDetector(data, deployed).predict_arrays(images.numpy()).anomaly_map
        assert np.abs(given - expected).max() < 0.05 * expected.max()


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (ExportPlan("int8"), "int8 finds the ranges of values by good parts: give some by --good"),
        (ExportPlan("bfloat16"), "computes no bfloat16 on a processor: add --backend openvino"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(recipe: Recipe, plan: ExportPlan, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        export_recipe(recipe, plan)


def test_a_backend_that_is_not_installed_is_missed_before_a_graph_is_made(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "graphs_of", lambda *_: pytest.fail("a graph is made"))
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(
        MissingExtra, match=r"the graph of .* is run by OpenVINO: pip install 'blemish\[runtime-openvino\]'"
    ):
        export_recipe(recipe, ExportPlan(backend="openvino"))


def test_every_card_without_a_graph_says_why_and_is_refused(recipe: Recipe) -> None:
    unable = {name: card for name, card in catalog.METHODS.items() if card.no_graph}
    assert {"musc", "rare-clip", "ada-clip", "clip-ada", "iad-clip", "genclip", "dyc-clip"} <= set(unable)
    for name, card in unable.items():
        with pytest.raises(BadInput, match=f"{name} cannot be exported, since {card.no_graph}"):
            require_graph(dataclasses.replace(recipe, method=name))
    require_graph(dataclasses.replace(recipe, method="clip-ada", arguments={"refine": "none"}))


def test_a_method_that_keeps_the_shape_of_pictures_needs_pictures_of_one(recipe: Recipe, folder: Path) -> None:
    keeps = Geometry(64, keep_aspect=True, multiple=8)
    square, wide = part(folder / "square.png", 1), folder / "wide.png"
    assert size_for(recipe, Geometry(64, multiple=8), []) == (64, 64)
    assert size_for(recipe, keeps, [square]) == (64, 64)
    pixels = np.zeros((64, 128, 3), np.uint8)
    Image.fromarray(pixels).save(wide)
    assert size_for(recipe, keeps, [wide]) == (64, 128)
    for given, shapes in ([], "none are known"), ([square, wide], "128 x 64, 64 x 64"):
        with pytest.raises(BadInput, match=rf"keeps the shape of pictures, and a graph has one \({shapes}\)"):
            size_for(recipe, keeps, given)
    assert size_for(dataclasses.replace(recipe, view=View(tile=100)), keeps, []) == (64, 64)
    both = View(tile=100, balance=1.0, aspect=2.0)
    for view, size in ((View(aspect=2.0), (64, 128)), (View(tile=100, aspect=2.0), (64, 64))):
        assert size_for(dataclasses.replace(recipe, view=view), Geometry(64, multiple=8), [square]) == size
    with pytest.raises(BadInput, match=r"a graph has one \(128 x 64, 64 x 64\)"):  # of the whole and of its tiles
        size_for(dataclasses.replace(recipe, view=both), Geometry(64, multiple=8), [square])


def test_a_graph_that_scores_differently_is_not_kept_and_its_first_tensor_is_named(
    recipe: Recipe, graphs: Graphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = type(graphs.traced.model).FromString(graphs.traced.model.SerializeToString())
    weight = next(each for each in model.graph.initializer if each.name.endswith("patch.weight"))
    weight.CopyFrom(numpy_helper.from_array(1.01 * numpy_helper.to_array(weight), weight.name))
    wrong = graphs._replace(traced=graphs.traced._replace(model=model))
    monkeypatch.setattr(exporting, "graphs_of", lambda *_: wrong)
    with pytest.raises(BadInput, match=r"scores differently: .*first tensor that differs is conv2d \[1, 64, 8, 8\]"):
        export_recipe(recipe, ExportPlan())


def test_no_tensor_differs_where_none_does(graphs: Graphs) -> None:
    deployed = Deployed(Geometry(64), (64, 64), graphs.traced.outputs)
    image = np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32)
    assert first_difference(graphs.traced, deployed, image) is None


@pytest.mark.parametrize(
    ("change", "holds"),
    [({}, True), ({"score": 2e-5}, False), ({"map": 2e-4}, False), ({"verdicts": 1}, False), ({"types": 1}, False)],
)
def test_what_parity_is(change: dict[str, float], holds: bool) -> None:
    found = dataclasses.replace(Parity(3, 1e-6, 1e-6, 0), **change)  # type: ignore[arg-type]
    assert found.holds == holds


class Darkness(nn.Module):
    """Pictures are anomalous by their brightness; what is added is what rounding may leave."""

    geometry = Geometry(8)

    def __init__(self, off: float = 0.0) -> None:
        super().__init__()
        self.off = off

    def forward(self, images: Tensor) -> Prediction:
        found = images.mean(1) + self.off
        return Prediction(found.flatten(1).amax(1), found)

    def predict_arrays(self, images: NDArray[np.float32]) -> ArrayPrediction:
        return ArrayPrediction(*(each.numpy() for each in self(torch.from_numpy(images))[:2]))


def test_parts_of_which_nothing_but_rounding_is_left_are_compared_by_what_there_could_be(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "taught.png")
    cases = [(View(), [tmp_path / "taught.png"])]
    for off, holds in ((4e-8, True), (1e-4, False)):
        assert compare(Darkness(), Darkness(off), cases, size=(8, 8)).holds == holds


class Choosing(nn.Module):
    """What stands beside the nearer of two rows that are equally near."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(256))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        apart = images.flatten(1)[:, :1] * 0 + self.get_buffer("rows")
        beside = torch.arange(256.0)[apart.argmin(1)]
        return beside, images[:, 0] + beside[:, None, None]


def test_a_choice_between_equals_is_told_from_a_difference() -> None:
    images = torch.rand(2, 3, 8, 8)
    found = trace(Choosing(), {"images": images}, ["image_score", "anomaly_map"])
    rows = next(each for each in found.model.graph.initializer if list(each.dims) == [256])
    rows.CopyFrom(numpy_helper.from_array(np.linspace(0, -1e-5, 256, dtype=np.float32), rows.name))
    deployed = Deployed(Geometry(8), (8, 8), found.outputs)
    difference = first_difference(found, deployed, images[:1].numpy())
    assert difference is not None
    assert difference.chosen
    near = Parity(1, 1e-4, 1e-2, 0, verdicts=0, apart=0.005)
    require_parity(near, found, deployed, [images[:1].numpy()])
    for other in ({"apart": 0.1}, {"score": 0.1}, {"verdicts": 1}):
        far = dataclasses.replace(near, **other)
        with pytest.raises(BadInput, match="no tensor by itself does: nothing was written"):
            require_parity(far, found, deployed, [images[:1].numpy()])


def test_the_command_writes_both_files_and_refuses_what_is_there(recipe: Recipe, tmp_path: Path) -> None:
    save(recipe, tmp_path / "r.blemish")
    words = ["export", str(tmp_path / "r.blemish"), "--out", str(tmp_path / "d.blemish")]
    done = CliRunner().invoke(main, [*words, "--onnx", str(tmp_path / "d.onnx")])
    assert done.exit_code == 0, done.output
    assert "verdicts flipped    0" in done.output
    found, model = load(tmp_path / "d.blemish"), onnx.load(tmp_path / "d.onnx")
    header = json.loads(model.metadata_props[0].value)
    assert found.deployed is not None
    assert (header["hash"], header["deployed"]) == (found.hash, json.loads(json.dumps(found.deployed.as_json())))
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1
    assert "d.blemish exists" in again.output
    other = CliRunner().invoke(main, [*words[:-1], str(tmp_path / "e.blemish"), "--onnx", str(tmp_path / "d.onnx")])
    assert "d.onnx exists: name another file" in other.output
