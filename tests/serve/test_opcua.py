"""asyncua's client, as a person and as nobody, and node-opcua's, over Basic256Sha256; the line is a process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import pytest
from asyncua import Client as AnyPeer
from asyncua import Node, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from tests.support.certificates import Pair, certify
from tests.support.parts import frozen, good
from tests.support.peers import free_port, need, need_module, until
from tests.support.serving import LINE, Client, line_settings, process

from blemish.recipes import recipe as recipes
from blemish.recipes.calibrate import HoldoutScheme, calibrate
from blemish.recipes.file import hash_of
from blemish.serve.audit import verify_audit
from blemish.serve.doors.opcua import MOST_CONNECTIONS, MOST_SUBSCRIPTIONS, rules_of
from blemish.serve.records import hash_bytes
from blemish.serve.schema import audit
from blemish.serve.settings import LineSettings
from blemish.serve.store import edit_store, look_at_store
from blemish.serve.users import make_token, put_user

OPCUA = """
[[connectors]]
kind = "opcua"
port = {port}
certificate = "line.crt"
key = "line.key"
clients = "known"
commands = true
"""
PASSWORD = "four words are good"


Peer = partial(AnyPeer, timeout=20, watchdog_intervall=20)  # a machine that is busy is no machine that is gone


class Heard:
    """Events of a subscription."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def event_notification(self, event: Any) -> None:
        self.events.append(event)


class Station:
    """As a client sees it."""

    def __init__(self, peer: AnyPeer, own: int, standard: int) -> None:
        self.peer, self.standard = peer, standard
        self.root = peer.get_node(ua.NodeId("gears", own))

    async def node(self, path: str) -> Node:
        names = [name if ":" in name else f"{self.standard}:{name}" for name in path.split("/")]
        return await self.root.get_child(names)

    async def call(self, path: str, *given: Any) -> Any:
        place, _, name = path.rpartition("/")
        return await (await self.node(place)).call_method(f"{self.standard}:{name}", *given)

    async def state(self, machine: str = "VisionStateMachine") -> str:
        return cast(str, (await (await self.node(f"{machine}/0:CurrentState")).read_value()).Text)

    async def until(self, state: str, machine: str) -> None:
        for _ in range(1000):
            if await self.state(machine) == state:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(state)

    async def generate(self, way: str, recipe: str, digest: bytes = b"") -> Any:
        made = cast(Any, ua)
        asked = made.RecipeTransferOptions(InternalId=made.RecipeIdInternalDataType(Id=recipe, Hash=digest))
        node = await self.node(TRANSFER)
        return await node.call_method(f"0:GenerateFileFor{way}", asked)

    async def read_file(self, recipe: str, digest: bytes) -> bytes:
        found, handle, _ = await self.generate("Read", recipe, digest)
        file, pieces = self.peer.get_node(found), [b""]
        while piece := await file.call_method("0:Read", handle_of(handle), ua.Variant(1 << 14, ua.VariantType.Int32)):
            pieces.append(piece)
        await file.call_method("0:Close", handle_of(handle))
        return b"".join(pieces)

    async def write_file(self, recipe: str, content: bytes, digest: bytes = b"") -> None:
        found, handle = await self.generate("Write", recipe, digest)
        file = self.peer.get_node(found)
        for at in range(0, len(content), 1 << 14):
            piece = ua.Variant(content[at : at + (1 << 14)], ua.VariantType.ByteString)
            await file.call_method("0:Write", handle_of(handle), piece)
        node = await self.node(TRANSFER)
        await node.call_method("0:CloseAndCommit", handle_of(handle))

    async def results(self, state: int, *, part: str = "", job: str = "", most: int = 0, start: int = 0) -> Any:
        made, number = cast(Any, ua), ua.VariantType.UInt32
        configuration = made.ConfigurationIdDataType(Id="")
        return await self.call(
            "ResultManagement/GetResultListFiltered", ua.Variant(state, ua.VariantType.Int32), made.MeasIdDataType(),
            made.PartIdDataType(Id=part), made.RecipeIdExternalDataType(Id=""), made.RecipeIdInternalDataType(Id=""),
            configuration, configuration, made.ProductIdDataType(), made.JobIdDataType(Id=job),
            ua.Variant(most, number), ua.Variant(start, number), ua.Variant(0, ua.VariantType.Int32),
        )  # fmt: skip


