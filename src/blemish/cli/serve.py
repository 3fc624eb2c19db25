"""The commands of a line: `blemish serve`, its users, its records and its audit."""

from __future__ import annotations

from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blemish.cli.console import print_table, say
from blemish.errors import MissingExtra
from blemish.notices import amount

if TYPE_CHECKING:
    from blemish.serve.settings import LineSettings

LINE = click.argument("line", type=click.Path(path_type=Path, dir_okay=False))
DEMO = Path("blemish-demo")
DEMO_LINE = Path(__file__).parents[1] / "serve" / "demo.toml"
NEEDED = ("fastapi", "jinja2", "prometheus_client", "sqlalchemy", "uvicorn")


def _settings(line: Path, *, made: bool = False) -> LineSettings:
    from blemish.serve.settings import read_line

    if missing := [each for each in NEEDED if find_spec(each) is None]:
        raise MissingExtra(f"serving a line needs {', '.join(missing)}: pip install 'blemish[serve]'")
    return read_line(line, made=made)


@click.command()
@click.argument("line", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--check", is_flag=True, help="Read LINE and its recipes, say what does not fit, and start nothing.")
@click.option("--demo", is_flag=True, help=f"On drawn parts, in the folder {DEMO}; recipes are made.")
def serve(line: Path | None, check: bool, demo: bool) -> None:
    """Inspect a line: pictures in by HTTP or a folder, verdicts out within a budget, a record of every part.

    LINE is TOML; examples/line.toml shows every key; with --demo it may be left out. Every station has a process of its
    own, and the server none of their work. Off this machine it starts only with TLS, or a proxy that has it, and with
    users: `blemish user add`. Ends by Ctrl-C; parts that are open then are recorded as not inspected.
    """
    if line is None and not demo:
        raise click.UsageError("name a line.toml, or look at a demonstration by --demo")
    settings = _settings(line or DEMO_LINE, made=demo)
    if check:
        _check(settings, demo=demo)
        return
    from blemish.serve.app import serve as serve_line
    from blemish.serve.demo import draw_parts

    settings = _demonstration(settings) if demo else settings
    with draw_parts(settings) if demo else nullcontext():
        serve_line(settings, started=_say_where)


def _demonstration(settings: LineSettings) -> LineSettings:
    """On drawn parts; says which doors are open."""
    from blemish.serve.demo import demo_line
    from blemish.serve.demo_doors import spell_doors

    say(f"drawing parts and making a recipe in {DEMO}, the first time in a minute or so")
    found = demo_line(settings, DEMO)
    for each in spell_doors(settings, found):
        say(each)
    return found


def _check(settings: LineSettings, *, demo: bool) -> None:
    from blemish.serve.access import refuse_open
    from blemish.serve.judge import judge_by_recipe

    files = [] if demo else sorted({file for station in settings.stations for file in station.recipes.values()})
    refuse_open(settings, users_there=True)  # who they are does not stand in the file
    for file in files:
        judge_by_recipe(file, 1)
    say(f"{settings.name}: {amount(len(settings.stations), 'station')}, {amount(len(files), 'recipe')}, all fits")


def _say_where(server: Any) -> None:
    """Of uvicorn, when it listens."""
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    scheme = "https" if server.config.is_ssl else "http"
    say(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/")


@click.command()
@LINE
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .csv or .parquet file, or a folder.")
@click.option("--station", default="", help="Of this station alone.")
@click.option("--verdict", type=click.Choice(["accept", "review", "reject"]), help="Of this verdict alone.")
@click.option("--batch", default="", help="Of this batch alone.")
def records(line: Path, out: Path, station: str, verdict: str | None, batch: str) -> None:
    """Write the record of every part of LINE as a table, also while it runs.

    A folder gets those whose pictures are kept as a run, by the recipe of the last of them: `blemish report FOLDER`
    makes a page of it.
    """
    from blemish.serve.as_run import write_run
    from blemish.serve.queries import Wanted, each_part
    from blemish.serve.store import look_at_store
    from blemish.serve.tables import write_table

    settings, wanted = _settings(line, made=True), Wanted(station, verdict or "", batch=batch)
    with look_at_store(settings.store) as connection:
        if out.suffix:
            say(f"{out}: {amount(write_table(out, each_part(connection, wanted)), 'part')}")
        else:
            say(f"{out}: {amount(write_run(out, settings, connection, wanted), 'picture')}")


@click.group()
def audit() -> None:
    """Who did what to a line."""


@audit.command()
@LINE
@click.option("--head", default="", metavar="HASH", help="A hash that was written down, which must be in the chain.")
def verify(line: Path, head: str) -> None:
    """Check that no row of the audit of LINE was changed or removed, and print the hash of its last one.

    Keep that hash elsewhere: by --head it shows later that the end was not cut off. Exit status: 0, or 1 with the first
    row that does not hold.
    """
    from blemish.serve.audit import verify_audit
    from blemish.serve.store import look_at_store

    with look_at_store(_settings(line, made=True).store) as connection:
        found = verify_audit(connection, head)
    say(f"{amount(found.rows, 'row')}, all hold; the last: {found.head}")


@click.group()
def user() -> None:
    """People and machines that may use a line."""


@user.command("add")
@LINE
@click.argument("name")
@click.option("--role", default="operator", show_default=True, help="viewer, operator, quality or admin.")
@click.password_option(help="Asked for if it is left out.")
def add_user(line: Path, name: str, role: str, password: str) -> None:
    """Let NAME log in, or give NAME another role and password."""
    from blemish.serve.audit import note_act
    from blemish.serve.store import edit_store
    from blemish.serve.users import list_users, put_user

    with edit_store(_settings(line, made=True).store) as connection:
        old = list_users(connection).get(name, "")
        put_user(connection, name, role, password)
        note_act(connection, who="command line", what="user", subject=name, old=old, new=role)
    say(f"{name}: {role}")


@user.command("remove")
@LINE
@click.argument("name")
def remove_user(line: Path, name: str) -> None:
    """Let NAME, a person or a token, in no more; a line that runs knows its sessions until it is started again."""
    from blemish.serve.audit import note_act
    from blemish.serve.store import edit_store
    from blemish.serve.users import list_users, remove_token
    from blemish.serve.users import remove_user as remove

    with edit_store(_settings(line, made=True).store) as connection:
        is_person = name in list_users(connection)
        (remove if is_person else remove_token)(connection, name)
        note_act(connection, who="command line", what="remove", subject=name)
    say(f"{name} is removed")


@user.command("token")
@LINE
@click.argument("station")
@click.argument("name")
def add_token(line: Path, station: str, name: str) -> None:
    """Make a token by which a machine called NAME sends views to STATION, and print it; it is shown this once."""
    from blemish.serve.audit import note_act
    from blemish.serve.store import edit_store
    from blemish.serve.users import make_token

    settings = _settings(line, made=True)
    if settings.station(station) is None:
        raise click.UsageError(f"{line} has no station {station}")
    with edit_store(settings.store) as connection:
        token = make_token(connection, name, station)
        note_act(connection, who="command line", what="token", subject=name, new=station)
    say(token)


@user.command("list")
@LINE
def show_users(line: Path) -> None:
    """Show people with their roles, and tokens with their stations."""
    from blemish.serve.store import look_at_store
    from blemish.serve.users import list_tokens, list_users

    with look_at_store(_settings(line, made=True).store) as connection:
        people, machines = list_users(connection), list_tokens(connection)
    rows = [(name, role, "") for name, role in people.items()] + [(each.name, "", each.station) for each in machines]
    print_table(("name", "role", "station"), rows)
