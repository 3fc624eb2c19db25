"""What the towers share, and what they must not know."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from tests.structure.source import FILES, ROOT, each_of, functions, imported

from blemish.blocks.exemplars import CachedEncoder
from blemish.encoders.clip import CLIP
from blemish.encoders.clip_cnn import ModifiedResNet
from blemish.encoders.cnn import ResNet
from blemish.encoders.embedded.network import Embedded
from blemish.encoders.vit import VisionTransformer
from blemish.types import SeamEncoder

ENCODERS: tuple[Any, ...] = (CLIP, VisionTransformer, ModifiedResNet, ResNet, Embedded, CachedEncoder)
DOORS = {"__init__.py", "capabilities.py"}


@pytest.mark.parametrize("made", ENCODERS, ids=lambda each: each.__name__)
def test_every_encoder_and_wrapper_takes_the_same_arguments(made: Any) -> None:
    wanted, found = (inspect.signature(each).parameters for each in (SeamEncoder.__call__, made.forward))
    assert [str(each) for each in found.values()] == [str(each) for each in wanted.values()]


@each_of(FILES)
def test_no_encoder_is_missing_above(file: Path) -> None:
    """Whatever is asked for the `layers` of images is an encoder."""
    asked = [each for each in functions(file) if each.name == "forward" and "layers" in _keywords(each)]
    assert len(asked) == len([each for each in ENCODERS if inspect.getfile(each) == str(file)])


def _keywords(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {argument.arg for argument in function.args.kwonlyargs}


@each_of(file for file in FILES if file.parent.name in ("encoders", "embedded"))
def test_towers_know_nothing_of_checkpoints(file: Path) -> None:
    """They neither read nor download: `checkpoints/` gives them what they need."""
    if file.parent != ROOT / "encoders" or file.name not in DOORS:
        assert not [used for used in imported(file) if used.startswith("blemish.encoders.checkpoints")]