def handle_of(number: int) -> ua.Variant:
    return ua.Variant(number, ua.VariantType.UInt32)


TRANSFER = "RecipeManagement/RecipeTransfer"
AUTO = "VisionStateMachine/AutomaticModeStateMachine"


class Served(NamedTuple):
    """A line, and who knows it."""

    url: str
    client: Client
    settings: LineSettings
    pair: Pair
    stranger: Pair
    other: Path  # a recipe that it does not have yet


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, port = tmp_path_factory.mktemp("line"), free_port()
    certify(folder, "line", uri="urn:blemish:test")
    (folder / "known").mkdir()
    pair = certify(folder, "client", uri="urn:client:test")
    stranger = certify(folder, "stranger", uri="urn:client:test")
    (folder / "known" / "client.pem").write_bytes(pair.certificate.read_bytes())
    settings = line_settings(folder, LINE + OPCUA.format(port=port))
    way = HoldoutScheme("split", every_picture=True)
    for name, first in (("gear", 0), ("other", 40)):
        made, file = frozen("patchcore", good(folder / "good", 3, first)), folder / f"{name}.blemish"
        file.unlink(missing_ok=True)
        recipes.save(calibrate(made, good(folder / "held", 6, 20), way=way), file)
    with edit_store(settings.store) as connection:
        for name, role in (("ada", "operator"), ("eve", "viewer"), ("mia", "quality"), ("root", "admin")):
            put_user(connection, name, role, PASSWORD)
        token = make_token(connection, "camera", "gears")
    with process("serve", folder / "line.toml") as serving:
        assert serving.stdout
        client = Client(int(serving.stdout.readline()), token=token)
        until(lambda: "Continuous" in client.ask("GET", "/health").body["stations"][0]["state"])
        until(lambda: client.ask("GET", "/connectors").body[0]["state"] == "connected")
        yield Served(f"opc.tcp://127.0.0.1:{port}/", client, settings, pair, stranger, folder / "other.blemish")


def test_a_recipe_is_read_written_proposed_and_put_live(served: Served) -> None:
    asyncio.run(_transfer(served))
    person = served.client.login("root", PASSWORD)
    path = "/stations/gears/proposals"
    found = person.wait_for(path, lambda all: all[0]["standing"] == "failed")[0]
    assert "was altered after it was written" in found["said"]["error"]
    asyncio.run(_send(served, served.other.read_bytes()))
    found = person.wait_for(path, lambda all: all[0]["standing"] == "proposed")[0]
    assert (found["kind"], found["who"], found["new"]) == ("transfer", "mia", hash_of(served.other))
    assert person.ask("POST", f"{path}/{found['n']}/live").status == 200
    gear = served.settings.stations[0].recipes["gear"]
    assert hash_of(gear) == found["new"]
    assert person.ask("POST", "/stations/gears/undo").status == 200
    assert hash_of(gear) == found["old"]
    assert [each for each in (served.settings.store.folder / "transfers").rglob("*") if each.is_file()] == []


