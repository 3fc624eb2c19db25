"""`line.toml` -> what is to be served; a key that does not fit is an error with its line, before anything starts."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from blemish.errors import BadInput
from blemish.fields import Fields, is_text, one_of, table_of
from blemish.serve.cameras.options import CameraSettings, read_cameras
from blemish.serve.doors.options import ConnectorSettings, is_near, letters_of, read_connectors
from blemish.serve.keys import NAMES, file_at, flag_at, is_name, number_at
from blemish.serve.toml_lines import lines_of

Unjudged = Literal["review", "reject"]
EXAMPLE_LINE = "examples/line.toml"
DEFAULT_VIEW = "front"
REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how the front listens."""

    host: str
    port: int
    certificate: Path | None  # with its key: TLS
    key: Path | None
    behind_proxy: bool  # TLS ends before us
    max_body_size: int  # bytes of a view
    body_seconds: float  # in which a request's body must be there

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_near(self.host)

    @property
    def is_private(self) -> bool:
        """Whether nobody off this machine can reach it, by a proxy neither."""
        return self.is_loopback and not self.behind_proxy

    @property
    def is_encrypted(self) -> bool:
        """Whether what goes over the network can be read by nobody else."""
        return self.certificate is not None or self.behind_proxy


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long, and how many, pictures of a verdict are kept."""

    days: float
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where records and pictures lie."""

    folder: Path
    url: str  # of another database than SQLite in the folder; "" for that
    durable: bool  # reported only after the commit
    keep_free: int  # bytes of the disk that pictures leave free
    retention: Mapping[str, Keeping]  # by verdict
    letters: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by station: connectors that get one a part


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """A folder that a camera's program writes pictures to."""

    path: Path
    settle_ms: float  # a file that does not change for so long is complete
    pattern: re.Pattern[str]  # of a file's name without its ending: groups part and, of several views, view
    done: Path | None  # where files go once their part is recorded; None: they are removed


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """How a station's recipes are changed by people."""

    second_person: bool  # whoever proposes a change does not put it live
    sources: Mapping[str, Path]  # of deployed recipes: those that they were exported from, which teaching needs
    good: Path | None  # parts that taught nothing, for thresholds after teaching; None: those that people accepted
    defects: Path | None  # defective ones, a folder a type; None: those that people rejected
    every_picture: bool  # of these shows a part of its own, however alike they are


@dataclass(frozen=True, slots=True)
class StationSettings:
    """One camera group: a process of its own."""

    name: str
    recipes: Mapping[str, Path]
    recipe: str  # the one it begins with
    views: tuple[str, ...]  # that make a part, cameras x exposures
    product: str
    types: tuple[str, ...]  # of defects, as people name them in review
    budget_ms: float  # from the arrival of a part's last view to the answer
    views_ms: float  # from the first view of a part to its last
    queue: int  # views that may wait
    unjudged: Unjudged  # the verdict of what is late, incomplete, unreadable or not inspected
    start: bool  # inspect as soon as it is ready
    max_pixels: int
    folder: FolderSettings | None
    cameras: tuple[CameraSettings, ...]
    quality: QualitySettings


@dataclass(frozen=True, slots=True)
class LineSettings:
    """A whole `line.toml`."""

    name: str
    server: ServerSettings
    store: StoreSettings
    stations: tuple[StationSettings, ...]
    connectors: tuple[ConnectorSettings, ...] = ()

    def station(self, name: str) -> StationSettings | None:
        """By name."""
        return next((each for each in self.stations if each.name == name), None)


def read_line(path: Path, *, made: bool = False) -> LineSettings:
    """The settings in a file; raises BadInput, with a line for each key that will not do.

    made: its recipes will be made, so they need not be there.
    """
    errors: dict[str, str] = {}
    whole, found = _every(_read(path), path, errors, made=True)
    if found and not made:
        whole, found = _every(whole, path, errors, made=False)
    if found is None or errors:
        raise BadInput("\n".join(errors.values()))
    return found


