"""The command `blemish evaluate`: a method or a recipe on labelled pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from blemish.cli.console import print_table, say, show_progress
from blemish.cli.options import (
    DetectorChoice,
    DetectorOptions,
    add_detector_options,
    choose_detector,
    leave,
    page_for,
    page_option,
    print_page,
    recipe_encoders,
    refuse_frozen,
    settle_view,
)
from blemish.cli.tracking import log_option, log_report
from blemish.cli.types_of_defects import (
    add_types_options,
    evaluate_types,
    evaluate_types_by_recipe,
    refuse_misfits,
    refuse_types_options,
    shots_of,
    types_options,
)
from blemish.errors import BadData, BlemishError
from blemish.notices import amount, gather, silence

if TYPE_CHECKING:
    from blemish.evaluation.evaluate import Report, Trial
    from blemish.evaluation.protocol import Protocol
    from blemish.evaluation.validate import Validation
    from blemish.metrics.binomial import Rate
    from blemish.metrics.intervals import Estimate
    from blemish.metrics.naming import Naming
    from blemish.metrics.verdicts import Verdicts
    from blemish.progress import ShowProgress
    from blemish.recipes.recipe import Recipe
    from blemish.types import ArrayDetector, Detector, Sample


@click.command()
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--layout", metavar="NAME", help="See `blemish list layouts`; detected if left out.")
@click.option("--category", metavar="NAME", help="One category; each of them on its own if left out.")
@click.option("--split", default="test", show_default=True, help="What is measured on, if the layout has others.")
@click.option("--shots", callback=shots_of, metavar="K|all", help="Good parts, or examples of each type.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which of them are drawn.")
@add_types_options
@click.option("--product", help="What the part is, in words; the category's name if left out.")
@click.option("--recipe", type=click.Path(path_type=Path), metavar="FILE", help="Measure a frozen recipe.")
@click.option(
    "--protocol",
    type=click.Choice(["standard", "published"]),
    default="standard",
    show_default=True,
    help="published: scores scaled by the test set where the authors did so, only to compare with their numbers.",
)
@page_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@log_option
@add_detector_options
def evaluate(
    chosen: DetectorOptions,
    root: Path,
    layout: str | None,
    category: str | None,
    split: str,
    shots: int | None,
    seed: int,
    product: str | None,
    recipe: Path | None,
    protocol: Protocol,
    page: Path | None,
    as_json: bool,
) -> None:
    """Measure a method, or a recipe with its verdicts, on a labelled data set; or a classifier of defects.

    Good parts are drawn from the training split; everything is measured on another, each metric with its 95 %
    bootstrap interval; of several categories their mean as well. With --recipe nothing is learned: its verdicts are
    counted by type and size with exact intervals, and test pictures that taught it are left out. With --task types a
    classifier learns some of one half of each type's pictures and names the other half, or a recipe that was taught
    types names all defects that did not teach it. Exit status: 0, or 3 when some pictures are unreadable; 1 failure,
    also of one category only; 2 wrong usage.
    """
    if types_options().task == "types":
        refuse_misfits()
        if recipe:
            return evaluate_types_by_recipe(
                recipe, chosen, types_options(), root, (layout, category), page, as_json=as_json
            )
        about = (layout, category, product)
        evaluate_types(chosen, types_options(), root, about, (shots, seed), page, as_json=as_json)
        return
    refuse_types_options()
    if recipe:
        refuse_frozen("shots", "seed")
        return _evaluate_recipe(recipe, root, (layout, category, split), chosen, page, as_json, protocol)
    trial = _TrialOptions(root, layout, category, split, shots, seed, product, protocol)
    _evaluate_method(chosen, trial, page, as_json=as_json)


class _TrialOptions(NamedTuple):
    """What `blemish evaluate` says of a trial beside the detector."""

    root: Path
    layout: str | None
    category: str | None
    split: str
    shots: int | None
    seed: int
    product: str | None
    protocol: Protocol


def _evaluate_method(chosen: DetectorOptions, given: _TrialOptions, page: Path | None, *, as_json: bool) -> None:
    from blemish import encoders
    from blemish.evaluation import evaluate as evaluation

    trial = evaluation.Trial(
        **given._asdict(),
        method=chosen.method or "",
        encoder=chosen.encoder or encoders.DEFAULT,
        batch_size=chosen.batch_size,
    )
    evaluation.check_any(evaluation.trials(trial).values())
    asked = choose_detector(chosen, good=given.shots != 0)
    trial = replace(trial, method=asked.method, encoder=asked.encoder, arguments=asked.arguments, view=asked.view)
    note = encoders.note(asked.encoder)
    with show_progress() as watch:
        reports, failed = _run_each(trial, partial(_in_view, chosen, asked), watch, page, note)
    about = {"method": trial.method, "encoder": asked.encoder.name, "seed": given.seed}
    _tell(reports, failed, about, page, as_json)
    inspected = sum(report.whole.n_normal + report.whole.n_anomalous for report in reports.values())
    leave([bad for report in reports.values() for bad in report.unreadable], inspected, note)


def _run_each(
    trial: Trial, settle: Callable[[Trial, ShowProgress], Trial], watch: ShowProgress, page: Path | None, note: str
) -> tuple[dict[str, Report], dict[str, BlemishError]]:
    """The report of each category, learned on its own, and why there is none; what fails alone is raised.

    settle: the trial in the view that its good parts decide.
    """
    from blemish.evaluation import evaluate as evaluation

    every = evaluation.trials(trial)
    reports, failed = dict[str, "Report"](), dict[str, BlemishError]()
    for name, each in every.items():
        try:
            reports[name] = _run(
                settle(each, watch), watch, page and page_for(page, name if len(every) > 1 else ""), note
            )
        except BlemishError as error:  # the others are worth having
            failed[name] = error
    if not reports:
        raise next(iter(failed.values()))
    return reports, failed


def _in_view(chosen: DetectorOptions, asked: DetectorChoice, trial: Trial, watch: ShowProgress) -> Trial:
    from blemish.evaluation.evaluate import training_samples

    with silence():
        good = [sample.image for sample in training_samples(trial)]
    found = settle_view(chosen, asked, good, product=trial.part, watch=watch)
    return replace(trial, arguments=found.arguments, view=found.view)


def _run(trial: Trial, watch: ShowProgress, page: Path | None, note: str) -> Report:
    from blemish.evaluation.evaluate import run_trial, training_samples
    from blemish.report import runs
    from blemish.report.measured import about_trial

    if page is None:
        return run_trial(trial, watch=watch)
    good = [sample.image for sample in training_samples(trial)]
    with runs.page(page, about_trial(trial, note), good=good, view=trial.view) as sink:
        report = run_trial(trial, watch=watch, sinks=[sink])
        sink.finish(measures=report.as_json() | {"unreadable": None}, curves=report.curves)
    return report


def _tell(
    reports: Mapping[str, Report],
    failed: Mapping[str, BlemishError],
    about: Mapping[str, Any],
    page: Path | None,
    as_json: bool,
) -> None:
    """One category's report as it is; of several each, their mean, and those that failed."""
    from blemish.evaluation.evaluate import mean

    several, means = len(reports) + len(failed) > 1, mean(reports.values())
    for name, report in reports.items():
        log_report(f"evaluate {name}", about, report.as_json())
    if as_json:
        rows = {name: {**report.as_json(), **about} for name, report in reports.items()}
        every = {"categories": rows, "mean": means, "failed": {name: str(error) for name, error in failed.items()}}
        say(json.dumps({**every, **about} if several else next(iter(rows.values()))))
    else:
        say(", ".join(f"{key} {value}" for key, value in about.items()))
        for name, report in reports.items():
            _print_report(name, report)
        if several:
            say("")
            known = [(name, f"{value:.4f}") for name, value in means.items() if value is not None]
            print_table((f"mean of {len(reports)} categories", ""), known)
        for name in reports if page else ():
            print_page(page and page_for(page, name if several else ""))
    if failed:
        raise BadData("; ".join(f"{name}: {error}" for name, error in failed.items()))