async def _transfer(served: Served) -> None:
    gear = served.settings.stations[0].recipes["gear"]
    operator = await _connect(served.url, "ada", PASSWORD, served.pair)
    await operator.load_data_type_definitions()
    with pytest.raises(ua.UaStatusCodeError) as caught:
        await (await _station(operator)).generate("Read", "gear")
    assert caught.value.code == ua.StatusCodes.BadUserAccessDenied
    await operator.disconnect()
    peer = await _connect(served.url, "mia", PASSWORD, served.pair)
    station = await _station(peer)
    names = [(await each.read_browse_name()).Name for each in await (await station.node(TRANSFER)).get_children()]
    assert sorted(names) == ["ClientProcessingTimeout", "CloseAndCommit", "GenerateFileForRead", "GenerateFileForWrite"]
    for way in ("Read", "Write"):
        [asked] = await (await station.node(f"{TRANSFER}/0:GenerateFileFor{way}/0:InputArguments")).read_value()
        assert asked.DataType == ua.NodeId(3012, station.standard)  # RecipeTransferOptions
    assert await station.read_file("gear", hash_bytes(hash_of(gear))) == gear.read_bytes()
    for name, digest in (("none", b""), ("gear", b"another")):
        with pytest.raises(ua.UaStatusCodeError) as caught:
            await station.generate("Read", name, digest)
        assert caught.value.code == ua.StatusCodes.BadNotFound
    opened = [await station.generate("Write", "gear") for _ in range(4)]
    with pytest.raises(ua.UaStatusCodeError) as caught:
        await station.generate("Write", "gear")
    assert caught.value.code == ua.StatusCodes.BadResourceUnavailable
    for node, handle, *_ in opened:
        await station.peer.get_node(node).call_method("0:Close", handle_of(handle))
    with pytest.raises(ua.UaStatusCodeError) as caught:
        await station.write_file("gear", served.other.read_bytes(), b"another")
    assert caught.value.code == ua.StatusCodes.BadInvalidArgument
    altered = bytearray(served.other.read_bytes())
    altered[-1] ^= 1
    await station.write_file("gear", bytes(altered), hash_bytes(hash_of(served.other)))
    await peer.disconnect()


async def _send(served: Served, content: bytes) -> None:
    peer = await _connect(served.url, "mia", PASSWORD, served.pair)
    await (await _station(peer)).write_file("gear", content)
    await peer.disconnect()


def test_results_are_found_by_id_and_by_what_they_are(served: Served) -> None:
    for name, says in (("r1", "accept"), ("r2", "reject"), ("r3", "unreadable")):
        served.client.send(name, says)
    asyncio.run(_find(served))


async def _find(served: Served) -> None:
    async with Peer(served.url) as nobody:
        await nobody.load_data_type_definitions()
        with pytest.raises(ua.UaStatusCodeError, match="permission"):
            await (await _station(nobody)).results(0)
    peer = await _connect(served.url, "eve", PASSWORD, served.pair)
    await peer.load_data_type_definitions()
    station, made = await _station(peer), cast(Any, ua)
    complete, number, _, found, _ = await station.results(0, most=2)
    assert (complete, number, [each.ResultId.Id for each in found]) == (False, 2, ["r3", "r2"])
    complete, _, _, found, _ = await station.results(0, most=2, start=2)
    assert found[0].ResultId.Id == "r1"
    assert [each.ResultId.Id for each in (await station.results(4))[3]] == ["r3"]
    assert [each.ResultContent[0].Value for each in (await station.results(0, part="r2"))[3]] == ["reject"]
    with pytest.raises(ua.UaStatusCodeError) as caught:
        await station.results(0, job="j")
    assert caught.value.code == ua.StatusCodes.BadInvalidArgument
    fields = await station.call(
        "ResultManagement/GetResultComponentsById", made.ResultIdDataType(Id="r2"), ua.Variant(0, ua.VariantType.Int32)
    )
    assert (fields[4], fields[6].Id, fields[15][0].Value, fields[16]) == (1, "r2", "reject", 0)
    await peer.disconnect()


def test_connections_and_subscriptions_are_bounded(served: Served) -> None:
    asyncio.run(_crowd(served.url))


