"""What commands share: options and exit status."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import click
from click.core import ParameterSource

from blemish.cli.console import say
from blemish.errors import BadInput

if TYPE_CHECKING:
    from blemish.encoders import Precision
    from blemish.images import Unreadable, View
    from blemish.progress import ShowProgress
    from blemish.recipes.recipe import Recipe
    from blemish.types import Encoder

FILE = click.Path(path_type=Path)
PLACE = click.Path()
"""A file, a folder or a glob, as text."""
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
SOME_UNREADABLE = 3
"""Exit status when every picture that could be read was inspected but some could not; 1 is failure, 2 wrong usage."""
SOME_IN_REVIEW, SOME_REJECTED = 10, 11
"""Exit status by a calibrated recipe; of several that apply the one that asks for most: 11, then 3, then 10."""


class _NewFolder(click.Path):
    """A folder of this machine to write."""

    def convert(self, value: Any, option: click.Parameter | None, context: click.Context | None) -> Any:
        if "://" in str(value):
            self.fail(f"{value} does not lie on this machine: name a folder; `blemish batch` writes to URLs")
        return super().convert(value, option, context)


NEW_FOLDER = _NewFolder(path_type=Path, file_okay=False)


ABOVE_0 = click.FloatRange(0, min_open=True)
SHAPES = "See each picture whole in its own shape, or as a square.  [default: in that of the good parts]"
BUDGET_MS = "Milliseconds that a picture may take: measures views by the good parts, and takes the finest that fits."
WHITE = "Sample of full brightness, such as 4095 for 12 bits kept in 16."
SAFE = " !#$&'()+,;=@[]{}"
"""Characters that names of pages hold as they are, beside letters and digits."""
ON = "Where to compute: auto, the best there is; cpu, cuda, cuda:1 or mps."
TOGETHER = "How many pictures the encoder is given at once."
device_option = click.option("--device", default="auto", show_default=True, metavar="NAME", help=ON)


class _Method(click.ParamType[str]):
    """A method's name; of one's own "FILE.py:Class" or "module:Class", which is imported since the command names it."""

    name = "method"

    def convert(self, value: Any, option: click.Parameter | None, context: click.Context | None) -> Any:
        from blemish.catalog.own import import_own

        return import_own(value) if ":" in value else value


METHOD = _Method()


def _trust(context: click.Context, option: click.Parameter, places: tuple[str, ...]) -> None:
    from blemish.catalog.own import trust

    trust(places)


own_option = click.option(
    "--own",
    multiple=True,
    metavar="FILE.py|MODULE",
    callback=_trust,
    expose_value=False,
    help="Code of yours whose methods recipes may use; repeatable.",
)


@dataclass
class DetectorOptions:
    """The options that `inspect` and `evaluate` share."""

    method: str | None = None
    encoder: str | None = None
    precision: Precision = "float32"
    arguments: tuple[str, ...] = ()
    tile: int | None = None
    overlap: int | None = None
    whole: bool = False
    keep_aspect: bool | None = None
    part_only: bool = False
    budget_ms: float | None = None
    white: float | None = None
    batch_size: int = 8
    device: str = "auto"

    def load_encoder(self) -> Encoder:
        """The encoder, or the default one, where it is to compute."""
        from blemish import encoders
        from blemish.devices import device_of_name, place_model

        device = device_of_name(self.device)
        return place_model(encoders.load(self.encoder or encoders.DEFAULT, precision=self.precision), device)


class DetectorChoice(NamedTuple):
    """The detector that options ask for."""

    method: str
    encoder: Encoder
    arguments: dict[str, Any]
    view: View


def choose_detector(
    chosen: DetectorOptions,
    *,
    good: bool,
    region: Sequence[int] | None = None,
    mask: str | None = None,
    frozen: bool = False,
    words: Mapping[str, str] | None = None,
    trained: bool = False,
) -> DetectorChoice:
    """The encoder is loaded when all else is known to fit; `good` says whether there are good parts to learn, `trained`
    whether there are weights of a training.
    """
    from blemish.catalog import require_arguments
    from blemish.fitting import default_method, require_method

    arguments, view = dict(words or {}) | arguments_of(chosen.arguments), view_of(chosen, region, mask)
    if chosen.method and trained:
        require_arguments(chosen.method, arguments)
    elif chosen.method:
        require_method(chosen.method, arguments, good=good, frozen=frozen)
    encoder = chosen.load_encoder()
    return DetectorChoice(chosen.method or default_method(encoder, good=good), encoder, arguments, view)


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    setattr(context.ensure_object(DetectorOptions), str(option.name), value)


def add_detector_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of `DetectorOptions`, which the command is handed as its first argument."""
    side = click.IntRange(16)
    options = [
        _option(
            "--method", type=METHOD, metavar="NAME", help="See `blemish list methods`; left out: by what there is."
        ),
        _option("--encoder", metavar="NAME|PATH", help="See `blemish list encoders`; or a file of weights."),
        _option(
            "--precision",
            type=click.Choice(["auto", "float32", "bfloat16"]),
            default="float32",
            show_default=True,
            help="What the encoder computes in; auto: bfloat16 where that is faster here. It moves scores.",
        ),
        _option("--set", "arguments", multiple=True, metavar="NAME=VALUE", help="An argument of the method."),
        _option("--tile", type=side, metavar="PIXELS", help="Inspect square tiles at native resolution."),
        _option("--overlap", type=click.IntRange(0), metavar="PIXELS", help="What neighbouring tiles share."),
        _option("--whole", is_flag=True, help="See each picture whole as well as in tiles; the higher score counts."),
        _option("--keep-aspect/--stretch", default=None, help=SHAPES),
        _option("--part-only", is_flag=True, help="Leave out what lies beyond all good parts, if it is plain there."),
        _option("--budget-ms", type=ABOVE_0, metavar="MS", help=BUDGET_MS),
        _option("--white", type=float, help=WHITE),
        _option("--batch-size", type=click.IntRange(1), default=8, show_default=True, help=TOGETHER),
        _option("--device", default="auto", show_default=True, metavar="NAME", help=ON),
    ]
    for option in reversed(options):
        command = option(command)
    return click.make_pass_decorator(DetectorOptions)(command)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --out, --resume and --shard, which say what a run writes and which pictures it takes."""
    shard = "Inspect the K-th of N shares of the pictures, see `blemish merge`."
    for option in (
        click.option("--shard", metavar="K/N", help=shard),
        click.option("--resume", is_flag=True, help="Go on with the run that --out holds."),
        click.option("--out", type=NEW_FOLDER, default="blemish-out", show_default=True, help="The folder to write."),
    ):
        command = option(command)
    return command


def region_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --region and --mask, which `view_of` takes."""
    where = click.option("--mask", metavar="FILE", help="Inspect only where this picture is white.")
    box = "Inspect this rectangle only, in pixels."
    return click.option("--region", type=int, nargs=4, metavar="X Y W H", help=box)(where(command))