def _every(whole: Fields, path: Path, errors: dict[str, str], *, made: bool) -> tuple[Fields, LineSettings | None]:
    """The settings without the keys that will not do, which `errors` is told; none where one of them is needed."""
    while True:
        try:
            return whole, _line(whole, path, made=made)
        except BadInput as error:
            left, is_known = whole.without(error.place), error.place in errors
            errors.setdefault(error.place, str(error))
            if left is None or is_known:
                return whole, None
            whole = left


def _line(whole: Fields, path: Path, *, made: bool) -> LineSettings:
    whole.only("name", "server", "store", "retention", "stations", "connectors", needed=("stations",))
    folder = path.parent
    stations = tuple(_station(section, folder, made=made) for section in whole.tables("stations"))
    for number, each in enumerate(stations):
        if each.name in {other.name for other in stations[:number]}:
            raise whole.refused(f"stations[{number}].name", f"{each.name} is there twice: name stations differently")
    names = [each.name for each in stations]
    connectors = read_connectors(whole.tables("connectors") if "connectors" in whole.values else [], names, folder)
    return LineSettings(
        whole.one("name", path.stem, is_text, "words for this line"),
        _server(_table(whole, "server"), folder),
        replace(_store(whole, folder), letters=letters_of(connectors, names)),
        stations,
        connectors,
    )


def _read(path: Path) -> Fields:
    way_out = f"{EXAMPLE_LINE} shows every key"
    try:
        text = path.read_text(encoding="utf-8-sig")
        return Fields(path, "", tomllib.loads(text), BadInput, way_out, lines_of(text))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): {way_out}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} is not TOML ({error}): {way_out}") from error


def _table(whole: Fields, key: str) -> Fields:
    return whole.inner(key, whole.values.get(key, {}))


def _server(section: Fields, folder: Path) -> ServerSettings:
    section.only("host", "port", "certificate", "key", "behind_proxy", "max_body_size", "body_seconds")
    certificate, key = (file_at(section, name, folder) for name in ("certificate", "key"))
    if (certificate is None) != (key is None):
        raise section.refused("certificate", "certificate and key go together: give both, or neither")
    return ServerSettings(
        section.one("host", "127.0.0.1", is_text, "an address, such as 127.0.0.1 or 0.0.0.0"),
        int(number_at(section, "port", 8420, 0, 65535, whole=True)),
        certificate,
        key,
        flag_at(section, "behind_proxy", usual=False),
        int(number_at(section, "max_body_size", 64, 0.001, 4096) * 2**20),
        number_at(section, "body_seconds", 10, 0.1, 600),
    )


def _store(whole: Fields, folder: Path) -> StoreSettings:
    section = _table(whole, "store").only("folder", "url", "durable", "keep_free")
    limits = _table(whole, "retention").only("accept", "review", "reject")
    return StoreSettings(
        folder / section.one("folder", "line-data", is_text, "a folder, from this file on"),
        section.one("url", "", is_text, "a database, such as postgresql+psycopg://user@host/name"),
        flag_at(section, "durable", usual=False),
        int(number_at(section, "keep_free", 500, 0, 10**7) * 2**20),
        {verdict: keeping_at(_table(limits, verdict), usual) for verdict, usual in _USUAL.items()},
    )


_USUAL = {"accept": (3, 2), "review": (90, 10), "reject": (90, 10)}  # days, GiB


def keeping_at(section: Fields, usual: tuple[float, float]) -> Keeping:
    """usual: days, and GiB; raises BadInput."""
    section.only("days", "gigabytes")
    days, gigabytes = usual
    size = number_at(section, "gigabytes", gigabytes, 0, 10**6) * 2**30
    return Keeping(number_at(section, "days", days, 0, 36500), int(size))