def _evaluate_recipe(
    path: Path,
    root: Path,
    what: tuple[str | None, str | None, str],
    chosen: DetectorOptions,
    page: Path | None,
    as_json: bool,
    protocol: Protocol,
) -> None:
    """what: layout, category and split."""
    from blemish.data.masks import check_fit
    from blemish.evaluation.evidence import samples_to_measure
    from blemish.evaluation.validate import check_recipe
    from blemish.recipes import recipe as recipes

    recipe = recipes.load(path)
    check_recipe(recipe, protocol)
    if recipe.deployed:
        refuse_frozen("encoder", "device")
    with gather() as notices, show_progress() as watch:
        samples = samples_to_measure(root, layout=what[0], category=what[1], split=what[2])
        check_fit((sample.masks, sample.image) for sample in samples if sample.label)
        made, encoder, note = _detector_of(recipe, chosen)
        found = _validate(recipe, made, samples, chosen.batch_size, watch, page, note, protocol)
    about = {"method": recipe.method, "encoder": encoder, "recipe": recipe.hash, "protocol": protocol}
    log_report(f"evaluate {path.name}", about | {"data": str(root)}, found.as_json())
    if as_json:
        say(json.dumps(found.as_json() | about | {"notes": notices.lines()}))
    else:
        say(", ".join(f"{key} {value}" for key, value in about.items()))
        _print_report(path.name, found.report)
        _print_verified(found)
        print_page(page)
    if found.learned:
        say(f"note: {amount(len(found.learned), 'picture')} of the test split taught the recipe, left out", err=True)
    leave(found.report.unreadable, found.report.whole.n_normal + found.report.whole.n_anomalous, note)


