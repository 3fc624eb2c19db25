"""Bytes of an ONNX model, and what a deployed recipe says of it -> a detector on arrays; never imports torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadInput, BadRecipe, MissingExtra
from blemish.notices import notice
from blemish.recipes.deployed import Backend, Deployed, Precision
from blemish.runtime.onnx_bytes import PLACE, Buffer, demands, split_weights
from blemish.types import ArrayPrediction

AGAIN = "export it again"
OPSET = 20
"""Of the standard operators in graphs that are exported, and the newest that OpenVINO is given, which looks at none."""
ROUNDED_ELSEWHERE = (
    "the graph of %s is for bfloat16, of which this processor has no units: OpenVINO computes in float32 here, so "
    "scores differ by about 1 %% from those on one that has: calibrate it on the machine that inspects, or export it "
    "in float32"
)
Run = Callable[[Mapping[str, NDArray[Any]]], Sequence[NDArray[Any]]]
"""run(arrays by name) -> the outputs in their order."""


class Port(NamedTuple):
    """An input or output of a model."""

    name: str
    sizes: tuple[int, ...]  # -1 where any will do


class Session(NamedTuple):
    """A model that is ready to run."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    run: Run


@dataclass(frozen=True, slots=True)
class _OnnxruntimeRun:
    """See `Run`; the session reads its weights where they lie as long as it runs."""

    session: Any
    weights: Buffer

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        return list(self.session.run(None, dict(arrays)))


@dataclass(frozen=True, slots=True)
class _OpenvinoRun:
    """See `Run`; the model reads its weights where they lie as long as it runs."""

    model: Any
    weights: Sequence[NDArray[Any]]
    names: Sequence[str]

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        given = self.model(dict(arrays))
        return [np.array(given[name]) for name in self.names]  # copies: the next call writes over them


class GraphDetector:
    """The detector of a deployed recipe, see `types.ArrayDetector`: of float32 (N, 3, *size) in [0, 1]."""

    def __init__(self, model: Buffer, deployed: Deployed, source: str = "this recipe", *, threads: int = 0) -> None:
        self.deployed, self.geometry, self.types = deployed, deployed.geometry, deployed.types
        self.type_prompts = deployed.prompts
        self._session = open_model(model, deployed.backend, deployed.precision, source, threads=threads)
        require_ports(self._session.inputs, {"images": (-1, 3, *deployed.size)}, source)
        require_ports(self._session.outputs, dict.fromkeys(deployed.outputs), source)
        if deployed.outputs[:2] != ArrayPrediction._fields[:2]:
            raise BadRecipe(f"{source} has a graph that gives no score or no map: {AGAIN}")

    def predict_arrays(self, images: NDArray[np.float32]) -> ArrayPrediction:
        """Raises BadInput for inputs of another size, which are pictures of another shape."""
        size, wanted = tuple(images.shape[1:]), (3, *self.deployed.size)
        if size != wanted:
            raise BadInput(
                f"pictures become {size[-1]} x {size[-2]} here, and this recipe was exported for "
                f"{wanted[-1]} x {wanted[-2]}: export it with --check pictures of that shape"
            )
        found = self._session.run({"images": np.ascontiguousarray(images, np.float32)})
        return ArrayPrediction(**dict(zip(self.deployed.outputs, found, strict=True)))


class GraphNamer:
    """The classifier of a deployed recipe: what it sees of regions by their places, the logits of its types, words."""

    def __init__(self, model: Buffer, deployed: Deployed, source: str = "this recipe", *, threads: int = 0) -> None:
        self._session = open_model(model, deployed.backend, deployed.precision, source, threads=threads)
        require_ports(self._session.inputs, dict.fromkeys(("places", "share")), source)
        self.words, outputs = deployed.words, ("seen", "logits", *(["words"] if deployed.words else []))
        require_ports(self._session.outputs, dict.fromkeys(outputs), source)

    def __call__(
        self, places: NDArray[np.float32], share: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], list[int]]:
        """Of regions, places (R, h, w, C) and its share of each (R, h, w): seen (R, D), logits (R, K), and words.

        The numbers of the words are there of one only that compares with words.
        """
        given = {"places": places, "share": share}
        seen, logits, *chosen = self._session.run(
            {name: np.ascontiguousarray(each, np.float32) for name, each in given.items()}
        )
        return seen, logits, [int(number) % len(self.words) for each in chosen for number in each]


def require_ports(found: Sequence[Port], wanted: Mapping[str, tuple[int, ...] | None], source: str) -> None:
    """Raise BadRecipe where a graph takes or gives something else, or more, or in another order."""
    sizes = [wanted.get(port.name) for port in found]
    fits = all(size in (None, port.sizes) for size, port in zip(sizes, found, strict=True))
    if [port.name for port in found] != list(wanted) or not fits:
        has = ", ".join(f"{port.name} {list(port.sizes)}" for port in found)
        says = ", ".join(f"{name} {list(sizes)}" if sizes else name for name, sizes in wanted.items())
        raise BadRecipe(f"{source} has a graph with {has}, and says it has {says}: {AGAIN}")


