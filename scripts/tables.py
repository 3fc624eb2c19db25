"""Writes what is made from the catalogue and the command line: `make tables`; a test says when it is old.

A block begins with `tables: NAME` and ends with `tables: end`, each in a comment of its own line.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

import blemish
from blemish import catalog, data
from blemish import encoders as encoders_door
from blemish.catalog.measured import NAMED
from blemish.catalog.reconstructions import RECONSTRUCTIONS
from blemish.cli.main import main as program
from blemish.encoders.checkpoints import names as published

TEST_SETS = "magnetic_tile", "mvtec_bottle"
"""Labelled sets that teach and choose nothing."""
ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?ms)^(?P<head>[^\n]*tables: (?P<name>\w+)[^\n]*\n)(?P<body>.*?)(?P<foot>^[^\n]*tables: end)")


def names() -> str:
    """Imports of the public names, for type checkers."""
    plain, renamed = dict[str, list[str]](), list[str]()
    for name in exported():
        module, _, there = blemish._WHERE[name].partition(":")
        if there == name:
            plain.setdefault(module, []).append(name)
        else:
            renamed.append(f"    from {module} import {there} as {name}\n")
    lines = [f"    from {module} import {', '.join(found)}\n" for module, found in plain.items()]
    return "".join(sorted([*lines, *renamed], key=lambda line: (line.split()[1], line.split()[3].islower(), line)))


def exports() -> str:
    """The public names."""
    return "__all__ = [\n" + "".join(f'    "{name}",\n' for name in exported()) + "]\n"


def exported() -> list[str]:
    """CONSTANTS, Classes, functions."""
    return sorted(blemish._WHERE, key=lambda name: (name.islower(), not name.isupper(), name))


def methods() -> str:
    """A row a method."""
    rows = [(f"`{name}`", *map(link, card.row())) for name, card in catalog.METHODS.items()]
    return table(("name", *catalog.COLUMNS), rows)


def classifiers() -> str:
    """A row a classifier, with how often it was right by few examples."""
    cards = catalog.CLASSIFIERS.items()
    rows = [(f"`{name}`", card.learns_from, *_right(name), link(card.paper), card.summary) for name, card in cards]
    return table(("name", "learns from", "1", "3", "5", "10", "paper", "essence"), rows)


def _right(name: str) -> tuple[str, ...]:
    return tuple(f"{share:.2f}" for share in NAMED[name]) if name in NAMED else ("", "", "", "")


def trained() -> str:
    """What each method that is trained by gradients is trained on."""
    on = {True: "other products", False: "the parts it inspects"}
    cards = ((name, card) for name, card in catalog.METHODS.items() if card.trained)
    rows = ((f"`{name}`", on[card.auxiliary], card.learns_from) for name, card in cards)
    return table(("method", "is trained on", "learns from"), rows)


def situations() -> str:
    """Which methods can begin with what a user has."""
    return "\n".join(_situation(each) for each in catalog.SITUATIONS if each.methods(catalog.METHODS))


def _situation(each: catalog.Situation) -> str:
    found = each.methods(catalog.METHODS)
    rows = [(f"`{name}`", card.learns_from, card.encoders, card.summary) for name, card in found.items()]
    return f"### {each.title}\n\n{each.advice}\n\n{table(('method', 'learns from', 'encoders', 'essence'), rows)}"


def unexportable() -> str:
    """What cannot be exported, and why."""
    cards = {**catalog.METHODS, **catalog.CLASSIFIERS}.items()
    rows = ((f"`{name}`", card.no_graph, _able(card)) for name, card in cards if card.no_graph)
    return table(("name", "why not", "but"), rows)


def _able(card: catalog.Card) -> str:
    return " or ".join(f"`{each}`" for each in card.graph_with) + " can" if card.graph_with else ""


def measured() -> str:
    """What the benchmarks have found on the default encoder, and the methods of which they have found nothing yet.

    Of trainings, the longest ones.
    """
    found: dict[tuple[str, str], dict[str, dict[int, list[float]]]] = {}
    for file in ("accuracy", "backbones", "trained"):
        for row in _measurements(ROOT / "benchmarks" / f"{file}.jsonl"):
            values = found.setdefault((row["method"], _taught(row)), {}).setdefault(row["data"], {})
            values.setdefault(row.get("steps", 0), []).append(_value(row["image_auroc"]))
    found = {key: values for key, values in found.items() if not values.keys().isdisjoint(TEST_SETS)}
    rows = [
        (
            f"`{method}`",
            taught,
            *(_mean(values[name][max(values[name])] if name in values else None) for name in TEST_SETS),
        )
        for (method, taught), values in sorted(found.items())
    ]
    rest = [name for name in catalog.METHODS if name not in {method for method, _ in found}]
    short = {row["method"] for row in _measurements(ROOT / "benchmarks/reconstructed.jsonl")}
    kinds = {"Looked at shortly, on few pictures, in `benchmarks/RESULTS.md`": True, "Not measured yet": False}
    named = {what: [f"`{name}`" for name in rest if (name in short) == is_short] for what, is_short in kinds.items()}
    said = "".join(f"\n{what}: {', '.join(names)}.\n" for what, names in named.items() if names)
    return table(("method", "learned from", *(f"`{name}`" for name in TEST_SETS)), rows) + said


def _measurements(file: Path) -> Iterator[dict[str, Any]]:
    """Its rows that are of the default encoder."""
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        row = json.loads(line)
        if encoders_door.DEFAULT in (row.get("encoder"), row.get("weights")) and row["method"] in catalog.METHODS:
            yield row


def _taught(row: dict[str, Any]) -> str:
    if "learned" in row:
        given = ", ".join(row["arguments"]["arguments"])
        return _labelled(row["learned"], row["data"]) + (f" ({given})" if given else "")
    return f"{row['shots']} good parts" if row["shots"] else "words alone"


def _labelled(learned: dict[str, Any], data: str) -> str:
    """What a training had: of other products, or of these parts, and how many of the defects had masks."""
    if data not in learned["sets"]:
        return f"{learned['defects']} defects of other products"
    if not learned["defects"]:
        return f"{learned['good']} good parts, trained"
    return f"{learned['good']} good parts, {learned['defects']} defects, {learned['masks']} masks"


def _value(found: Any) -> float:
    return float(found["value"] if isinstance(found, dict) else found)


def _mean(values: list[float] | None) -> str:
    return f"{sum(values) / len(values):.3f}" if values else ""


def claimed() -> str:
    """What was found of each reconstructed method's own block, and of its learning: by the longest training."""
    rows = sorted(_claims(), key=lambda row: row["steps"])
    last = {tuple(row[name] for name in ("method", "claim", "scene", "figure")): row for row in rows}
    figures = dict[tuple[str, str], set[str]]()
    for method, claim, _, figure in last:
        figures.setdefault((method, claim), set()).add(figure)
    said = dict[str, dict[str, list[str]]]()
    kinds = dict[tuple[str, str, str], set[str]]()
    for (method, claim, _, figure), row in last.items():
        kinds.setdefault((method, claim, figure), set()).add(_kind(row))
    for (method, claim, scene, figure), row in sorted(last.items(), key=lambda item: item[0]):
        kind, where, learned = _kind(row), scene.partition(", ")[2], f"before {row['steps']} steps of training"
        what = f"with {claim.removeprefix('not ')}" if claim.startswith("not ") else learned
        what += "".join(f" instead of {name}={value}" for name, value in row.get("instead_of", {}).items())
        several = len(figures[method, claim]) > 1
        what += f" in {figure}" if several else ""
        what += f" ({where})" if where and len(kinds[method, claim, figure]) > 1 else ""
        said.setdefault(method, {}).setdefault(kind, []).append(what)
    entries = "".join(_entry(method, found) for method, found in said.items())
    return f"MEASURED: dict[str, tuple[str, ...]] = {{\n{entries}}}\n"


