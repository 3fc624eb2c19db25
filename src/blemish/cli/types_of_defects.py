"""`blemish evaluate --task types`: how well a classifier names defects."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from click.core import ParameterSource

from blemish.cli.console import print_table, say, show_progress
from blemish.cli.options import (
    DetectorOptions,
    arguments_of,
    leave,
    page_for,
    print_page,
    recipe_encoders,
    refuse_frozen,
)
from blemish.cli.tracking import log_report
from blemish.errors import BadInput
from blemish.progress import one_step

if TYPE_CHECKING:
    from blemish.evaluation.labelled_types import Listed
    from blemish.evaluation.types_by_recipe import RecipeTypes
    from blemish.evaluation.types_of_defects import TypesTrial
    from blemish.evaluation.types_report import TypesReport
    from blemish.progress import ShowProgress
    from blemish.types import Encoder

SHOWN = 10
"""Mistakes that are listed at most."""


def shots_of(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """A count from 0, or "all", which is None."""
    if value in (None, "all"):
        return None
    found: int = click.IntRange(0)(value, option, context)
    return found


@dataclass
class TypesOptions:
    """The options of `blemish evaluate --task types`."""

    task: str = "defects"
    classifier: str = "ridge"
    hold_out: str | None = None
    of: str = "pictures"
    coverage: float = 0.9


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    setattr(context.meta.setdefault(TypesOptions.__name__, TypesOptions()), str(option.name), value)


def types_options() -> TypesOptions:
    """Those that the command was given."""
    found: TypesOptions = click.get_current_context().meta[TypesOptions.__name__]
    return found


_option = functools.partial(click.option, expose_value=False, callback=_keep, show_default=True)


def add_types_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that `types_options` returns."""
    share = click.FloatRange(0, 1, min_open=True, max_open=True)
    options = [
        _option(
            "--task",
            type=click.Choice(["defects", "types"]),
            default="defects",
            help="Tell defects from good parts, or their types from each other.",
        ),
        _option("--classifier", metavar="NAME", default="ridge", help="See `blemish list classifiers`."),
        _option("--hold-out", metavar="TYPE|each", help="A type of which nothing is learned: is it unknown then?"),
        _option(
            "--of",
            type=click.Choice(["pictures", "defects"]),
            default="pictures",
            help="What is named: whole pictures, or each region that a mask marks.",
        ),
        _option("--coverage", type=share, default=0.9, help="Share of sets of types that are to hold the right one."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def refuse_types_options() -> None:
    """Raise UsageError for an option that goes with --task types."""
    _refuse({"classifier": "", "hold_out": "hold-out", "of": "", "coverage": ""}, "goes with --task types")


def refuse_misfits() -> None:
    """Raise UsageError for an option that does not go with --task types."""
    names = ("split", "method", "tile", "overlap", "whole", "white", "protocol")
    shown = {name: name.replace("_", "-") for name in ("keep_aspect", "part_only", "budget_ms")}
    _refuse(shown | dict.fromkeys(names, ""), "does not go with --task types")


def _refuse(names: Mapping[str, str], why: str) -> None:
    context = click.get_current_context()
    for name, shown in names.items():
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{shown or name} {why}")


def evaluate_types(
    chosen: DetectorOptions,
    named: TypesOptions,
    root: Path,
    about: tuple[str | None, str | None, str | None],
    drawn: tuple[int | None, int],
    page: Path | None,
    *,
    as_json: bool,
) -> None:
    """about: layout, category and product; drawn: shots and seed; page: where there is to be one."""
    from blemish import catalog, encoders
    from blemish.evaluation.labelled_types import every_type, list_defects
    from blemish.evaluation.types_of_defects import TypesTrial

    (layout, category, product), (shots, seed) = about, drawn
    catalog.classifier_card(named.classifier)
    arguments = arguments_of(chosen.arguments)
    with show_progress() as watch:
        with one_step(watch, "listing pictures"):
            defects = list_defects(root, layout=layout, category=category)  # refused before an encoder is loaded
        trial = TypesTrial(
            root, named.classifier, chosen.load_encoder(), layout, category, shots, seed, named.hold_out,
            cast(Any, named.of), arguments, product, named.coverage, chosen.batch_size,
        )  # fmt: skip
        note = encoders.note(cast(Any, trial.encoder))
        held_out = every_type(defects.samples) if named.hold_out == "each" else [named.hold_out or ""]
        pages = {name: page and page_for(page, name if len(held_out) > 1 else "") for name in held_out}
        found = {
            name: _run(dataclasses.replace(trial, hold_out=name or None), defects, watch, pages[name], note)
            for name in held_out
        }
    said = {"classifier": named.classifier, "encoder": trial.encoder_name, "seed": seed}
    _tell(found, said, [*pages.values()], as_json=as_json)
    first = next(iter(found.values()))
    leave(first.unreadable, first.naming.defects, note)


def _run(trial: TypesTrial, defects: Listed, watch: ShowProgress, page: Path | None, note: str) -> TypesReport:
    from blemish.evaluation.types_of_defects import run_types_trial
    from blemish.report.types_page import about_types, write_types
    from blemish.report.writer import Writer

    if page is None:
        return run_types_trial(trial, defects=defects, watch=watch)
    with Writer(page, about_types(trial, note)) as writer:
        report = run_types_trial(trial, defects=defects, watch=watch)
        write_types(writer, report, watch=watch)
    return report


def evaluate_types_by_recipe(
    path: Path,
    chosen: DetectorOptions,
    named: TypesOptions,
    root: Path,
    what: tuple[str | None, str | None],
    page: Path | None,
    *,
    as_json: bool,
) -> None:
    """what: layout and category; page: where there is to be one."""
    from blemish.evaluation.types_by_recipe import RecipeTypes, measure_recipe_names, require_names
    from blemish.recipes.recipe import ENCODER, load

    refuse_frozen("shots", "seed", "classifier", "hold_out", "coverage")
    recipe, of = load(path), cast(Any, named.of)
    classifier = require_names(recipe, of).classifier  # refused before an encoder is loaded
    trial = RecipeTypes(recipe, root, *what, of, chosen.batch_size)
    said = {"classifier": classifier, "encoder": recipe.encoders[ENCODER].name, "recipe": recipe.hash}
    if recipe.deployed:
        _refuse_page(path, page)
        with show_progress() as watch:
            report, note = measure_recipe_names(trial, {}, watch=watch), ""
    else:
        seen_by = recipe_encoders(recipe, chosen.encoder, chosen.device)
        said["encoder"], note = seen_by[ENCODER].name, _note(seen_by[ENCODER])
        report = _measure(trial, seen_by, page, (classifier, note))
    _tell({"": report}, said, [page], as_json=as_json)
    leave(report.unreadable, report.naming.defects, note)


def _refuse_page(path: Path, page: Path | None) -> None:
    refuse_frozen("encoder", "device")
    if page:
        raise BadInput(
            f"{path} is deployed, and its graph does not say what in a picture spoke for a type: write the page by the "
            "recipe that it was exported from, or leave out --report"
        )


def _measure(
    trial: RecipeTypes, seen_by: Mapping[str, Encoder], page: Path | None, about: tuple[str, str]
) -> TypesReport:
    """about: the classifier, and what is to be said of its encoder."""
    from blemish.evaluation.types_by_recipe import measure_recipe_names
    from blemish.report.types_page import about_types_of_recipe, write_types
    from blemish.report.writer import Writer

    with ExitStack() as stack:
        watch = stack.enter_context(show_progress())
        writer = page and stack.enter_context(Writer(page, about_types_of_recipe(trial, *about)))
        report = measure_recipe_names(trial, seen_by, watch=watch)
        if writer:
            write_types(writer, report, watch=watch)
    return report


def _note(encoder: Encoder) -> str:
    from blemish import encoders

    return encoders.note(encoder)


def _tell(
    found: Mapping[str, TypesReport], said: Mapping[str, Any], pages: Sequence[Path | None], *, as_json: bool
) -> None:
    from blemish.evaluation.types_report import mean_unknown_auroc

    several = len(found) > 1
    for name, report in found.items():
        log_report(f"evaluate types {name}".strip(), said, report.as_json())
    if as_json:
        every = {name: report.as_json() for name, report in found.items()}
        whole = (
            {"held_out": every, "unknown_auroc": mean_unknown_auroc(found)} if several else next(iter(every.values()))
        )
        say(json.dumps({**whole, **said}))
        return
    say(", ".join(f"{key} {value}" for key, value in said.items()))
    for name, report in found.items():
        _print(name, report)
    if several:
        say(f"\nmean AUROC of unknown types: {mean_unknown_auroc(found):.4f}")
    for page in pages:
        print_page(page)


def _print(name: str, report: TypesReport) -> None:
    from blemish.metrics.naming import Naming

    learned = ", ".join(f"{type_} {count}" for type_, count in report.learned.items()) or "words alone"
    say(f"\n{f'held out: {name}; ' if name else ''}learned: {learned}; measured on {report.naming.defects}")
    estimates = report.naming.estimates() | {
        key: value for key in ("coverage", "set_size") if (value := getattr(report, key)) is not None
    }
    print_table(("metric", "value", "low", "high"), [(key, *(f"{n:.4f}" for n in e)) for key, e in estimates.items()])
    if not isinstance(report.naming, Naming):
        kinds = [
            (each, *(f"{n:.4f}" for n in found[:-1]), str(found[-1])) for each, found in report.naming.types.items()
        ]
        print_table(("type", "average precision", "F1", "precision", "recall", "pictures"), kinds)
    elif mistaken := report.naming.mistakes():
        rows = [(*names, str(count)) for *names, count in mistaken[:SHOWN]]
        print_table(("what it is", "said to be", "pictures"), rows)
