"""The command `blemish agreement`: how far people and machines that judged the same parts can be trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blemish.cli.console import print_table, say
from blemish.errors import BadData
from blemish.notices import amount

if TYPE_CHECKING:
    from blemish.metrics.agreement import Kappa, Study
    from blemish.metrics.binomial import Rate

COLUMNS = ("part", "appraiser", "verdict", "reference")


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--good", default="good", show_default=True, help="The verdict of a part that may pass.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def agreement(table: Path, good: str, as_json: bool) -> None:
    """Analyse an attribute measurement system: TABLE is a csv file with a row a judgement.

    Its columns are part, appraiser (a person, a camera, a recipe), verdict and reference (what the part is known to
    be). Every appraiser judges every part equally often. Told are agreement within and between appraisers and with the
    reference, escapes and false alarms, Cohen's and Fleiss' kappa, all with 95 % intervals; a part is the unit.
    """
    from blemish.metrics.agreement import study

    names, ratings, reference = _read(table)
    found = study(ratings, reference, good=good)
    if as_json:
        say(json.dumps(_plain(found, names)))
    else:
        _print(found, names, len(reference))


def _read(table: Path) -> tuple[list[str], list[list[list[str]]], list[str]]:
    """Appraisers, judgements (parts, appraisers, repeats) and references; raises BadData for a table with gaps."""
    from blemish.data.rows import read_csv

    rows = read_csv(table, COLUMNS)
    if any(not row[name] for row in rows for name in COLUMNS):
        raise BadData(f"{table} needs the columns {', '.join(COLUMNS)}, and something in each of them in every row")
    parts, names = (list(dict.fromkeys(row[name] for row in rows)) for name in COLUMNS[:2])
    known: dict[str, str] = {}
    judged: dict[tuple[str, str], list[str]] = {(part, name): [] for part in parts for name in names}
    for row in rows:
        judged[row["part"], row["appraiser"]].append(row["verdict"])
        if known.setdefault(row["part"], row["reference"]) != row["reference"]:
            raise BadData(f"{table} gives part {row['part']} two references: {known[row['part']]}, {row['reference']}")
    often = len(next(iter(judged.values())))
    for (part, name), verdicts in judged.items():
        if len(verdicts) != often:
            raise BadData(
                f"{table}: {name} judged part {part} {len(verdicts)} times and the first part {often} times: every "
                "appraiser judges every part equally often"
            )
    return names, [[judged[part, name] for name in names] for part in parts], [known[part] for part in parts]


def _plain(found: Study, names: list[str]) -> dict[str, Any]:
    def rated(values: Any) -> dict[str, Any]:
        return {name: each._asdict() for name, each in values._asdict().items()}

    each = {name: rated(appraiser) for name, appraiser in zip(names, found.appraisers, strict=True)}
    whole = {name: getattr(found, name)._asdict() for name in ("between", "correct", "kappa")}
    # A kappa of one category is not a number, which JSON does not know.
    return json.loads(json.dumps({"appraisers": each} | whole), parse_constant=lambda _: None)  # type: ignore[no-any-return]


def _print(found: Study, names: list[str], parts: int) -> None:
    fields = ("within", "correct", "escapes", "false_alarms")
    rows = [
        (name, *(_share(getattr(each, field)) for field in fields), _beyond_chance(each.kappa))
        for name, each in zip(names, found.appraisers, strict=True)
    ]
    say(amount(parts, "part"))
    head = ("appraiser", "same every time", "as the reference", "defects passed", "good parts stopped", "kappa")
    print_table(head, rows)
    say(f"All appraisers alike, every time: {_share(found.between)}; and as the reference: {_share(found.correct)}")
    say(f"Fleiss' kappa: {_beyond_chance(found.kappa)}")


def _share(found: Rate) -> str:
    return f"{found.cases} of {found.total} ({100 * found.low:.1f} to {100 * found.high:.1f} %)"


def _beyond_chance(found: Kappa) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
