"""A deployed recipe that is made without an export: its graph is a few operators."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper

from blemish.calibration.thresholds import Goal, calibrate_thresholds
from blemish.recipes.deployed import GRAPH, Deployed
from blemish.recipes.recipe import Recipe, Reference, save, stamp
from blemish.types import Geometry

SIDE = 16


def brightness(path: Path) -> Path:
    """A file whose score is the brightest mean of the three colours that a pixel has, and whose map is that mean."""
    axes = [numpy_helper.from_array(np.array(each), name) for name, each in (("colours", [1]), ("sides", [1, 2]))]
    nodes = [
        helper.make_node("ReduceMean", ["images", "colours"], ["anomaly_map"], keepdims=0),
        helper.make_node("ReduceMax", ["anomaly_map", "sides"], ["image_score"], keepdims=0),
    ]
    number = TensorProto.FLOAT
    pixels: list[str | int | None] = ["N", 3, SIDE, SIDE]
    given = [helper.make_tensor_value_info("images", number, pixels)]
    found = [helper.make_tensor_value_info("image_score", number, ["N"])]
    found += [helper.make_tensor_value_info("anomaly_map", number, ["N", SIDE, SIDE])]
    made = helper.make_model(
        helper.make_graph(nodes, "brightness", given, found, axes), opset_imports=[helper.make_opsetid("", 20)]
    )
    made.ir_version = 9
    graph = torch.from_numpy(np.frombuffer(made.SerializeToString(), np.uint8).copy())
    deployed = Deployed(Geometry(SIDE), (SIDE, SIDE), ("image_score", "anomaly_map"))
    recipe = Recipe("padim", {}, {"encoder": Reference("test-tiny", "")}, tensors={GRAPH: graph}, deployed=deployed)
    good = [0.5 + number / 1000 for number in range(40)]
    calibration = calibrate_thresholds(
        good, scheme="split", peaks=good, goal=Goal(false_reject=0.1, confidence=0.5, pixel=0.1)
    )
    save(stamp(replace(recipe, calibration=calibration)), path)
    return path
