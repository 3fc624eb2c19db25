"""Recipes that come and go as files, by TemporaryFileTransfer (OPC UA, Part 20): one station's RecipeTransfer.

A client asks for a file, reads or writes it in pieces, and closes it; what was written counts only once it is
committed, and is then a proposal, which a person puts live. All is done in the server's thread.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from blemish.errors import BadInput, UnknownName
from blemish.recipes.file import hash_of
from blemish.serve.records import hash_bytes
from blemish.serve.states import WrongState

if TYPE_CHECKING:
    from asyncua import Node

    from blemish.serve.doors.vision import VisionSystem

LARGEST, PIECE = 1 << 31, 1 << 20
"""Bytes of a recipe, and of what is read at once."""
MOST_FILES, IDLE_SECONDS = 4, 60.0
_FILE_TYPE, _TRANSFER_TYPE = 11575, 1014


class TooMuch(BadInput):
    """A file that is too large, or one too many."""


class _File(NamedTuple):
    node: Node
    content: IO[bytes]
    who: str
    recipe: str  # its name at the station
    wanted: bytes  # the hash that it is to have; b"" where none was named
    is_new: bool  # it is written
    used: list[float]  # when last


class RecipeTransfer:
    """The files of one station."""

    def __init__(self, system: VisionSystem) -> None:
        self.system, self.numbers = system, count(1)
        self.files: dict[int, _File] = {}
        self.folder: Path = system.door.link.front.settings.store.folder.absolute() / "transfers"

    async def build(self) -> None:
        """Make the nodes."""
        from asyncua import ua

        system = self.system
        shutil.rmtree(self.folder / system.name, ignore_errors=True)  # what the last start of the line left
        above = system.nodes["RecipeManagement"]
        kind = ua.NodeId(_TRANSFER_TYPE, system.standard)
        node = await above.add_object(
            ua.NodeId(f"{system.name}.RecipeTransfer", system.own),
            ua.QualifiedName("RecipeTransfer", system.standard),
            kind,
        )
        await system.server.delete_nodes(
            [await node.get_child(ua.QualifiedName("<TransferState>", 0))], recursive=True
        )  # never needed
        self.node = node
        await (await node.get_child("0:ClientProcessingTimeout")).write_value(
            ua.Variant(1000 * IDLE_SECONDS, ua.VariantType.Double)
        )
        methods = {"GenerateFileForRead": self._read_from, "GenerateFileForWrite": self._write_to}
        for name, method in {**methods, "CloseAndCommit": self._commit}.items():
            system.link(await node.get_child(f"0:{name}"), method)

    async def sweep(self) -> None:
        """Give up files that nobody has used for too long."""
        for number, each in list(self.files.items()):
            if time.monotonic() - each.used[0] > IDLE_SECONDS:
                await self._drop(number)

    async def _read_from(self, options: Any) -> list[Any]:
        from asyncua import ua

        recipe, wanted = self._asked(options)
        path = self.system.station.settings.recipes[recipe]
        if wanted and wanted != hash_bytes(hash_of(path)):
            raise UnknownName(f"{recipe} of {self.system.name} has another hash")
        number, node = await self._open(path.open("rb"), recipe, wanted, is_new=False)
        await self._act("recipe read", recipe, old=hash_of(path))
        return [node, ua.Variant(number, ua.VariantType.UInt32), ua.Variant(ua.NodeId(), ua.VariantType.NodeId)]

    async def _write_to(self, options: Any) -> list[Any]:
        from asyncua import ua

        recipe, wanted = self._asked(options)
        place = self.folder / self.system.name
        place.mkdir(parents=True, exist_ok=True)
        file = NamedTemporaryFile(dir=place, suffix=".blemish", delete=False)  # noqa: SIM115
        number, node = await self._open(file, recipe, wanted, is_new=True)
        return [node, ua.Variant(number, ua.VariantType.UInt32)]

    def _asked(self, options: Any) -> tuple[str, bytes]:
        """The recipe's name and the hash that was named; raises PermissionError, UnknownName and TooMuch."""
        self.system.require("quality", "transfer a recipe of")
        inner = getattr(options, "InternalId", None)
        recipe = str(getattr(inner, "Id", None) or "")
        if recipe not in self.system.station.settings.recipes:
            raise UnknownName(f"{self.system.name} has no recipe {recipe[:64]}")
        if len(self.files) >= MOST_FILES:
            raise TooMuch(f"{MOST_FILES} files are open already: close one")
        return recipe, getattr(inner, "Hash", None) or b""

    async def _open(self, content: IO[bytes], recipe: str, wanted: bytes, *, is_new: bool) -> tuple[int, Any]:
        from asyncua import ua

        number, system = next(self.numbers), self.system
        name = ua.QualifiedName(f"{recipe}.{number}", system.own)
        node = await self.node.add_object(
            ua.NodeId(f"{system.name}.RecipeTransfer.{number}", system.own), name, ua.NodeId(_FILE_TYPE)
        )
        size = 0 if is_new else os.fstat(content.fileno()).st_size
        for about, value, kind in (
            ("Size", size, ua.VariantType.UInt64), ("Writable", is_new, ua.VariantType.Boolean),
            ("UserWritable", is_new, ua.VariantType.Boolean), ("OpenCount", 1, ua.VariantType.UInt16),
            ("MimeType", "application/octet-stream", ua.VariantType.String),
            ("MaxByteStringLength", PIECE, ua.VariantType.UInt32),
        ):  # fmt: skip
            await (await node.get_child(f"0:{about}")).write_value(ua.Variant(value, kind))
        methods: dict[str, Callable[..., Awaitable[list[Any]]]] = {
            "Open": self._refuse_open, "Close": self._close, "Read": self._read, "Write": self._write,
            "GetPosition": self._position, "SetPosition": self._move,
        }  # fmt: skip
        for about, method in methods.items():
            system.link(await node.get_child(f"0:{about}"), method)
        who = self.system.caller
        self.files[number] = _File(node, content, who, recipe, wanted, is_new, [time.monotonic()])
        return number, node.nodeid

    def _file(self, number: int) -> _File:
        """Of a handle that the caller was given; raises BadInput."""
        found = self.files.get(number)
        if found is None or found.who != self.system.caller:
            raise BadInput(f"there is no file with the handle {number}")
        found.used[0] = time.monotonic()
        return found

    async def _refuse_open(self, *_: object) -> list[Any]:
        raise WrongState("a file of a transfer is open from the beginning, and only once")

    async def _read(self, number: int, length: int) -> list[Any]:
        file = self._file(number)
        if file.is_new or length < 0:
            raise WrongState("this file is written, not read")
        return [file.content.read(min(length, PIECE))]

    async def _write(self, number: int, data: bytes | None) -> list[Any]:
        file = self._file(number)
        if not file.is_new:
            raise WrongState("this file is read, not written")
        settings = self.system.door.link.front.settings.store
        room = shutil.disk_usage(settings.folder).free - settings.keep_free
        if file.content.tell() + len(data or b"") > LARGEST or len(data or b"") > room:
            await self._drop(number)
            raise TooMuch(f"a recipe of more than {LARGEST >> 20} MiB, or no room on the disk")
        file.content.write(data or b"")
        return []

    async def _position(self, number: int) -> list[Any]:
        from asyncua import ua

        return [ua.Variant(self._file(number).content.tell(), ua.VariantType.UInt64)]

    async def _move(self, number: int, position: int) -> list[Any]:
        file = self._file(number)
        end = file.content.seek(0, os.SEEK_END)
        file.content.seek(min(position, end))
        return []

    async def _close(self, number: int) -> list[Any]:
        """What was written, and not committed, is forgotten."""
        self._file(number)
        await self._drop(number)
        return []

    async def _commit(self, number: int) -> list[Any]:
        """Propose what was written."""
        from asyncua import ua

        file, front = self._file(number), self.system.door.link.front
        if not file.is_new:
            raise WrongState("this file is read: there is nothing to commit")
        assert front.propose_file
        path = Path(file.content.name)
        file.content.flush()
        try:
            if file.wanted and file.wanted != hash_bytes(hash_of(path)):
                raise BadInput(f"the recipe that came has the hash {hash_of(path)}, which is another than was named")
            taken = path.rename(self.folder / path.name)
        finally:
            await self._drop(number)
        await self.system.at_home(front.propose_file(self.system.station, file.recipe, taken, file.who))
        return [ua.Variant(ua.NodeId(), ua.VariantType.NodeId)]

    async def _drop(self, number: int) -> None:
        file = self.files.pop(number)
        file.content.close()
        if file.is_new:
            Path(file.content.name).unlink(missing_ok=True)
        await self.system.server.delete_nodes([file.node], recursive=True)

    async def _act(self, what: str, recipe: str, *, old: str) -> None:
        """Into the audit."""
        who, front = self.system.caller, self.system.door.link.front
        await self.system.at_home(front.act(who, what, f"{self.system.name}/{recipe}", old=old))
