"""OPC UA for machine vision (OPC 40100-1): each station is a VisionSystemType; docs/serve.md says what of it is there.

The server has a thread and an event loop of its own: reading the standard's nodes takes seconds, and checking a
password a tenth of one, for which no part is to wait.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

from blemish.serve.access import FREE_FAILURES, Throttle
from blemish.serve.doors.connector import Link, LostConnection
from blemish.serve.doors.options import OpcuaOptions, is_near
from blemish.serve.doors.vision import VisionSystem
from blemish.serve.users import ROLES, role_of

if TYPE_CHECKING:
    from asyncua import Server

_NODES = "nodesets/Opc.Ua.MachineVision.NodeSet2.xml.gz"
_OWN, _STANDARD = "urn:blemish:line", "http://opcfoundation.org/UA/MachineVision"
_BASE_ID, _IDS = (
    "BinaryIdBaseDataType",
    ("RecipeIdExternalDataType", "RecipeIdInternalDataType", "ConfigurationIdDataType"),
)
MOST_CONNECTIONS, MOST_SUBSCRIPTIONS, SILENT_SECONDS = 32, 64, 60.0
"""A session is ended when its client was silent for so long, whatever it asked for; its subscriptions then too."""
_SWEEP_SECONDS = 2.0
_READING = (
    "CreateSession", "CloseSession", "ActivateSession", "Read", "Browse", "GetEndpoints", "FindServers",
    "TranslateBrowsePathsToNodeIds", "CreateSubscription", "ModifySubscription", "DeleteSubscriptions",
    "CreateMonitoredItems", "ModifyMonitoredItems", "DeleteMonitoredItems", "Publish", "Republish",
    "CloseSecureChannel", "SetMonitoringMode", "SetPublishingMode", "RegisterNodes", "UnregisterNodes",
)  # fmt: skip
"""What whoever may read may ask for; nobody writes nodes, and commands are calls."""
CALLER: ContextVar[str] = ContextVar("caller", default="")
"""The name of whoever calls a method; "" for nobody that was named."""


class OpcUa:
    """One server."""

    def __init__(self, options: OpcuaOptions, link: Link) -> None:
        self.options, self.link = options, link
        self.roles: dict[str, str] = {}  # of whoever has logged in
        self._throttle = Throttle(FREE_FAILURES)
        self._ends = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._events: asyncio.Queue[tuple[str, Mapping[str, Any]] | None] | None = None

    def publish(self, kind: str, values: Mapping[str, Any]) -> None:
        """Handed to the server's thread."""
        if kind in ("state", "part"):
            self._hand((kind, dict(values)))

    def _hand(self, event: tuple[str, Mapping[str, Any]] | None) -> None:
        if self._loop and self._events:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def run(self) -> None:
        """Until cancelled; LostConnection where it cannot listen."""
        self._ends.clear()
        home = asyncio.get_running_loop()
        own = ThreadPoolExecutor(1, "blemish-opcua")
        work = home.run_in_executor(own, asyncio.run, self._serve(home))
        try:
            await asyncio.shield(work)
        finally:
            self._ends.set()
            self._hand(None)
            await asyncio.wait([work])
            own.shutdown(wait=False)

    async def _serve(self, home: asyncio.AbstractEventLoop) -> None:
        """In its own thread."""
        self._loop, self._events = asyncio.get_running_loop(), asyncio.Queue()
        server = await _server_of(self)
        systems = {name: VisionSystem(self, server, home, name) for name in self.link.stations}
        for each in systems.values():
            await each.build()
        try:
            async with server:
                sweep = asyncio.create_task(_sweep(server, systems.values()))
                home.call_soon_threadsafe(self.link.greet)
                while not self._ends.is_set() and (event := await self._events.get()):
                    kind, values = event
                    await systems[values["station"]].tell(kind, values)
                sweep.cancel()
        except OSError as error:
            raise LostConnection(f"{self.options.host}:{self.options.port} cannot be listened at: {error}") from error
        finally:
            self._loop = self._events = None

    def role(self, name: str, password: str) -> str:
        """Of a user of the line, "" for a wrong name or password, or one that is to wait."""
        try:
            self._throttle.check(name)
        except HTTPException:
            return ""
        with self.link.front.store.read() as connection:
            found = role_of(connection, name, password)
        (self._throttle.forget if found else self._throttle.fail)(name)
        if found:
            self.roles[name] = found
        return found

    def may(self, name: str, least: str) -> bool:
        """Whether someone who has logged in has at least that role, and this connector may command."""
        role = self.roles.get(name, "")
        return self.link.settings.commands and role in ROLES and ROLES.index(role) >= ROLES.index(least)


