"""What connectors have in common, and those that need no package: the webhook and a function of one's own."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from pathlib import Path

import pytest
from tests.support.peers import receiver, until
from tests.support.serving import LINE, line_settings, record, running, store_settings

from blemish.errors import BadInput
from blemish.serve.outbox import list_letters
from blemish.serve.store import Store

HOOK = """
from pathlib import Path

def send(part):
    place = Path(__file__).with_name("seen")
    tries = Path(__file__).with_name("tries")
    tries.write_text(tries.read_text() + "." if tries.exists() else ".")
    if len(tries.read_text()) == 1:
        raise ValueError("not yet")
    place.mkdir(exist_ok=True)
    (place / part["part"]).write_text(part["verdict"])
"""


def test_a_webhook_and_a_function_get_each_part_until_they_take_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("between us\n")
    (tmp_path / "plant.py").write_text(HOOK)
    with receiver([503, 200, 500]) as (url, posted):
        tables = f'\n[[connectors]]\nkind = "webhook"\nurl = "{url}"\nsecret_file = "secret"\n'
        tables += '\n[[connectors]]\nkind = "hook"\nname = "own"\nfile = "plant.py"\n'
        with running(line_settings(tmp_path, LINE + tables)) as client:
            until(lambda: client.send("a", "reject").status == 200)
            client.send("b", "accept")
            until(lambda: len(posted) == 2 and len(list((tmp_path / "seen").glob("*"))) == 2)
            found = until(lambda: _if_all_sent(client.ask("GET", "/connectors").body))
    headers, body = posted[0]
    assert [json.loads(each)["part"] for _, each in posted] == ["a", "b"]
    assert (json.loads(body)["kind"], json.loads(body)["verdict"]) == ("part", "reject")
    signed = hmac.new(b"between us", headers["Blemish-Timestamp"].encode() + b"." + body, sha256).hexdigest()
    assert headers["Blemish-Signature"] == signed
    assert (tmp_path / "seen" / "a").read_text() == "reject"
    assert [(each["name"], each["state"], each["counters"]) for each in found] == [
        ("webhook", "connected", {"sent": 2, "losses": 2}), ("own", "connected", {"sent": 2, "losses": 1}),
    ]  # fmt: skip


def _if_all_sent(connectors: list[dict[str, dict[str, int]]]) -> list[dict[str, dict[str, int]]]:
    return connectors if all(each["counters"].get("sent") == 2 for each in connectors) else []


def test_a_letter_is_written_with_its_record_and_not_again_from_the_journal(tmp_path: Path) -> None:
    settings = store_settings(tmp_path, letters={"gears": ("broker",)})
    with Store(settings) as store:
        store.add(record("1", late=True, verdict="review"))
        store.add(record("1", late=True, verdict="review", judged="accept"))
        store.add(record("2", station="bolts")).result(5)
        journal = store._journal.path.read_bytes()
        with store.read() as connection:
            assert [(each.kind, each.record.part) for each in list_letters(connection, "broker", 9)] == [
                ("part", "1"), ("judged", "1"),
            ]  # fmt: skip
        store.change(lambda connection: connection.exec_driver_sql("DELETE FROM outbox").rowcount).result(5)
    lost = json.dumps(record("3").as_json())
    journal_file = tmp_path / "journal.jsonl"
    journal_file.write_bytes(journal + lost.encode() + b"\n")
    with Store(settings) as store, store.read() as connection:
        assert [each.record.part for each in list_letters(connection, "broker", 9)] == ["3"]
    with Store(store_settings(tmp_path)) as store, store.read() as connection:
        assert list_letters(connection, "broker", 9) == []  # nobody is there to hand it on


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('name = "a"', r"line 9: connectors\[0\].kind: this key is needed: one of mqtt, "),
        ('kind = "telex"', r"line 10: .*wanted is one of mqtt, "),
        ('kind = "mqtt"\ntopik = "a"', r"line 11: connectors\[0\].topik: there is no such key; did you mean topic\?"),
        ('kind = "mqtt"\ntopic = "a/#"', "line 11: .*a topic without"),
        ('kind = "mqtt"\nstations = ["bolts"]', "line 11: .*wanted is a list of stations: gears"),
        ('kind = "mqtt"\nhost = "far.example"\npassword_file = "secret"', "for all to read: set tls = true"),
        ('kind = "mqtt"\ncertificate = "secret"', "certificate and key go together"),
        ('kind = "webhook"\nurl = "https://a.example"', "secret_file: this key is needed"),
        ('kind = "webhook"\nurl = "http://a.example"\nsecret_file = "secret"', "begins with https://"),
        ('kind = "hook"\nfile = "no.py"', r"no\.py is not there"),
        ('kind = "hook"\nfile = "secret"\ncommands = true', "commands: there is no such key"),
        ('kind = "mqtt"\n[[connectors]]\nkind = "mqtt"', r"connectors\[1\].name: mqtt is there twice"),
    ],
)
def test_a_connector_that_does_not_fit_is_named_with_its_line(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(BadInput, match=said):
        line_settings(tmp_path, f"{LINE}[[connectors]]\n{table}\n")
