"""A module -> an ONNX model of standard operators, for any number of pictures of one size; checked as it is made."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blemish.encoders.inputs import device_of
from blemish.errors import BadInput, MissingExtra
from blemish.export.searching import quicken_search
from blemish.runtime.graph import OPSET, open_model
from blemish.types import Detector, Prediction

Model: TypeAlias = Any
"""An onnx.ModelProto."""
BATCHES = (1, 3, 8)
"""Pictures at once that every model is run with before it is kept."""
WORTH_SHARING = 1 << 10
"""Bytes of a tensor of which there is to be one only."""
PRIVATE = "pkg.torch"
"""What the exporter notes in a model begins so: the places in our source where its nodes come from."""


class Traced(NamedTuple):
    """A model, and the program that it was made from, whose nodes have the names of its tensors."""

    model: Model
    program: Any  # torch.export.ExportedProgram
    outputs: tuple[str, ...]


class Deployable(nn.Module):
    """A detector whose prediction is a tuple of what it gives."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) in [0, 1] -> what of a `Prediction` is there, in its order."""
        return tuple(each for each in self.detector(images) if each is not None)


def trace_detector(detector: Detector, size: tuple[int, int]) -> Traced:
    """Of a detector that has learned, for pictures of that size (height, width)."""
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found: Prediction = detector(images.to(device_of(detector)))
    outputs = [name for name, each in found._asdict().items() if each is not None]
    return trace(Deployable(detector), {"images": images}, outputs)


def trace(module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str]) -> Traced:
    """Of a module of these inputs, whose first axis may be of any length; raises BadInput where it has no graph."""
    _require_exporter()
    module = module.eval()
    fix_positions(module, next(iter(inputs.values())).shape[-2:])
    axis = torch.export.Dim("batch", min=1, max=1 << 12)
    with torch.no_grad(), quiet_exporter():
        try:
            shapes = tuple({0: axis} for _ in inputs)
            program = torch.export.export(module, tuple(inputs.values()), dynamic_shapes=shapes, strict=False)
            found = torch.onnx.export(
                program, dynamo=True, opset_version=OPSET, input_names=list(inputs), output_names=list(outputs),
                external_data=False, optimize=True, verbose=False,
            )  # fmt: skip
        except Exception as error:  # its errors have no class of their own
            raise BadInput(f"it has no graph as it is set up: {' '.join(str(error).split())[:300]}") from error
    assert found is not None
    model = found.model_proto
    strip_notes(model)
    share_numbers(model)
    quicken_search(model)
    turn_weights(model)
    traced = Traced(model, found.exported_program, tuple(outputs))
    require_any_count(traced, module, inputs)
    return traced


def require_any_count(traced: Traced, module: nn.Module, inputs: dict[str, Tensor]) -> None:
    """Raise BadInput for a model that takes only so many pictures at once, or gives others than the module.

    The exporter may fix the number of the example without an error, so the model is asked and tried.
    """
    for port in traced.model.graph.input:
        if not port.type.tensor_type.shape.dim[0].dim_param:
            raise BadInput(
                f"its graph takes {port.type.tensor_type.shape.dim[0].dim_value} pictures at once and no other"
            )
    run = open_model(traced.model.SerializeToString(), "onnxruntime", "float32", "the graph").run
    for count in BATCHES:
        given = {name: repeat(each, count) for name, each in inputs.items()}
        with torch.no_grad():
            expected = module(*given.values())
        for name, one, other in zip(traced.outputs, expected, run(arrays_of(given)), strict=True):
            if tuple(one.shape) != other.shape:
                raise BadInput(
                    f"its graph gives {name} as {list(other.shape)} for {count} pictures, not {list(one.shape)}"
                )


def repeat(tensor: Tensor, count: int) -> Tensor:
    """So many rows, of those that there are."""
    return tensor[torch.arange(count) % tensor.shape[0]]


def arrays_of(tensors: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    """The same on the processor, for a session."""
    return {name: np.ascontiguousarray(each.detach().cpu().numpy()) for name, each in tensors.items()}


def fix_positions(module: nn.Module, size: Sequence[int]) -> None:
    """Give every tower with a table of positions the one for pictures of that size, as a graph has no other."""
    for tower in module.modules():
        table, patch = getattr(tower, "position_table", None), getattr(tower, "patch_size", 0)
        if table is not None and patch:
            grid = (size[0] // patch, size[1] // patch)
            with torch.no_grad():
                tower.fixed = {grid: table(*grid).detach().clone()}  # type: ignore[assignment]


def strip_notes(model: Model) -> None:
    """Leave out what the exporter noted, places in the source among it."""
    graph = model.graph
    for each in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        kept = [entry for entry in each.metadata_props if not entry.key.startswith(PRIVATE)]
        del each.metadata_props[:]
        each.metadata_props.extend(kept)
        each.doc_string = ""


def share_numbers(model: Model) -> None:
    """Keep equal tensors once: the exporter writes a bank as often as it is asked."""
    graph, first, names = model.graph, dict[tuple[int, tuple[int, ...], bytes], str](), dict[str, str]()
    for each in graph.initializer:
        key = (each.data_type, tuple(each.dims), sha256(each.raw_data).digest())
        if len(each.raw_data) >= WORTH_SHARING:
            names[each.name] = first.setdefault(key, each.name)
    kept = [each for each in graph.initializer if names.get(each.name, each.name) == each.name]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = names.get(name, name)


def turn_weights(model: Model) -> None:
    """Keep matrices as they are multiplied by: the exporter leaves large ones lying, and the graph turns them."""
    from onnx.numpy_helper import from_array, to_array

    graph, names = model.graph, dict[str, str]()
    weights = {each.name: each for each in graph.initializer if len(each.dims) == 2}
    users = Counter(name for node in graph.node for name in node.input)
    for node in graph.node:
        if node.op_type == "Transpose" and node.input[0] in weights and users[node.input[0]] == 1:
            kept = weights[node.input[0]]
            kept.CopyFrom(from_array(np.ascontiguousarray(to_array(kept).T), kept.name))
            names[node.output[0]] = kept.name
    turned = {*names, *names.values()}
    nodes = [type(node).FromString(node.SerializeToString()) for node in graph.node if node.output[0] not in names]
    shapes = [each for each in graph.value_info if each.name not in turned]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.value_info.extend(shapes)
    for node in graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = names.get(name, name)


def _require_exporter() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtra("exporting needs onnx, onnxscript and onnxruntime: pip install 'blemish[export]'") from error


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Without what it says of packages that are not there, and of itself."""
    loggers = [logging.getLogger(name) for name in (None, "torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