async def _server_of(door: OpcUa) -> Server:
    """With the standard's nodes, who may do what, and its limits; not started."""
    from asyncua import Server, ua

    options, near = door.options, is_near(door.options.host)
    logging.getLogger("asyncua").setLevel(logging.ERROR)  # what it warns of is ordinary here
    server = Server(iserver=_inner_of(door))
    await server.init()
    await server.set_application_uri(_OWN)
    server.set_server_name(f"blemish: {door.link.front.settings.name}")
    server.set_endpoint(f"opc.tcp://{options.host}:{options.port}/")
    policies = [ua.SecurityPolicyType.NoSecurity] if near else []
    if options.certificate:
        policies += [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt, ua.SecurityPolicyType.Basic256Sha256_Sign]
        await server.load_certificate(options.certificate, _form_of(options.certificate))
        await server.load_private_key(options.key, format=_form_of(options.key))
        await server.set_application_uri(await _uri_in(options))
        server.set_certificate_validator(_validator(options))
    server.set_security_policy(policies, permission_ruleset=rules_of(near=near))
    server.set_identity_tokens([*([ua.AnonymousIdentityToken] if near else []), ua.UserNameIdentityToken])
    with (files("blemish.serve.doors") / _NODES).open("rb") as file:
        await server.import_xml(xmlstring=_hand_down(gzip.decompress(file.read()).decode()))
    await server.load_data_type_definitions()
    await server.register_namespace(_OWN)
    return server


def _hand_down(nodes: str) -> str:
    """Ids of recipes and configurations get the fields of their base, which neither library nor clients hand down."""
    fields = nodes.partition(f'<Definition Name="1:{_BASE_ID}">')[2].partition("</Definition>")[0]
    for name in _IDS:
        head = f'<Definition Name="1:{name}"'
        nodes = nodes.replace(f"{head} />", f"{head}>{fields}</Definition>")
    return nodes


def _inner_of(door: OpcUa) -> Any:
    """Of the library's server what is behind its sockets: bounded, with the line's own users."""
    from asyncua.server.internal_server import InternalServer
    from asyncua.server.internal_session import InternalSession
    from asyncua.server.user_managers import User, UserRole

    class Session(InternalSession):
        async def call(self, params: Any) -> Any:
            token = CALLER.set(self.user.name or "")
            try:
                return await super().call(params)
            finally:
                CALLER.reset(token)

    class Inner(InternalServer):
        def create_session(self, name: str, user: Any = None, external: bool = False) -> Any:
            return Session(self, self.aspace, self.subscription_service, name, user=user or User(), external=external)

    class Users:
        def get_user(
            self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
        ) -> Any:
            if username is None:
                return User(UserRole.Anonymous)
            return User(UserRole.User, username) if door.role(username, password or "") else None

    inner = Inner(user_manager=Users())
    inner.allow_remote_admin = False
    inner.max_session_timeout_ms = 1000 * SILENT_SECONDS
    inner.max_connections, inner.max_subscriptions = MOST_CONNECTIONS, MOST_SUBSCRIPTIONS
    return inner


def rules_of(*, near: bool) -> Any:
    """Nobody writes nodes; off this machine, who was not named may not even read."""
    from asyncua import ua
    from asyncua.crypto.permission_rules import PermissionRuleset, UserRole

    reading = {ua.NodeId(getattr(ua.ObjectIds, f"{name}Request_Encoding_DefaultBinary")) for name in _READING}
    calling = {*reading, ua.NodeId(ua.ObjectIds.CallRequest_Encoding_DefaultBinary)}

    class Rules(PermissionRuleset):
        def check_validity(self, user: Any, action_type: Any, body: Any) -> bool:
            named = user.role == UserRole.User
            return action_type in (calling if named else reading if near else ())

    return Rules()


def _form_of(path: Path | None) -> str:
    return "pem" if path and path.read_bytes().lstrip().startswith(b"-----BEGIN") else "der"


async def _uri_in(options: OpcuaOptions) -> str:
    """The application's URI, which its certificate names."""
    from asyncua.crypto.uacrypto import load_certificate, x509

    assert options.certificate
    found = await load_certificate(options.certificate, _form_of(options.certificate))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), _OWN)


def _validator(options: OpcuaOptions) -> Any:
    """Certificates of clients: those in the folder, or any where none is named, since people log in by name."""
    from asyncua import ua
    from asyncua.common.utils import ServiceError
    from asyncua.crypto.uacrypto import der_from_x509, load_certificate

    async def validate(certificate: Any, _: Any) -> None:
        if options.clients is None:
            return
        paths = sorted(options.clients.iterdir())
        known = [der_from_x509(await load_certificate(path, _form_of(path))) for path in paths]
        if der_from_x509(certificate) not in known:
            raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

    return validate


async def _sweep(server: Server, systems: Iterable[VisionSystem]) -> None:
    """Subscriptions that outlive their sessions would stay as long as their client once wished; so would files."""
    inner = server.iserver
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        for each in systems:
            await each.transfer.sweep()
        living = {each.session_id for each in [*inner._external_sessions.values(), inner.isession]}
        service = inner.subscription_service
        await service.delete_subscriptions(
            [number for number, each in service.subscriptions.items() if each.session_id not in living]
        )
