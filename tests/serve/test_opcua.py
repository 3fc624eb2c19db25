"""asyncua's client over Basic256Sha256, as a person and as nobody; the line is a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from asyncua import Client as Peer
from asyncua import Node, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from tests.support.certificates import Pair, certify
from tests.support.peers import free_port, until
from tests.support.serving import LINE, Client, line_settings, process

from blemish.serve.audit import verify_audit
from blemish.serve.schema import audit
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


class Heard:
    """Events of a subscription."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def event_notification(self, event: Any) -> None:
        self.events.append(event)


class Station:
    """As a client sees it."""

    def __init__(self, peer: Peer, own: int, standard: int) -> None:
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


AUTO = "VisionStateMachine/AutomaticModeStateMachine"


def test_a_client_commands_and_hears_results_and_nobody_reads_only(tmp_path: Path) -> None:
    port = free_port()
    certify(tmp_path, "line", uri="urn:blemish:test")
    (tmp_path / "known").mkdir()
    pair = certify(tmp_path, "client", uri="urn:client:test")
    stranger = certify(tmp_path, "stranger", uri="urn:client:test")
    (tmp_path / "known" / "client.pem").write_bytes(pair.certificate.read_bytes())
    settings = line_settings(tmp_path, LINE + OPCUA.format(port=port))
    with edit_store(settings.store) as connection:
        put_user(connection, "ada", "operator", PASSWORD)
        put_user(connection, "eve", "viewer", PASSWORD)
        token = make_token(connection, "camera", "gears")
    with process("serve", tmp_path / "line.toml") as serving:
        assert serving.stdout
        client = Client(int(serving.stdout.readline()), token=token)
        until(lambda: "Continuous" in client.ask("GET", "/health").body["stations"][0]["state"])
        until(lambda: client.ask("GET", "/connectors").body[0]["state"] == "connected")
        asyncio.run(_command(f"opc.tcp://127.0.0.1:{port}/", client, pair, stranger))
        found = client.ask("GET", "/connectors").body[0]
        assert (found["counters"]["commands"], found["counters"]["refused"]) == (6, 3)
    with look_at_store(settings.store) as connection:
        verify_audit(connection)
        acts = [(row.who, row.what) for row in connection.execute(audit.select().order_by(audit.c.n))]
    assert acts == [("ada", "stop"), ("ada", "prepare"), ("ada", "start_single"), ("ada", "halt")]


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


async def _connect(url: str, name: str, password: str, pair: Pair) -> Peer:
    peer = Peer(url, timeout=20)
    peer.application_uri = "urn:client:test"
    peer.set_user(name)
    peer.set_password(password)
    certificate, key = (CertProperties(path, "pem") for path in pair)
    await peer.set_security(SecurityPolicyBasic256Sha256, certificate, key)
    await peer.connect()
    return peer


async def _station(peer: Peer) -> Station:
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