def looked_at() -> str:
    """What each reconstructed method reached in a short look at real pictures, beside a plain method."""
    found: dict[tuple[str, int], dict[str, list[list[float]]]] = {}
    for row in _measurements(ROOT / "benchmarks/reconstructed.jsonl"):
        if not row["other"] and row["pixel_ap"]:
            values = [row[name]["value"] for name in ("image_auroc", "pixel_ap")]
            found.setdefault((row["method"], row["good"]), {}).setdefault(row["data"], []).append(values)
    said: dict[str, list[str]] = {}
    for (method, good), sets in sorted(found.items()):
        plain = "patchcore" if good else "winclip"
        taught = f"{good} good parts" if good else "words alone"
        for name, rows in sorted(sets.items()) if method in RECONSTRUCTIONS else ():
            beside = f"{plain} {_both(found[plain, good][name])}"
            said.setdefault(method, []).append(f"{name}, {taught}: {_both(rows)} ({beside})")
    entries = "".join(_entry_of(method, lines) for method, lines in said.items())
    return f"LOOKED_AT: dict[str, tuple[str, ...]] = {{\n{entries}}}\n"


def _both(rows: list[list[float]]) -> str:
    """Image AUROC and pixel AP, means over seeds."""
    return " and ".join(_mean(list(each)) for each in zip(*rows, strict=True))


def _claims() -> list[dict[str, Any]]:
    file = ROOT / "benchmarks" / "claims.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _entry(method: str, found: dict[str, list[str]]) -> str:
    return _entry_of(
        method, [part for kind, whats in sorted(found.items()) for part in _parts(kind, list(dict.fromkeys(whats)))]
    )


def _entry_of(method: str, parts: list[str]) -> str:
    if len(parts) == 1:  # as it is formatted
        return f'    "{method}": ("{parts[0]}",),\n'
    return f'    "{method}": (\n' + "".join(f'        "{part}",\n' for part in parts) + "    ),\n"


