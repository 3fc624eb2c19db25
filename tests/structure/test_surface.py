"""What the package shows: its names, its catalogue, how quickly it starts, how far a picture travels."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from scripts import tables
from tests.structure.source import FILES, MODULES, ROOT, each_of, imported
from tests.support.parts import part
from tests.support.quick import QUICK

import blemish
from blemish import catalog, encoders
from blemish.blocks.exemplars import CachedEncoder
from blemish.catalog.cards import GRADES
from blemish.catalog.measured import MEASURED, NAMED
from blemish.catalog.reconstructions import RECONSTRUCTIONS
from blemish.cli.main import main as program
from blemish.errors import BadInput


def test_the_catalogue_lists_the_files_of_the_detectors() -> None:
    files = {file.stem for file in (ROOT / "detectors").glob("*.py")} - {"__init__"}
    modules = [card.where.partition(":")[0] for card in catalog.METHODS.values()]
    assert sorted(module.rpartition(".")[2] for module in modules) == sorted(files)
    assert {module.rpartition(".")[0] for module in modules} == {"blemish.detectors"}


@pytest.mark.parametrize("method", sorted(catalog.METHODS))
def test_a_row_of_the_catalogue_says_what_the_class_is(method: str) -> None:
    card, made = catalog.card(method), catalog.method(method)
    assert method == card.where.partition(":")[0].rpartition(".")[2].replace("_", "-")
    assert made.__name__ == card.where.partition(":")[2]
    # What is trained on other products may learn from good parts of its own afterwards, and what is trained on these
    # may remember them too.
    assert hasattr(made, "extract") <= (card.normal != "none")
    assert hasattr(made, "extract") >= (card.normal != "none" and (card.auxiliary or not card.trained))
    assert hasattr(made, "loss") == card.trained
    assert set(card.words) == {"product", "defects"} & set(inspect.signature(made).parameters)
    text = sys.modules[made.__module__].__doc__ or ""
    assert card.paper in text


@pytest.mark.parametrize("method", [name for name, card in catalog.METHODS.items() if card.grade])
def test_what_was_known_by_less_than_its_paper_says_so_and_what_was_chosen(method: str) -> None:
    card = catalog.card(method)
    text = sys.modules[catalog.method(method).__module__].__doc__ or ""
    said = GRADES[card.grade]
    assert said.removeprefix("reconstructed ") in text.replace("\n", " ")
    assert "econstructed" in text
    assert said in card.summary
    assert card.reconstructed
    assert any(each in "; ".join(card.explanation) for each in card.reconstructed)


@pytest.mark.parametrize("method", RECONSTRUCTIONS)
def test_what_was_measured_of_a_block_stands_where_a_user_chooses(method: str) -> None:
    file = ROOT.parents[1] / "benchmarks/claims.jsonl"
    rows = [row for line in file.read_text("utf-8").splitlines() if (row := json.loads(line))["method"] == method]
    worth = catalog.card(method).explanation[-1]
    last = {(row["claim"], row["scene"]): row for row in rows}.values()
    for row in last:
        middle, half = row["difference"]
        kind = "better" if middle > half else "worse" if middle < -half else "no better"
        parts = [part for part in MEASURED[method] if part.startswith(f"{kind} than ")]
        assert any(row["claim"].removeprefix("not ") in part for part in parts) or row["claim"] == "it learns"
        assert all(part in worth for part in parts)
    assert bool(rows) != ("not measured yet" in worth)


def test_how_often_classifiers_were_right_stands_where_a_user_chooses() -> None:
    text = (ROOT.parents[1] / "benchmarks/defect_types.jsonl").read_text("utf-8")
    rows = [each for each in map(json.loads, text.splitlines()) if each.get("of") == "pictures" and "shots" in each]
    for name, said in NAMED.items():
        own = [row for row in rows if (row["encoder"], row["classifier"]) == (encoders.DEFAULT, name)]
        for shots, share in zip((1, 3, 5, 10), said, strict=True):
            found = {row["set"]: sum(row["each"][:5]) / 5 for row in own if row["shots"] == shots}
            assert len(found) == 4
            assert share == pytest.approx(sum(found.values()) / 4, abs=0.0051)
        assert f"{said[0]:.2f}, {said[1]:.2f}" in catalog.classifier_card(name).explanation[-1]
    gains = [one - other for one, other in zip(NAMED["tip-adapter"], NAMED["words"], strict=True)]
    assert max(gains) < 0.05
    assert "hardly better than words alone" in catalog.classifier_card("tip-adapter").summary


def test_the_catalogue_is_sorted() -> None:
    assert list(catalog.METHODS) == sorted(catalog.METHODS)


def test_each_method_suits_one_situation() -> None:
    found = [name for each in catalog.SITUATIONS for name in each.methods(catalog.METHODS)]
    assert sorted(found) == list(catalog.METHODS)


def test_the_matrix_of_blocks_says_what_the_files_import() -> None:
    head, _, *lines = tables.blocks().splitlines()
    columns = [cell.strip().strip("`") for cell in head.split("|")[2:-1]]
    files = {name: ROOT / "detectors" / f"{name.replace('-', '_')}.py" for name in catalog.METHODS}
    for line, (method, file) in zip(lines, files.items(), strict=True):
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        assert cells[0] == f"`{method}`"
        used = {
            each.rpartition(".")[2]
            for each in imported(file)
            if each.startswith(("blemish.blocks.", "blemish.synth.published."))
        }
        assert {column for column, cell in zip(columns, cells[1:], strict=True) if cell} == used, method


def test_public_names_can_be_imported() -> None:
    assert set(blemish.__all__) == set(blemish._WHERE)
    assert set(blemish.__all__) <= set(dir(blemish))
    for public in blemish.__all__:
        assert getattr(blemish, public) is not None


def test_what_is_made_from_the_catalogue_is_fresh() -> None:
    assert [file.name for file in tables.stale()] == [], "run `make tables`"


def test_every_method_has_small_arguments() -> None:
    assert list(QUICK) == list(catalog.METHODS)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = blemish.nothing


@each_of(file for file in FILES if file.name == "__init__.py")
def test_what_a_room_offers_exists(file: Path) -> None:
    found = {module for module, path in MODULES.items() if path == file}
    room = importlib.import_module(found.pop())
    offered = getattr(room, "__all__", [])
    assert len(set(offered)) == len(offered)
    assert [each for each in offered if not hasattr(room, each)] == []


def loaded_after(program: str) -> set[str]:
    """Packages that a fresh interpreter has loaded after a program."""
    report = f"import sys\n{program}\nsys.stderr.write(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    paths = os.pathsep.join([str(ROOT.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", report],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_importing_the_package_loads_neither_torch_nor_rich() -> None:
    loaded = loaded_after("import blemish")
    assert "blemish" in loaded
    assert not loaded & {"torch", "numpy", "rich", "click", "PIL", "scipy", "safetensors", "tokenizers"}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["inspect", "--help"], ["evaluate", "--help"]])
def test_asking_the_command_for_help_does_not_load_torch(words: list[str]) -> None:
    loaded = loaded_after(f"from blemish.cli.main import main\nmain({words!r}, standalone_mode=False)")
    assert "click" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "safetensors"}


def test_inspecting_a_picture_loads_nothing_slow_that_it_does_not_use(tmp_path: Path) -> None:
    words = ["inspect", str(part(tmp_path / "a.png", 0)), "--out", str(tmp_path / "out"), "--encoder", "test-tiny"]
    loaded = loaded_after(f"from blemish.cli.main import main\nmain({words!r}, standalone_mode=False)")
    assert "torch" in loaded
    assert not loaded & {"scipy", "lightning_fabric", "pandas", "pyarrow", "faiss", "sklearn", "matplotlib"}


@pytest.mark.parametrize("method", sorted(catalog.METHODS))
def test_a_method_needs_of_an_encoder_what_its_card_says_and_nothing_else(method: str) -> None:
    encoder, needs = CachedEncoder(encoders.load("test-tiny")), catalog.card(method).needs
    encoder.can = needs
    catalog.detector(method, encoder, {})
    for need in needs:
        encoder.can = needs - {need}
        with pytest.raises(BadInput, match=r"test-tiny .*: choose one that can, such as"):
            catalog.detector(method, encoder, {})


def test_every_option_says_what_it_is_for() -> None:
    assert [f"{words} {option.opts[0]}" for words, option in _options(program, "blemish") if not option.help] == []


def _options(command: click.Command, words: str) -> Iterator[tuple[str, click.Option]]:
    yield from ((words, each) for each in command.params if isinstance(each, click.Option))
    for own, inner in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _options(inner, f"{words} {own}")
