"""`blemish.toml`: what options are in a folder where the command line does not say otherwise.

A key is an option without its dashes. Under the name of a command, `[inspect]` or `[recipe.freeze]`, it is of that
command; above all tables, of every command that has such an option. Paths are relative to the file; where a name may
stand as well, a path begins with ./ or ../.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from blemish.cli.console import say
from blemish.cli.options import FROZEN, METHOD
from blemish.data.rows import read_text
from blemish.errors import BadInput, BlemishError
from blemish.fields import Fields
from blemish.serve.toml_lines import lines_of

Given = Mapping[str, Fields]
"""Keys that may be options, each with the table that it stands in."""

BY_RECIPE = ("batch", "classify", "evaluate", "inspect")
"""Commands for which a recipe decides what other options decide else."""
_OF_RECIPE = (*FROZEN, "encoder", "normal", "region", "mask", "shots", "seed", "classifier", "hold_out", "coverage")


def defaults_of(program: click.Group, file: Path, name: str, words: Sequence[str] = ()) -> dict[str, Any]:
    """What the file says of the command of that name, as click's `default_map`: a default is said when it is used.

    words: those of the command line; where they name a recipe, what it has of its own is left out, which is said too.
    Raises BadInput with the line of a key that is no command and no option, or of a value that does not fit.
    """
    read = _read(file)
    commands = dict(_commands(program))
    plain = _plain_keys(read, {})
    for key in read.values:
        if key not in commands and key not in plain:
            read.inner(key, read.values[key])
            raise read.refused(key, f"there is no such command; they are {', '.join(commands)}")
    everywhere = {key for command in commands.values() for key in _options_within(command)} if plain else set()
    if plain.keys() - everywhere:
        read.only(*everywhere, *commands)
    found = _of_command(commands[name], read, name, plain)
    recipe = _recipe_of(words) or getattr(found.get("recipe"), "value", "")
    if name in BY_RECIPE and recipe:
        found = _beside_recipe(commands[name], found, file, Path(recipe))
    return {name: found}


def _recipe_of(words: Sequence[str]) -> str:
    """What follows --recipe; "" without it."""
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word == "--recipe":
            return after
        if word.startswith("--recipe="):
            return word.partition("=")[2]
    return ""


def _is_deployed(recipe: Path) -> bool:
    from blemish.recipes.recipe import load

    try:
        return load(recipe).deployed is not None
    except BlemishError:
        return False  # the command says what is wrong with it


def _beside_recipe(command: click.Command, found: Mapping[str, Any], file: Path, recipe: Path) -> dict[str, Any]:
    own = {*_OF_RECIPE, *(["device"] if "device" in found and _is_deployed(recipe) else [])}
    names = {str(each.name): key for key, each in _options(command).items() if each.name in own}
    unused = [names[name] for name in found if name in names]
    if unused:
        say(f"{file}: not used, for --recipe has its own: {', '.join(unused)}", err=True)
    return {name: value for name, value in found.items() if name not in names}


def _read(file: Path) -> Fields:
    text = read_text(file)
    try:
        return Fields(file, "", tomllib.loads(text), BadInput, lines=lines_of(text))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file} is no TOML: {error}") from error


def _commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command:
            yield name, command


def _options(command: click.Command) -> dict[str, click.Option]:
    """By what they are called on the command line."""
    found = [each for each in command.params if isinstance(each, click.Option)]
    return {max(each.opts, key=len).lstrip("-"): each for each in found}


def _options_within(command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        for _, inner in _commands(command):
            yield from _options_within(inner)
    else:
        yield from _options(command)


def _plain_keys(table: Fields, above: Given) -> Given:
    return {**above, **{key: table for key, value in table.values.items() if not isinstance(value, Mapping)}}


def _of_command(command: click.Command, above: Fields, name: str, given: Given) -> dict[str, Any]:
    own = above.inner(name, above.values.get(name, {}))
    if isinstance(command, click.Group):
        commands = dict(_commands(command))
        plain = _plain_keys(own, given)
        known = {key for key in plain if any(key in _options(inner) for inner in commands.values())}
        own.only(*commands, *known, *(key for key in plain if key not in own.values))
        return {inner: _of_command(each, own, inner, plain) for inner, each in commands.items()}
    options = _options(command)
    own.only(*options)
    there = {key: table for key, table in {**given, **dict.fromkeys(own.values, own)}.items() if key in options}
    return {str(options[key].name): _default(options[key], key, table) for key, table in there.items()}


class _Default(NamedTuple):
    """The value, which is asked for where the command line has none, and is then told."""

    value: Any
    told: str

    def __call__(self) -> Any:
        say(self.told, err=True)
        return self.value


def _default(option: click.Option, key: str, table: Fields) -> _Default:
    value = _value(option, key, table)
    shown = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else repr(value)
    return _Default(value, f"{table.file}: {key} = {shown}")


def _value(option: click.Option, key: str, table: Fields) -> Any:
    value = table.values[key]
    if option.is_flag != isinstance(value, bool):
        raise table.misfit(key, value, "true or false" if option.is_flag else "a value, not true or false")
    if (option.multiple or option.nargs != 1) != isinstance(value, list):
        raise table.misfit(key, value, "a list" if not isinstance(value, list) else "one value, no list")
    if option.type is METHOD and ":" in str(value):
        said = "name a method of your own on the command line: no file that lies in a folder may have its code imported"
        raise table.refused(key, said)
    place = isinstance(option.type, click.Path)
    value = [_place(each, table, place) for each in value] if isinstance(value, list) else _place(value, table, place)
    try:
        option.type_cast_value(click.Context(click.Command(key)), value)
    except click.UsageError as error:
        raise table.refused(key, error.message) from error
    return value


def _place(value: Any, table: Fields, is_path: bool) -> Any:
    """What is a path, or begins as one with ./ or ../, from the file's folder on."""
    if isinstance(value, str) and (is_path or value.startswith(("./", "../"))):
        return str(Path(table.file).parent / value)
    return value