async def _crowd(url: str) -> None:
    port = urlsplit(url).port
    crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS + 1)]
    assert await crowd[-1][0].read() == b""  # one too many is closed at once
    for _, writer in crowd:
        writer.close()
    greedy = Peer(url)
    greedy.session_timeout = 2000
    await greedy.connect()  # whoever left made room
    for _ in range(MOST_SUBSCRIPTIONS):
        await greedy.create_subscription(1000, Heard())
    with pytest.raises(ua.UaStatusCodeError) as caught:
        await greedy.create_subscription(1000, Heard())
    assert caught.value.code == ua.StatusCodes.BadTooManySubscriptions
    greedy.disconnect_socket()  # without a word, and without removing any
    async with Peer(url) as peer:
        for _ in range(200):
            with suppress(ua.UaStatusCodeError):
                await peer.create_subscription(1000, Heard())
                return
            await asyncio.sleep(0.1)
    raise AssertionError("subscriptions of a session that has ended are there still")


@pytest.mark.parametrize(("near", "role", "asks", "may"), [
    (True, UserRole.Anonymous, "Read", True), (True, UserRole.Anonymous, "Call", False),
    (False, UserRole.Anonymous, "Read", False), (False, UserRole.Anonymous, "Browse", False),
    (False, UserRole.User, "Read", True), (False, UserRole.User, "Call", True), (True, UserRole.User, "Write", False),
])  # fmt: skip
def test_nobody_reads_off_this_machine_and_nobody_writes(near: bool, role: UserRole, asks: str, may: bool) -> None:
    asked = ua.NodeId(getattr(ua.ObjectIds, f"{asks}Request_Encoding_DefaultBinary"))
    assert rules_of(near=near).check_validity(User(role), asked, None) is may


def test_node_opcua_reads_hears_and_commands(served: Served, tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "support" / "opcua_client.js"
    words = [need("node"), str(script), served.url, "ada", PASSWORD, *map(str, served.pair)]
    at_home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "NODE_PATH": need_module("node-opcua-client")}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **at_home}) as peer:
        assert peer.stdout
        said = (json.loads(line) for line in peer.stdout if line[0] in '["')
        assert next(said) == "ContinuousExecution"
        assert next(said) == "listening"
        sent = served.client.send("n1", "reject").body
        assert next(said) == ["n1", "reject", 0.75, "gear", sent["recipe"]]
        assert list(said) == ["Good", "BadInvalidState"]
        assert peer.wait(60) == 0
    served.client.login("root", PASSWORD).ask("POST", "/stations/gears/commands/start_continuous")


def test_a_client_commands_and_hears_results_and_nobody_reads_only(served: Served) -> None:
    before = served.client.ask("GET", "/connectors").body[0]["counters"].get("commands", 0)
    asyncio.run(_command(served.url, served.client, served.pair, served.stranger))
    assert served.client.ask("GET", "/connectors").body[0]["counters"]["commands"] - before == 6
    with look_at_store(served.settings.store) as connection:
        verify_audit(connection)
        acts = [(row.who, row.what) for row in connection.execute(audit.select().order_by(audit.c.n))]
    assert [each for each in acts if each[0] == "ada"][-4:] == [
        ("ada", "stop"), ("ada", "prepare"), ("ada", "start_single"), ("ada", "halt"),
    ]  # fmt: skip


async def _command(url: str, client: Client, pair: Pair, stranger: Pair) -> None:
    async with Peer(url) as nobody:
        seen = await _station(nobody)
        assert (await seen.state(), await seen.state(AUTO)) == ("Operational", "ContinuousExecution")
        with pytest.raises(ua.UaStatusCodeError, match="permission"):
            await seen.call(f"{AUTO}/Stop", 0, "")
        with pytest.raises(ua.UaStatusCodeError, match="permission"):
            await (await seen.node(f"{AUTO}/0:CurrentState")).write_value(ua.LocalizedText("Ready"))
    with pytest.raises((ua.UaStatusCodeError, ConnectionError, TimeoutError)):
        await _connect(url, "ada", PASSWORD, stranger)
    with pytest.raises(ua.UaStatusCodeError, match=r"(?i)denied|rejected"):
        await _connect(url, "ada", "four words are bad", pair)
    viewer = await _connect(url, "eve", PASSWORD, pair)
    with pytest.raises(ua.UaStatusCodeError, match="permission"):
        await (await _station(viewer)).call(f"{AUTO}/Stop", 0, "")
    await viewer.disconnect()
    peer = await _connect(url, "ada", PASSWORD, pair)
    await _run_job(await _station(peer), client)
    await peer.disconnect()