_option = functools.partial(click.option, expose_value=False, callback=_keep)


PYTHON_WORDS = {"None": "null", "True": "true", "False": "false"}
"""As the reference prints values, and JSON has them."""


def arguments_of(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE with VALUE as JSON where it is JSON or one of Python's words for such, else as text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set {pair}: write NAME=VALUE, for example --set neighbours=9")
        try:
            found[name] = json.loads(PYTHON_WORDS.get(value, value))
        except ValueError:
            found[name] = value
    return found


def view_of(chosen: DetectorOptions, region: Sequence[int] | None = None, mask: str | None = None) -> View:
    """What the options say is to be inspected of each picture."""
    from blemish.images import Region, View, read_region_mask

    tile, overlap = chosen.tile, chosen.overlap
    if chosen.budget_ms is not None:
        _refuse_two_views(chosen)
    if tile is None and overlap is not None:
        raise click.UsageError("--overlap goes with --tile")
    if tile is None and chosen.whole:
        raise click.UsageError("--whole goes with --tile: without it each picture is seen whole in any case")
    shared = (tile or 0) // 4 if overlap is None else overlap
    if tile is not None and shared >= tile:
        raise click.UsageError(f"--overlap {overlap} must be smaller than --tile {tile}")
    return View(
        Region(*region) if region else None,
        read_region_mask(mask) if mask else None,
        tile,
        shared,
        chosen.white,
        1.0 if chosen.whole else None,
        bool(chosen.keep_aspect),
    )


def settle_view(
    chosen: DetectorOptions,
    asked: DetectorChoice,
    good: Sequence[Path],
    *,
    product: str | None = None,
    watch: ShowProgress,
) -> DetectorChoice:
    """With the view, and the side of inputs, that these good parts and the options decide; what was chosen is said."""
    from blemish.runs.views import Wish, choose_view

    wish = Wish(chosen.keep_aspect, chosen.part_only, chosen.budget_ms and chosen.budget_ms / 1000)
    found = choose_view(
        asked.method, asked.encoder, good, wish, view=asked.view, arguments=asked.arguments,
        product=product or "object", batch_size=chosen.batch_size, watch=watch,
    )  # fmt: skip
    for sentence in found.said:
        say(f"view: {sentence}", err=True)
    return asked._replace(arguments=dict(found.arguments), view=found.view)


def _refuse_two_views(chosen: DetectorOptions) -> None:
    """Raise UsageError where a budget is to choose what is said besides."""
    context = click.get_current_context()
    sized = any(pair.partition("=")[0] == "image_size" for pair in chosen.arguments)
    if chosen.tile is not None or sized:
        raise click.UsageError(f"--budget-ms chooses {'--tile' if chosen.tile else 'image_size'} itself: leave one out")
    if context.params.get("resume"):
        raise click.UsageError(
            "--budget-ms measures anew and may choose another view than the run began with: freeze a recipe by it, and "
            "go on with --recipe"
        )


def hold(file: Path) -> None:
    """Nobody else writes this file until the command ends; raises CannotWrite before it has done anything."""
    from blemish.files import alone_at

    click.get_current_context().with_resource(alone_at(file))


def hold_new(file: Path, instead: str = ", or teach that one more by `blemish teach`") -> None:
    """As `hold`, for a recipe to be made; raises BadInput for a file that is there, or that is called as a picture.

    instead: what else may be done with the one that is there.
    """
    from blemish.images import SUFFIXES

    hold(file)
    if file.exists():
        raise BadInput(f"{file} exists: name another file{instead}")
    if file.suffix.lower() in SUFFIXES:
        raise BadInput(f"{file} is called as a picture is: name the recipe {file.with_suffix('.blemish')}")


def recipe_encoders(recipe: Recipe, encoder: str | None, device: str) -> dict[str, Encoder]:
    """The encoders of a recipe, where they are to compute."""
    from blemish.devices import device_of_name
    from blemish.recipes.detectors import encoders_of

    return encoders_of(recipe, encoder, device_of_name(device))


defects_option = click.option(
    "--defects", metavar="WORDS|FILE", help='What can go wrong: "scratch, dent", or a TOML file with a table of each.'
)
scale_option = click.option(
    "--scale", type=ABOVE_0, metavar="MM", help="Millimetres a pixel, for areas and lengths of regions."
)
white_option = click.option("--white", type=float, help=WHITE)
page_option = click.option(
    "--report", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to look at, one HTML file."
)


def page_for(page: Path, part: str) -> Path:
    """Of several parts of an evaluation each has a page of its own, whatever its name holds."""
    return page.with_name(f"{page.stem}-{quote(part, safe=SAFE)}{page.suffix}") if part else page


def print_page(page: Path | None) -> None:
    """Say where it lies."""
    if page:
        say(f"report: {page}")


VIEWED = ("method", "tile", "overlap", "whole", "keep_aspect", "part_only", "budget_ms", "white")
"""Parameters of commands that say which detector sees a picture, and how."""
FROZEN = ("precision", "arguments", "product", *VIEWED)
"""Parameters of commands that every recipe has decided."""


def given_options(names: Iterable[str]) -> str:
    """Those of these parameters that the command line says, as a person writes them; "" for none."""
    context = click.get_current_context()
    given = [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return ", ".join("--set" if name == "arguments" else f"--{name.replace('_', '-')}" for name in given)


def refuse_frozen(*more: str) -> None:
    """Raise UsageError for an option that a recipe has decided already: those of every command, and `more`."""
    if options := given_options((*FROZEN, *more)):
        raise click.UsageError(f"--recipe has its own {options}: leave that out, or freeze another recipe")


def leave(
    unreadable: Sequence[Unreadable], inspected: int, note: str, verdicts: Mapping[str, int] | None = None
) -> None:
    """Say which pictures were left out, shown or to be inspected, and end with the exit status that tells."""
    if note:
        say(f"note: {note}", err=True)
    for bad in unreadable:
        say(f"left out: {bad.reason}", err=True)
    if unreadable and not inspected:
        raise BadInput("no picture could be read")
    found = verdicts or {}
    applies = (
        (SOME_REJECTED, found.get("reject")),
        (SOME_UNREADABLE, unreadable),
        (SOME_IN_REVIEW, found.get("review")),
    )
    if status := next((code for code, does in applies if does), 0):
        raise SystemExit(status)
