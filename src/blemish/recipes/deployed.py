"""What a deployed recipe's header says of the graph beside it: the one place where this is written down.

A deployed recipe is a recipe whose file holds, in place of `detector.` tensors and of the encoder that it would need:

- `graph.model`, uint8 (B,): one ONNX model of encoder, method and all it learned. Its one input, "images", is float32
  (N, 3, *size) in [0, 1], N any number; its outputs are those of `outputs`, by name and in this order, of which each is
  as in `types.Prediction`: image_score (N,), anomaly_map (N, H, W), and perhaps type_scores (N, K), type_map int64
  (N, H, W), and places (N, h, w, C).
- `graph.names`, uint8 (B,), where the recipe names defects: an ONNX model of its classifier, from "places"
  (R, h, w, C - 1) and "share" (R, h, w), a region's share of each place, to "seen" (R, D), "logits" (R, K), and of one
  that compares with words the numbers in `words` of those that fit best, int64 "words" (R,).

In its header stands `deployed`, a table of the fields of `Deployed`. Region, mask, tile and white are in `view`,
thresholds in `calibration`, types and how sure they are in `names`, as in any recipe; none of them is in a graph. Where
a reduced precision moved the scores and nobody has calibrated it again there is no calibration, so no verdict either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from blemish.fields import Fields, is_count, is_number, is_string, list_of, one_of, or_none, table_of
from blemish.types import Geometry, Prediction

GRAPH, NAMER = "graph.model", "graph.names"
"""The tensors with the graphs."""
Backend = Literal["onnxruntime", "openvino"]
Precision = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True, slots=True)
class Deployed:
    """How a recipe's graph is run, and how well it agrees with the detector it was made from."""

    geometry: Geometry
    size: tuple[int, int]  # (height, width) of the graph's inputs, whatever the geometry would make of a picture
    outputs: tuple[str, ...]
    types: tuple[str, ...] = ()  # of the detector, the order of type_scores and type_map
    prompts: Mapping[str, str] = field(default_factory=dict)  # see `types.Prediction`
    words: tuple[str, ...] = ()  # that the classifier chooses from; none of one that compares with none
    precision: Precision = "float32"  # in which it is computed
    backend: Backend = "onnxruntime"  # by what
    check: Mapping[str, float | None] = field(default_factory=dict)  # what the parity check found, see `export.check`

    def as_json(self) -> dict[str, Any]:
        """Plain values, which `deployed_from_json` reads."""
        return asdict(self) | {
            "size": list(self.size),
            "outputs": list(self.outputs),
            "types": list(self.types),
            "prompts": dict(self.prompts),
            "words": list(self.words),
            "check": dict(self.check),
        }


def deployed_from_json(read: Fields) -> Deployed:
    """The inverse of `Deployed.as_json`; raises the reader's error for what does not fit."""
    names = [each.name for each in fields(Deployed)]
    read.only(*names, needed=names)
    sides = read.one("size", [], list_of(_is_side, 2), "height and width")
    return Deployed(
        geometry=_geometry(read.inner("geometry", read.one("geometry", {}, _is_table, "a table"))),
        size=(sides[0], sides[1]),
        outputs=tuple(read.one("outputs", [], list_of(one_of(Prediction._fields)), "outputs of a detector")),
        types=tuple(read.one("types", [], list_of(is_string), "names of types")),
        prompts=read.one("prompts", {}, table_of(is_string), "words for each type"),
        words=tuple(read.one("words", [], list_of(is_string), "words")),
        precision=read.one("precision", "float32", one_of(get_args(Precision)), " or ".join(get_args(Precision))),
        backend=read.one("backend", "onnxruntime", one_of(get_args(Backend)), " or ".join(get_args(Backend))),
        check=read.one("check", {}, table_of(or_none(is_number)), "numbers"),
    )


def _geometry(read: Fields) -> Geometry:
    names = [each.name for each in fields(Geometry)]
    read.only(*names, needed=names)
    flag = (lambda value: isinstance(value, bool), "true or false")
    return Geometry(
        side=read.one("side", 224, _is_side, "pixels"),
        keep_aspect=read.one("keep_aspect", False, *flag),
        multiple=read.one("multiple", 1, _is_side, "pixels"),
        crop=read.one("crop", None, or_none(_is_side), "pixels"),
        pad=read.one("pad", False, *flag),
        aspect=read.one("aspect", 1.0, lambda value: is_number(value) and value > 0, "a positive number"),
    )


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_side(value: Any) -> bool:
    return is_count(value) and bool(1 <= value <= 1 << 13)
