"""Files and folders anywhere: on this machine by their paths, elsewhere by URLs that fsspec understands."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from blemish.errors import BadImage, BadInput, BlemishError, MissingExtra

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_CHAIN = re.compile(r"^[A-Za-z0-9+.-]+::.*://|^(zip|tar)://.*::|::[A-Za-z0-9+.-]+://")
READ_AT_ONCE = 8 << 20
"""Bytes that are read ahead of an archive that lies elsewhere."""
TRIES = 3
"""How often a store is asked that does not answer."""
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
"""Protocols, and what they need beside `blemish[remote]`."""


def is_url(place: str) -> bool:
    """Whether it is one of another place than this machine's folders."""
    return bool(_URL.match(place) or _CHAIN.search(place))


def local(place: str) -> str:
    """The path of a file:// URL; any other place as it is."""
    return place if _CHAIN.search(place) else place.removeprefix("file://")


def absolute(place: str) -> str:
    """A path from the root; a URL is that already."""
    return place if is_url(local(place)) else str(Path(local(place)).absolute())


def protocol_of(url: str) -> str:
    """s3, gs, https, ..."""
    return url.partition("://")[0].lower()


@contextmanager
def explain(place: str, doing: str = "read") -> Iterator[None]:
    """Raises BadInput, one sentence, for whatever a store says meanwhile; what blemish says itself passes."""
    try:
        yield
    except BlemishError:
        raise
    except Exception as error:  # the stores' errors have no class in common
        if is_missing(error):
            raise BadInput(f"{place} does not exist: check the name") from error
        why = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
        said = " ".join(str(why).split())[:200]
        about = f"{type(why).__name__}: {said}" if said else type(why).__name__
        raise BadInput(
            f"{place} cannot be {doing} ({about}): check the name, the network and the credentials, which are looked "
            "for where the library of this store looks for them"
        ) from error


def is_missing(error: Exception) -> bool:
    """Whether it says that a file is not there; fsspec says so as well of a web server that does not answer."""
    cause = error.__cause__
    is_of_web = type(cause).__module__.partition(".")[0] == "aiohttp" or isinstance(cause, TimeoutError)
    unanswered = is_of_web and getattr(cause, "status", None) not in (404, 410)
    return isinstance(error, FileNotFoundError) and not unanswered


def system_of(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there; raises MissingExtra, or BadInput for one that nobody knows."""
    if _CHAIN.search(url):
        raise BadInput(
            f"{url} chains places by ::, which is not followed: name the last one, {local(url.rpartition('::')[2])}; "
            "zips, tars and tables are read as what they hold"
        )
    needed = EXTRAS.get(protocol_of(url), "remote")
    try:
        from fsspec.core import url_to_fs

        with explain(url):
            system, path = url_to_fs(url, use_listings_cache=False)
    except (ImportError, BadInput) as error:
        if isinstance(error, ImportError) or isinstance(error.__cause__, ImportError):
            raise MissingExtra(f"{url} is read by another package: pip install 'blemish[{needed}]'") from error
        raise
    return system, path


def fetch(url: str) -> bytes:
    """A file's bytes; raises BadImage for one that has vanished, and BadInput for a store that gives nothing."""
    system, path = system_of(url)
    for wait in (*(0.5 * 2**number for number in range(TRIES - 1)), None):
        try:
            return bytes(system.cat_file(path))
        except Exception as error:  # the stores' errors have no class in common
            if is_missing(error):
                raise BadImage(f"{url} does not exist any more: it was there when the run began") from error
            if wait is None or isinstance(error, PermissionError):
                break
            time.sleep(wait)
    with explain(url):
        return bytes(system.cat_file(path))


@contextmanager
def open_binary(place: str) -> Iterator[IO[bytes]]:
    """An archive or table, here or elsewhere; raises BadImage where it has vanished."""
    try:
        if not is_url(place):
            with Path(place).open("rb") as file:
                yield file
            return
        system, path = system_of(place)
        with system.open(path, "rb", block_size=READ_AT_ONCE) as file:
            yield file
    except FileNotFoundError as error:
        if not is_missing(error):
            raise
        raise BadImage(f"{place} does not exist any more: it was there when the run began") from error