def _detector_of(recipe: Recipe, chosen: DetectorOptions) -> tuple[Detector | ArrayDetector, str, str]:
    """The detector, its encoder's name, and what is to be said of that; by its graph where it is deployed."""
    from blemish.recipes.recipe import ENCODER

    if recipe.deployed:
        from blemish.runtime.running import graph_detector

        return graph_detector(recipe), recipe.encoders[ENCODER].name, ""
    from blemish import encoders
    from blemish.recipes import detectors

    seen_by = recipe_encoders(recipe, chosen.encoder, chosen.device)
    return detectors.detector(recipe, seen_by), seen_by[ENCODER].name, encoders.note(seen_by[ENCODER])


def _validate(
    recipe: Recipe,
    detector: Detector | ArrayDetector,
    samples: Sequence[Sample],
    batch_size: int,
    watch: ShowProgress,
    page: Path | None,
    note: str,
    protocol: Protocol,
) -> Validation:
    from blemish.evaluation.validate import validate
    from blemish.report import runs
    from blemish.report.measured import about_recipe

    if page is None:
        return validate(recipe, detector, samples, batch_size=batch_size, watch=watch, protocol=protocol)
    with runs.page(page, about_recipe(recipe, note, protocol=protocol), view=recipe.view) as sink:
        found = validate(recipe, detector, samples, batch_size=batch_size, watch=watch, sinks=[sink], protocol=protocol)
        sink.finish(measures=found.report.as_json() | {"unreadable": None}, curves=found.report.curves)
    return found


def _print_report(name: str, report: Report) -> None:
    from blemish.evaluation.evaluate import METRICS

    values = report.as_json()
    measured = [key for key in METRICS if values[key]]
    rows = [(key, *(f"{values[key][part]:.4f}" for part in ("value", "low", "high")), "") for key in measured]
    rows += [(key, "", "", "", why) for key, why in report.whole.missing.items()]
    learned = f", {amount(report.shots, 'good part')} learned" if report.shots else ""
    say(f"\n{name}: {report.whole.n_normal} good, {report.whole.n_anomalous} anomalous{learned}")
    print_table(("metric", "value", "low", "high", "why there is none" if report.whole.missing else ""), rows)
    if len(report.types) > 1:
        print_table(("defects alone", "pictures", *measured), _lines_of_types(values["types"], measured))
    if report.naming:
        _print_naming(report.naming)
    say(f"{report.seconds_per_image:.3f} s an image")


def _print_naming(naming: Naming) -> None:
    rows = [(name, *(f"{number:.4f}" for number in each)) for name, each in naming.estimates().items()]
    print_table(("names of defects", "value", "low", "high"), rows)
    mistaken = naming.mistakes()
    if mistaken:
        print_table(("what it is", "said to be", "pictures"), [(*names, str(count)) for *names, count in mistaken[:10]])


def _lines_of_types(types: dict[str, Any], measured: Sequence[str]) -> list[tuple[str, ...]]:
    return [
        (kind, str(found["n_anomalous"]), *(f"{found[key]['value']:.4f}" if found[key] else "" for key in measured))
        for kind, found in types.items()
    ]


def _print_verified(found: Validation) -> None:
    for what, rows in (("parts", found.verdicts), ("defects of", found.sizes)):
        if rows:
            print_table(
                (what, "in all", "accepted", "for review", "rejected"), [_counted(*row) for row in rows.items()]
            )
    if found.review:
        say(f"For review are {_share(found.review)} of all pictures, with 95 % confidence.")
    _print_errors("defects that may escape", "good parts then rejected", found.overkill, _percent)
    _print_errors("good parts that may be rejected", "defects that then escape", found.escapes, _percent)
    _print_errors("pictures", "are done within", found.seconds, lambda seconds: f"{seconds:.3g} s")


def _counted(kind: str, found: Verdicts) -> tuple[str, ...]:
    return kind, str(found.accepted.total), _share(found.accepted), _share(found.reviewed), _share(found.rejected)


def _share(found: Rate) -> str:
    """A count, and the interval of its share."""
    return f"{found.cases} ({100 * found.low:.1f} to {100 * found.high:.1f} %)"


def _print_errors(given: str, then: str, found: Mapping[float, Estimate], shown: Callable[[float], str]) -> None:
    rows = [(f"{100 * share:g} %", shown(each.value), _between(each, shown)) for share, each in found.items()]
    if rows:
        print_table((given, then, "95 % interval"), rows)


def _between(found: Estimate, shown: Callable[[float], str]) -> str:
    """Its interval, which has no end where pictures are too few to tell one."""
    return f"{shown(found.low)} to {shown(found.high)}" if found.high < math.inf else f"at least {shown(found.low)}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