def _station(section: Fields, folder: Path, *, made: bool) -> StationSettings:
    section.only(
        "name", "recipes", "recipe", "views", "product", "types", "budget_ms", "views_ms", "queue", "unjudged", "start",
        "max_megapixels", "folder", "cameras", "quality", needed=("name", "recipes"),
    )  # fmt: skip
    recipes = _recipes(section, folder, "recipes", made=made)
    views = section.listed("views", (DEFAULT_VIEW,), is_name, NAMES)
    return StationSettings(
        section.one("name", "", is_name, NAMES),
        recipes,
        section.one("recipe", next(iter(recipes)), one_of(recipes), f"one of {', '.join(recipes)}"),
        views,
        section.one("product", "", is_text, "words for the part"),
        section.listed("types", (), is_text, "words for defects, nine at most"),
        number_at(section, "budget_ms", 1000, 1, 600_000),
        number_at(section, "views_ms", 5000, 1, 600_000),
        int(number_at(section, "queue", 16, 1, 10_000, whole=True)),
        section.one("unjudged", "review", one_of(get_args(Unjudged)), "review or reject"),
        flag_at(section, "start", usual=True),
        int(number_at(section, "max_megapixels", 128, 0.001, 2000) * 1e6),
        _folder(_table(section, "folder"), folder, views) if "folder" in section.values else None,
        read_cameras(section.tables("cameras") if "cameras" in section.values else (), views, folder),
        _quality(_table(section, "quality"), folder, recipes, is_single=len(views) == 1, made=made),
    )


def _quality(
    section: Fields, folder: Path, recipes: Mapping[str, Path], *, is_single: bool, made: bool
) -> QualitySettings:
    """is_single: whether a part has one view."""
    section.only("second_person", "sources", "good", "defects", "every_picture")
    sources = _recipes(section, folder, "sources", made=made) if "sources" in section.values else {}
    if strange := sorted(set(sources) - set(recipes)):
        raise section.refused("sources", f"{', '.join(strange)} is no recipe of this station: {', '.join(recipes)}")
    good, defects = (
        folder / section.one(name, "", is_text, "a folder, from this file on") if name in section.values else None
        for name in ("good", "defects")
    )
    for name, path in (("good", good), ("defects", defects)):
        if path and not made and not path.is_dir():
            raise section.refused(name, f"{path} is no folder")
    alone = flag_at(section, "every_picture", usual=is_single)
    return QualitySettings(flag_at(section, "second_person", usual=False), sources, good, defects, alone)


def _recipes(section: Fields, folder: Path, key: str, *, made: bool) -> dict[str, Path]:
    given = section.one(key, {}, table_of(is_text), 'a table of files, such as { gear = "gear.blemish" }')
    if not given:
        raise section.refused(key, 'name one recipe or more, such as { gear = "gear.blemish" }')
    for name, file in given.items():
        if not is_name(name):
            raise section.refused(key, f"{name!r} will not do, wanted is {NAMES}")
        if not made and not (folder / file).is_file():
            raise section.refused(key, f"{folder / file} is not there: `blemish recipe freeze` makes a recipe")
    return {name: folder / file for name, file in given.items()}


def _folder(section: Fields, folder: Path, views: tuple[str, ...]) -> FolderSettings:
    section.only("path", "settle_ms", "pattern", "done", needed=("path", "done"))
    usual = r"(?P<part>.+)" if len(views) == 1 else r"(?P<part>.+)_(?P<view>[^_]+)"
    wanted = r"a pattern with the group (?P<part>...) and, of several views, (?P<view>...)"
    written = section.one("pattern", usual, is_text, wanted)
    try:
        pattern = re.compile(written)
    except re.error as error:
        raise section.refused("pattern", f"{written!r} is no regular expression ({error})") from error
    needed = {"part"} if len(views) == 1 else {"part", "view"}
    if not needed <= set(pattern.groupindex):
        raise section.misfit("pattern", written, wanted)
    place = folder / section.one("path", "", is_text, "a folder, from this file on")
    done = section.one("done", "", is_text, f'a folder, from this file on, or "{REMOVE}"')
    settle = number_at(section, "settle_ms", 200, 0, 60_000)
    return FolderSettings(place, settle, pattern, None if done == REMOVE else folder / done)
