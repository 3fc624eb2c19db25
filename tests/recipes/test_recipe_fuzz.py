"""Thousands of spoiled and hostile recipes: each is refused by its error or is what it was, and that is all."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.fuzzing import harmless, spoiled
from tests.support.parts import TEST, frozen, good, spots

from blemish.errors import BadRecipe
from blemish.recipes import file as recipe_file
from blemish.recipes import update
from blemish.recipes.detectors import detector
from blemish.recipes.file import KEY, Content
from blemish.recipes.recipe import Recipe, load, save
from blemish.recipes.tensors import StoredTensors, arrays_of

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 1 << 16, 1 << 31, 1 << 63, -(1 << 70), 0.5, -1e300, 1e300),
    *("", "x", "x" * 5000, "../../etc/passwd", "__import__('os').system('true')", "\ud800", "\0"),
    *([], {}, [[]], {"a": 1}, [0, 0], [1 << 40, 1 << 40], ["a"], [None] * 40, {"__reduce__": ["os.system", ["true"]]}),
)

each_count = pytest.mark.parametrize("count", [250, pytest.param(10_000, marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A recipe with shown defects, one of sums, and one of words."""
    folder = tmp_path_factory.mktemp("recipes")
    paths = good(folder, 2)
    made = [
        update.add_defects(frozen("patchcore", paths), "spot", spots(folder, 1)),
        frozen("padim", paths),
        frozen("tab", []),
    ]
    for number, each in enumerate(made):
        save(each, folder / f"{number}.blemish")
    return [folder / f"{number}.blemish" for number in range(len(made))]


def opened(path: Path) -> Recipe | None:
    """None where it is refused, by an error that names the file."""
    with harmless():
        try:
            return load(path)
        except BadRecipe as error:
            reason = str(error)
    assert str(path) in reason
    return None


@each_count
def test_spoiled_recipes_are_refused_or_what_they_were(count: int, files: list[Path], tmp_path: Path) -> None:
    random, path, refused = np.random.default_rng(count), tmp_path / "spoiled.blemish", 0
    whole = [(each.read_bytes(), load(each).hash) for each in files]
    for number in range(count):
        data, expected = whole[number % len(whole)]
        path.write_bytes(spoiled(data, random))
        found = opened(path)
        refused += found is None
        assert found is None or found.hash == expected
    assert refused > 0.9 * count


@each_count
def test_hostile_headers_are_refused_or_change_nothing(count: int, files: list[Path], tmp_path: Path) -> None:
    """Names, types, shapes and places of tensors, and our own values, without the hash that they would need."""
    random, path = np.random.default_rng(count + 1), tmp_path / "hostile.blemish"
    for number in range(count):
        data = files[number % len(files)].read_bytes()
        length = int.from_bytes(data[:8], "little")
        entries = json.loads(data[8 : 8 + length])
        if random.random() < 0.5:
            replace(entries, random)
        else:
            values = json.loads(entries["__metadata__"][KEY])
            replace(values, random)
            entries["__metadata__"][KEY] = json.dumps(values)
        text = json.dumps(entries).encode()
        stated = len(text) if random.random() < 0.9 else int(random.integers(1 << 62))
        path.write_bytes(stated.to_bytes(8, "little") + text + data[8 + length :])
        found = opened(path)
        assert found is None or found.hash == load(files[number % len(files)]).hash


@each_count
def test_hostile_contents_with_the_right_hash_are_refused_or_can_be_used(
    count: int, files: list[Path], tmp_path: Path
) -> None:
    """What is loaded gives a detector or a BadRecipe; a detector predicts, or says by an error of ours why not."""
    random, path = np.random.default_rng(count + 2), tmp_path / "hostile.blemish"
    contents, used = [recipe_file.read(each) for each in files], 0
    for number in range(count):
        content = contents[number % len(contents)]
        header, tensors = copy.deepcopy(dict(content.header)), dict(StoredTensors(content.tensors))
        if random.random() < 0.5:
            replace(header, random)
        else:
            bend(tensors, random)
        path.write_bytes(recipe_file.encode(Content(header, arrays_of(tensors))))
        found = opened(path)
        if found is None:
            continue
        reason = str(path)
        with harmless():
            try:
                used += int(detector(found)(TEST[:1]).image_score.shape == (1,))
            except BadRecipe as error:
                reason = str(error)
        assert str(path) in reason
    assert used > 0.02 * count


def replace(values: Any, random: np.random.Generator) -> None:
    """Put something hostile in the place of one value, or of one name, at any depth."""
    while True:
        keys = list(values) if isinstance(values, dict) else list(range(len(values)))
        key = keys[int(random.integers(len(keys)))]
        if isinstance(values[key], dict | list) and values[key] and random.random() < 0.8:
            values = values[key]
            continue
        hostile = copy.deepcopy(HOSTILE[int(random.integers(len(HOSTILE)))])
        if isinstance(values, dict) and random.random() < 0.2:
            values[str(hostile)] = values.pop(key)
        else:
            values[key] = hostile
        return


def bend(tensors: dict[str, torch.Tensor], random: np.random.Generator) -> None:
    """Another shape, type, name, order or value of one tensor."""
    name = sorted(tensors)[int(random.integers(len(tensors)))]
    tensor = tensors[name]
    kind = int(random.integers(9))
    if kind == 0:
        tensors["" if random.random() < 0.5 else f"{name}.more"] = tensors.pop(name)
    elif kind == 1:
        del tensors[name]
    elif kind == 2:
        tensors[name] = tensor[: len(tensor) // 2].clone() if tensor.ndim else tensor.expand(3).clone()
    elif kind == 3:
        tensors[name] = tensor.unsqueeze(int(random.integers(tensor.ndim + 1)))
    elif kind == 4:
        tensors[name] = tensor.flatten()
    elif kind == 5:
        tensors[name] = tensor.to([torch.float64, torch.int64, torch.uint8][int(random.integers(3))])
    elif kind == 6:
        tensors[name] = torch.full_like(tensor, 0 if random.random() < 0.5 else 127)
    elif kind == 7:
        tensors[name] = tensor.new_zeros([int(size) for size in random.integers(0, 4, size=int(random.integers(4)))])
    elif tensor.is_floating_point():
        tensors[name] = tensor * [torch.nan, torch.inf, 1e30, -1.0][int(random.integers(4))]
