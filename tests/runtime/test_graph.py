"""Graphs that are run without trust: what they may ask for, and what is said of those that ask for more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import onnx
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.structure.source import ROOT

from blemish.errors import BadInput, BadRecipe, MissingExtra
from blemish.notices import gather
from blemish.recipes.deployed import Backend, Deployed, Precision
from blemish.runtime.graph import OPSET, GraphDetector, GraphNamer, open_model
from blemish.runtime.onnx_bytes import ALIGNED, align, demands, split_weights
from blemish.types import Geometry

DEPLOYED = Deployed(Geometry(8), (8, 8), ("image_score", "anomaly_map"))


def model(*, size: int = 8, domain: str = "", outputs: tuple[str, ...] = DEPLOYED.outputs) -> onnx.ModelProto:
    """The mean of each picture, and of its colours."""
    axes = [numpy_helper.from_array(np.array(each), name) for name, each in (("all", [1, 2, 3]), ("one", [1]))]
    nodes = [
        helper.make_node("ReduceMean", ["images", name], [output], keepdims=0, domain=domain)
        for name, output in zip(("all", "one"), outputs, strict=True)
    ]
    shapes: list[list[str | int]] = [["batch"], ["batch", size, size]]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info(*each) for each in zip(outputs, [TensorProto.FLOAT] * 2, shapes, strict=True)],
        axes,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    if domain:
        made.opset_import.append(helper.make_opsetid(domain, 1))
    return made


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_graph_is_a_detector_on_arrays(backend: Backend) -> None:
    made = GraphDetector(
        model().SerializeToString(), Deployed(Geometry(8), (8, 8), DEPLOYED.outputs, backend=backend, types=("hole",))
    )
    images = np.random.default_rng(0).random((3, 3, 8, 8), dtype=np.float32)
    found, again = made.predict_arrays(images), made.predict_arrays(images[:1])
    np.testing.assert_allclose(found.image_score, images.mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(found.anomaly_map, images.mean(1), rtol=1e-5)
    np.testing.assert_allclose(again.image_score, images[:1].mean((1, 2, 3)), rtol=1e-5)
    assert (found.type_scores, found.places, made.types, made.geometry) == (None, None, ("hole",), Geometry(8))


def test_pictures_of_another_shape_are_refused() -> None:
    made = GraphDetector(model().SerializeToString(), DEPLOYED)
    with pytest.raises(BadInput, match="pictures become 16 x 8 here, and this recipe was exported for 8 x 8"):
        made.predict_arrays(np.zeros((1, 3, 8, 16), np.float32))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (model(size=16), r"has a graph with images \[-1, 3, 16, 16\], and says it has images \[-1, 3, 8, 8\]"),
        (model(outputs=("image_score", "elsewhere")), r"elsewhere .*says it has image_score, anomaly_map"),
        (model(domain="com.example"), "with operators of com.example"),
    ],
)
def test_a_graph_that_is_not_what_the_header_says_is_refused(made: onnx.ModelProto, said: str) -> None:
    with pytest.raises(BadRecipe, match=f"line3 .*{said}.*export it again"):
        GraphDetector(made.SerializeToString(), DEPLOYED, "line3")


def outside(made: onnx.ModelProto) -> onnx.ModelProto:
    tensor = made.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="elsewhere.bin")
    return made


def inside_another(made: onnx.ModelProto) -> onnx.ModelProto:
    """A branch that asks for what its graph does not."""
    inner = outside(model())
    made.graph.node.append(
        helper.make_node("If", ["all"], ["never"], then_branch=inner.graph, else_branch=model().graph)
    )
    return made


@pytest.mark.parametrize("change", [outside, inside_another])
def test_numbers_in_other_files_are_refused_before_anything_is_loaded(change: object) -> None:
    assert callable(change)
    with pytest.raises(BadRecipe, match="line3 has a graph whose numbers lie in other files"):
        GraphDetector(change(model()).SerializeToString(), DEPLOYED, "line3")


def test_functions_of_its_own_are_refused() -> None:
    made = model()
    made.functions.add(name="anything", domain="")
    with pytest.raises(BadRecipe, match="operators of functions of its own"):
        GraphDetector(made.SerializeToString(), DEPLOYED, "line3")


def test_an_opset_that_the_runtime_does_not_know_is_said() -> None:
    made = model()
    made.opset_import[0].version = 900
    with pytest.raises(BadRecipe, match=r"opset 900, for which onnxruntime .* is too old: pip install --upgrade"):
        GraphDetector(made.SerializeToString(), DEPLOYED, "line3")
    newer = model()
    newer.opset_import[0].version = OPSET + 1  # OpenVINO would take the operators for those that it knows
    with pytest.raises(BadRecipe, match=rf"line3 has a graph of opset {OPSET + 1}, .* up to {OPSET}: pip install"):
        open_model(newer.SerializeToString(), "openvino", "float32", "line3")


@pytest.mark.parametrize("length", [0, 1, 40, 200])
def test_bytes_that_are_no_model_are_refused(length: int) -> None:
    good = model().SerializeToString()
    noise = np.random.default_rng(length).bytes(300)
    for data in (good[:length], noise[:length]):
        with pytest.raises(BadRecipe, match="line3"):
            GraphDetector(data, DEPLOYED, "line3")


def with_weights() -> onnx.ModelProto:
    """Pictures turned by a large matrix, and the sum of each; the matrix comes last, a small tensor first."""
    made = model()
    turn = np.random.default_rng(0).random((192, 64), dtype=np.float32)
    shapes = {"line": np.array([-1, 192]), "square": np.array([-1, 8, 8]), "sides": np.array([1, 2])}
    made.graph.initializer.extend(numpy_helper.from_array(each, name) for name, each in shapes.items())
    made.graph.initializer.append(numpy_helper.from_array(turn, "turn"))
    steps = (
        ("Reshape", ["images", "line"], "lines"),
        ("MatMul", ["lines", "turn"], "turned"),
        ("Reshape", ["turned", "square"], "anomaly_map"),
        ("ReduceMean", ["anomaly_map", "sides"], "image_score"),
    )
    del made.graph.node[:]
    for kind, given, to in steps:
        made.graph.node.append(helper.make_node(kind, given, [to]))
    made.graph.node[-1].attribute.append(helper.make_attribute("keepdims", 0))
    return made


@pytest.mark.parametrize("laid", [bytes, align])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_weights_are_read_where_they_lie(backend: Backend, laid: Callable[[bytes], bytes]) -> None:
    made = with_weights()
    data = np.frombuffer(laid(made.SerializeToString()), np.uint8).copy()
    run = open_model(data.data, backend, "float32", "line3").run
    expected = np.random.default_rng(1).random((2, 3, 8, 8), dtype=np.float32)
    given = run({"images": expected})
    turned = expected.reshape(2, 192) @ numpy_helper.to_array(made.graph.initializer[-1])
    np.testing.assert_allclose(given[1], turned.reshape(2, 8, 8), rtol=1e-4)
    np.testing.assert_allclose(given[0], turned.mean(1), rtol=1e-4)


@pytest.mark.parametrize("name", ["a", "a longer name", "a name " * 20])
def test_large_tensors_begin_where_a_backend_wants_them(name: str) -> None:
    made = with_weights()
    made.graph.name, made.graph.initializer[-1].name, made.graph.node[1].input[1] = name, name, name
    for before in (made.SerializeToString(), align(made.SerializeToString())):  # what is aligned stays so
        after = align(before)
        found = onnx.load_from_string(after)
        assert after.index(made.graph.initializer[-1].raw_data) % ALIGNED == 0
        for each in found.graph.initializer:
            each.ClearField("doc_string")
        assert [*map(repr, found.graph.initializer)] == [*map(repr, made.graph.initializer)]
        assert found.graph.node == made.graph.node
        assert len(after) - len(made.SerializeToString()) < 2 * ALIGNED + 8


def test_a_model_without_its_weights_is_small_and_says_where_they_are() -> None:
    data = align(with_weights().SerializeToString())
    bare, weights = split_weights(data, "outside")
    assert list(weights) == ["turn"]
    assert len(bare) < len(data) - weights["turn"].nbytes + 100
    (said,) = [each for each in onnx.load_from_string(bare).graph.initializer if each.external_data]
    place = {entry.key: entry.value for entry in said.external_data}
    assert data[int(place["offset"]) :][: int(place["length"])] == weights["turn"].tobytes()


def test_what_a_model_asks_for_is_read_as_its_own_library_reads_it() -> None:
    found = demands(model(domain="com.example").SerializeToString(), "line3")
    assert (found.opset, list(found.domains), found.files) == (20, ["com.example"], False)


def test_bfloat16_is_computed_by_openvino_alone() -> None:
    with pytest.raises(BadRecipe, match="onnxruntime computes no bfloat16"):
        open_model(model().SerializeToString(), "onnxruntime", "bfloat16", "line3")


def test_a_processor_without_bfloat16_says_that_it_computes_in_float32() -> None:
    has = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    expected: dict[Precision, bool] = {"bfloat16": not has, "float32": False}
    for precision, said in expected.items():
        with gather() as notices:
            open_model(model().SerializeToString(), "openvino", precision, "line3")
        assert [line.startswith("the graph of line3 is for bfloat16, of which") for line in notices.lines()] == [
            True
        ] * said


@pytest.mark.parametrize(("backend", "extra"), [("onnxruntime", "runtime"), ("openvino", "runtime-openvino")])
def test_a_backend_that_is_not_installed_is_named_with_what_installs_it(
    backend: Backend, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(MissingExtra, match=rf"(?i)^line3 is run by {backend}: pip install 'blemish\[{extra}\]'$"):
        open_model(model().SerializeToString(), backend, "float32", "line3")


def test_a_graph_that_names_nothing_is_no_namer() -> None:
    with pytest.raises(BadRecipe, match="says it has places, share"):
        GraphNamer(model().SerializeToString(), DEPLOYED, "line3")


def test_a_graph_is_run_without_torch() -> None:
    said = "import sys, blemish.runtime.graph; sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    paths = os.pathsep.join([str(ROOT.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", said], env={**os.environ, "PYTHONPATH": paths}, check=False)
    assert done.returncode == 0


def test_what_inspecting_does_not_need_is_not_waited_for() -> None:
    said = "import sys; before = {*sys.modules}; import blemish.runtime; print(*{*sys.modules} - before)"
    paths = os.pathsep.join([str(ROOT.parent), os.environ.get("PYTHONPATH", "")])
    around = {**os.environ, "PYTHONPATH": paths}
    found = subprocess.run([sys.executable, "-c", said], env=around, check=True, capture_output=True, text=True).stdout
    assert not {*found.split()} & {"csv", "email", "importlib.metadata", "tomllib", "onnxruntime", "rich"}