async def _connect(url: str, name: str, password: str, pair: Pair) -> AnyPeer:
    peer = Peer(url)
    peer.application_uri = "urn:client:test"
    peer.set_user(name)
    peer.set_password(password)
    certificate, key = (CertProperties(path, "pem") for path in pair)
    await peer.set_security(SecurityPolicyBasic256Sha256, certificate, key)
    await peer.connect()
    return peer


async def _station(peer: AnyPeer) -> Station:
    own, standard = [
        await peer.get_namespace_index(uri) for uri in ("urn:blemish:line", "http://opcfoundation.org/UA/MachineVision")
    ]
    return Station(peer, own, standard)


async def _run_job(station: Station, client: Client) -> None:
    await station.peer.load_data_type_definitions()
    made, heard = cast(Any, ua), Heard()
    subscription = await station.peer.create_subscription(50, heard)
    await subscription.subscribe_events(station.root, ua.NodeId(1024, station.standard))
    assert await station.call(f"{AUTO}/Stop", 0, "") == 0
    await station.until("Ready", AUTO)
    with pytest.raises(ua.UaStatusCodeError) as caught:
        await station.call(f"{AUTO}/Stop", 0, "")
    assert caught.value.code == ua.StatusCodes.BadInvalidState
    recipe, none = made.RecipeIdExternalDataType(Id="worn"), made.RecipeIdInternalDataType()
    prepared, complete, _ = await station.call("RecipeManagement/PrepareRecipe", recipe, none)
    assert (prepared.Id, prepared.Hash, complete) == ("worn", b"hash of worn", True)
    with pytest.raises(ua.UaStatusCodeError) as caught:
        await station.call("RecipeManagement/PrepareRecipe", made.RecipeIdExternalDataType(Id="none"), none)
    assert caught.value.code == ua.StatusCodes.BadNotFound
    every = ua.Variant(2, ua.VariantType.Int32)
    product, zero = made.ProductIdDataType(), ua.Variant(0, ua.VariantType.UInt32)
    listed = await station.call(
        "RecipeManagement/GetRecipeListFiltered", made.RecipeIdExternalDataType(), product, every, zero, zero,
        ua.Variant(0, ua.VariantType.Int32),
    )  # fmt: skip
    assert [each.Id for each in listed[3]] == ["gear", "worn", "broken"]
    given = (made.MeasIdDataType(Id="m1"), made.PartIdDataType(Id="p 1"), recipe, made.ProductIdDataType(Id="cog"))
    job, _ = await station.call(f"{AUTO}/StartSingleJob", *given, ua.Variant([], ua.VariantType.Variant, is_array=True))
    await station.until("SingleExecution", AUTO)
    sent = await asyncio.to_thread(client.send, "p%201", "reject")
    for _ in range(500):
        if heard.events:
            break
        await asyncio.sleep(0.02)
    [event] = heard.events
    assert (event.PartId.Id, event.MeasId.Id, event.JobId.Id, event.ResultState) == ("p 1", "m1", job.Id, 1)
    assert [each.Value for each in event.ResultContent[:4]] == ["reject", 0.75, "reject", False]
    assert event.InternalRecipeId.Hash == sent.body["recipe"].encode()
    assert sent.body["product"] == "cog"
    await station.until("Ready", AUTO)
    _, result, _ = await station.call(
        "ResultManagement/GetResultById", made.ResultIdDataType(Id="p 1"), ua.Variant(0, ua.VariantType.Int32)
    )
    assert result.ProductId.Id == "cog"
    assert await station.call("VisionStateMachine/Halt", 0, "") == 0
    await station.until("Halted", "VisionStateMachine")
    assert not await station.state(AUTO)