def _kind(row: dict[str, Any]) -> str:
    """What a difference and half of its interval say."""
    middle, half = row["difference"]
    return "better" if middle > half else "worse" if middle < -half else "no better"


def _parts(kind: str, whats: list[str]) -> list[str]:
    """In one line, or in one each where that is too long."""
    whole = f"{kind} than {' or '.join(whats)}"
    return [whole] if len(whole) < 100 else [f"{kind} than {each}" for each in whats]


def blocks() -> str:
    """Which blocks each method is made of, by the imports of its file."""
    used = {name: _blocks_of(card) for name, card in catalog.METHODS.items()}
    columns = sorted(set().union(*used.values()))
    rows = ((f"`{name}`", *("x" if column in own else "" for column in columns)) for name, own in used.items())
    return table(("method", *(f"`{column}`" for column in columns)), rows)


def _blocks_of(card: catalog.Card) -> set[str]:
    file = ROOT / "src" / Path(*card.where.partition(":")[0].split(".")).with_suffix(".py")
    found = re.findall(
        r"(?m)^from blemish\.(?:blocks|synth\.published)\.(\w+) import", file.read_text(encoding="utf-8")
    )
    return set(found)


def arguments() -> str:
    """Every method's arguments with their defaults, and what in it is reconstructed."""
    return "\n".join(_described(name) for name in catalog.METHODS)


def _described(name: str) -> str:
    _, *options = inspect.signature(catalog.method(name)).parameters.values()
    rows = ((f"`{each.name}`", f"`{each.default!r}`") for each in options)
    chosen = "".join(f"- Reconstructed: {each}\n" for each in catalog.card(name).reconstructed)
    return f"### {name}\n\n{table(('argument', 'default'), rows)}" + (chosen and f"\n{chosen}")


def encoders() -> str:
    """Every encoder that goes by a name."""
    return table(("name", "kind", "from", "licence"), ((f"`{name}`", *rest) for name, *rest in published.rows()))


def layouts() -> str:
    """Every layout of a data set."""
    return table(("layout", "looked for"), ((f"`{name}`", looked) for name, looked in data.descriptions()))


def public() -> str:
    """Every public name with its first sentence."""
    rows = ((f"`{name}`", (inspect.getdoc(getattr(blemish, name)) or "").partition("\n\n")[0]) for name in exported())
    return table(("name", ""), ((name, " ".join(said.split())) for name, said in rows))


def commands() -> str:
    """Every command with its arguments and options."""
    return "\n".join(_command(context) for context in walk(root()))


def root() -> click.Context:
    """The program as it is run: click makes a command's help option for the first context that asks, and keeps it."""
    return click.Context(program, info_name="blemish", **program.context_settings)


def walk(context: click.Context) -> Iterator[click.Context]:
    """Every command below a group, in order."""
    if not isinstance(context.command, click.Group):
        yield context
        return
    for name in context.command.list_commands(context):
        found = context.command.get_command(context, name)
        assert found
        yield from walk(click.Context(found, parent=context, info_name=name))


def _command(context: click.Context) -> str:
    usage = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
    said = inspect.cleandoc(context.command.help or "")
    records = (option.get_help_record(context) for option in context.command.get_params(context))
    rows = [(f"`{record[0]}`", record[1]) for record in records if record and record[1]]
    return f"## {context.command_path}\n\n    {usage}\n\n{said}\n\n{table(('option', 'meaning'), rows)}"


def link(cell: str) -> str:
    """An arXiv number as a link, anything else as it is."""
    number = cell.removeprefix("arXiv:")
    return f"[{number}](https://arxiv.org/abs/{number})" if number != cell else cell


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


BLOCKS: dict[str, Callable[[], str]] = {
    made.__name__: made
    for made in (
        names,
        exports,
        methods,
        classifiers,
        trained,
        situations,
        unexportable,
        measured,
        claimed,
        looked_at,
        blocks,
        arguments,
        encoders,
        layouts,
        public,
        commands,
    )
}
FILES = [
    *(ROOT / "src/blemish" / each for each in ("__init__.py", "catalog/measured.py")),
    *(ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))),
]


def fresh(text: str) -> str:
    """The text with each of its blocks made anew."""
    return BLOCK.sub(_made, text)


def _made(block: re.Match[str]) -> str:
    around = "\n" if block["head"].startswith("<!--") else ""  # Markdown ends a table by an empty line
    return block["head"] + around + BLOCKS[block["name"]]() + around + block["foot"]


def stale() -> list[Path]:
    """The files that `make tables` would change."""
    return [file for file in FILES if fresh(file.read_text(encoding="utf-8")) != file.read_text(encoding="utf-8")]


def main() -> None:
    """Write what is old."""
    for file in stale():
        file.write_text(fresh(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
