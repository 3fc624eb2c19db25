"""A graph with convolutions and matrix products in 8 bits; what is compared with a memory stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from blemish.errors import BadInput
from blemish.export.searching import search_by_whole_numbers
from blemish.export.tracing import Model, quiet_exporter
from blemish.recipes.deployed import Backend

MATRICES = ("MatMul", "Gemm")
PRODUCTS = ("Conv", *MATRICES)
NEVER_NEGATIVE = ("Relu", "Sigmoid", "Softmax")
MOST_INPUTS = 64
"""Inputs, of good parts, by which ranges are found."""


def quantize(model: Model, module: nn.Module, inputs: Sequence[NDArray[np.float32]], backend: Backend) -> bytes:
    """With products by trained weights in int8, a scale a channel, and their inputs in ranges that `inputs` have.

    Static, as quantized and dequantized values (QDQ) in standard operators. Weights have 7 bits: processors without
    VNNI add two products of 8 bits in 16, which more would overflow. What was learned from good parts, such as a bank's
    rows, keeps float32; onnxruntime finds by 8 bits which row is the nearest, and in float32 how far it is.
    Raises BadInput where the model has no product by trained weights.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    chosen = products_by_weights(model, module)
    if not chosen:
        raise BadInput("it has no trained convolution or matrix product to compute in int8: leave out --precision")
    around_zero = {"quant_type": QuantType.QInt8, "symmetric": True}
    with TemporaryDirectory() as folder, quiet_exporter():
        before, after = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(model.SerializeToString())
        quantize_static(
            before, after, _reader(inputs), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True, nodes_to_quantize=chosen,
            op_types_to_quantize=list(PRODUCTS), calibrate_method=CalibrationMethod.MinMax,
            extra_options={
                "OpTypesToExcludeOutputQuantization": list(MATRICES),  # what is added to them is float32
                "TensorQuantOverrides": {name: [around_zero] for name in joined_inputs(model, chosen)},
            },
        )  # fmt: skip
        return _with_search(after.read_bytes()) if backend == "onnxruntime" else after.read_bytes()


def _with_search(data: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(data)
    search_by_whole_numbers(model)
    return bytes(model.SerializeToString())


def products_by_weights(model: Model, module: nn.Module) -> list[str]:
    """Names of the nodes that multiply by a trained parameter, known by its numbers, lying or standing.

    Without padded convolutions of what may be negative, the first of a network as a rule.
    """
    from onnx import numpy_helper

    trained = {_sum(each) for parameter in module.parameters() for each in _both_ways(parameter.detach().numpy())}
    weights = {each.name for each in model.graph.initializer if _sum(numpy_helper.to_array(each)) in trained}
    products = [node for node in model.graph.node if node.op_type in PRODUCTS]
    for number, node in enumerate(products):
        node.name = node.name or f"product_{number}"
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    return [
        node.name
        for node in products
        if node.input[1] in weights and (not _is_padded(node) or made_by.get(node.input[0]) in NEVER_NEGATIVE)
    ]


def joined_inputs(model: Model, chosen: Sequence[str]) -> list[str]:
    """What these nodes multiply that is several tensors side by side, of which OpenVINO takes no other zero than 0."""
    joined = {node.output[0] for node in model.graph.node if node.op_type == "Concat"}
    return [node.input[0] for node in model.graph.node if node.name in chosen and node.input[0] in joined]


def _is_padded(node: Any) -> bool:
    """With zeros, which OpenVINO takes for the lowest value where the input has negative ones."""
    return any(each.name == "pads" and any(each.ints) for each in node.attribute)


def _both_ways(values: NDArray[Any]) -> list[NDArray[Any]]:
    return [values, values.T] if values.ndim == 2 else [values]


def _sum(values: NDArray[Any]) -> tuple[tuple[int, ...], bytes]:
    return values.shape, sha256(np.ascontiguousarray(values).tobytes()).digest()


def _reader(inputs: Sequence[NDArray[np.float32]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Inputs(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[NDArray[np.float32]] = iter(inputs)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.left, None)
            return None if image is None else {"images": image}

    return Inputs()