def open_model(model: Buffer, backend: Backend, precision: Precision, source: str, *, threads: int = 0) -> Session:
    """Ready to run; raises BadRecipe for a model that cannot be trusted or run, MissingExtra without its backend.

    threads: how many it may use; 0: as many as there are.
    """
    asks = demands(model, source)
    if asks.files:
        raise BadRecipe(f"{source} has a graph whose numbers lie in other files: {AGAIN}, which writes one file")
    if asks.domains:
        raise BadRecipe(f"{source} has a graph with operators of {', '.join(sorted(asks.domains))[:80]}: {AGAIN}")
    if backend == "openvino":
        if asks.opset > OPSET:
            raise BadRecipe(
                f"{source} has a graph of opset {asks.opset}, and this blemish hands OpenVINO graphs of up to {OPSET}: "
                "pip install --upgrade blemish"
            )
        return _by_openvino(model, precision, source, threads)
    if precision == "bfloat16":
        raise BadRecipe(f"{source}: onnxruntime computes no bfloat16 on a processor: export it for openvino")
    return _by_onnxruntime(model, precision, source, threads, asks.opset)


def import_backend(backend: Backend, source: str) -> Any:
    """The package that runs the graph of a source; raises MissingExtra where it is not installed."""
    name, extra = ("OpenVINO", "runtime-openvino") if backend == "openvino" else ("onnxruntime", "runtime")
    try:
        return import_module(backend)
    except ImportError as error:
        raise MissingExtra(f"{source} is run by {name}: pip install 'blemish[{extra}]'") from error


def _by_onnxruntime(model: Buffer, precision: Precision, source: str, threads: int, opset: int) -> Session:
    onnxruntime = import_backend("onnxruntime", source)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, threads
    options.enable_mem_pattern = False  # it lays out all tensors at once, and took more memory and no less time
    if precision == "float32":  # matrices would lie in memory once more, in the order of products, which gains no time
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        found = onnxruntime.InferenceSession(_bare(model, options), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class of their own
        raise _refused(source, "onnxruntime", onnxruntime.__version__, opset, error) from error

    return Session(_ports(found.get_inputs()), _ports(found.get_outputs()), _OnnxruntimeRun(found, model))


def _bare(model: Buffer, options: Any) -> bytes:
    """The model without its weights, which the session is told to read where they lie, if it can; else all of it."""
    if not hasattr(options, "add_external_initializers_from_files_in_memory"):  # of an older onnxruntime
        return bytes(model)
    options.add_session_config_entry("session.use_external_initializer_file_buffers_directly", "1")
    options.add_external_initializers_from_files_in_memory([PLACE], [np.frombuffer(model, np.uint8)], [len(model)])
    return split_weights(model, "outside").model


def _by_openvino(model: Buffer, precision: Precision, source: str, threads: int) -> Session:
    openvino = import_backend("openvino", source)
    # Always said: left to itself it computes in bfloat16 where the processor can, and moves scores by 1 %.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32"}
    settings |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
    try:
        bare, weights = split_weights(model, "inputs")
        core = openvino.Core()
        read = core.read_model(bare)
        _hand_over(read, weights)
        found = core.compile_model(read, "CPU", settings)
    except Exception as error:  # its errors have no class of their own
        raise _refused(source, "OpenVINO", openvino.__version__, 0, error) from error
    if precision == "bfloat16" and found.get_property("INFERENCE_PRECISION_HINT") != openvino.Type.bf16:
        notice(ROUNDED_ELSEWHERE, source)
    run = _OpenvinoRun(found, list(weights.values()), [port.any_name for port in found.outputs])
    return Session(_openvino_ports(found.inputs), _openvino_ports(found.outputs), run)


def _hand_over(model: Any, weights: dict[str, NDArray[Any]]) -> None:
    """Constants in place of the inputs of these names, on the same memory."""
    from openvino.op import Constant

    for each in model.get_parameters():
        if (name := each.get_friendly_name()) in weights:
            if not weights[name].flags.writeable:  # it shares no other, though it writes to none
                weights[name] = weights[name].copy()
            each.output(0).replace(Constant(weights[name], shared_memory=True).output(0))
            model.remove_parameter(each)
    model.validate_nodes_and_infer_types()


def _refused(source: str, backend: str, version: str, opset: int, error: Exception) -> BadRecipe:
    said = " ".join(str(error).split())
    if opset and re.search("opset|ir.version", said, re.IGNORECASE):
        return BadRecipe(
            f"{source} has a graph of opset {opset}, for which {backend} {version} is too old: pip install --upgrade "
            f"{backend}"
        )
    return BadRecipe(f"{source} has a graph that {backend} {version} does not run ({said[:200]}): {AGAIN}")


def _ports(found: Sequence[Any]) -> tuple[Port, ...]:
    return tuple(Port(each.name, tuple(s if isinstance(s, int) else -1 for s in each.shape)) for each in found)


def _openvino_ports(found: Sequence[Any]) -> tuple[Port, ...]:
    sizes = [[side.get_length() if side.is_static else -1 for side in each.partial_shape] for each in found]
    return tuple(Port(each.any_name, tuple(those)) for each, those in zip(found, sizes, strict=True))
