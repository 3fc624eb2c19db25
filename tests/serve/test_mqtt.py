"""A real broker, stopped and started meanwhile, and a line that is killed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.serve.test_process import listening
from tests.support.peers import Mosquitto, Subscriber, until
from tests.support.serving import LINE, Client, line_settings, process

MQTT = '\n[[connectors]]\nkind = "mqtt"\nport = {port}\ntopic = "plant/2"\ncommands = true\n'


def connector(client: Client) -> dict[str, object]:
    [found] = client.ask("GET", "/connectors").body
    return dict(found)


def test_a_broker_hears_each_part_once_whatever_ends_meanwhile_and_gives_commands(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker, Subscriber(broker.port, "plant/2/#") as hears:
        line_settings(tmp_path, LINE + MQTT.format(port=broker.port))
        with process("serve", tmp_path / "line.toml") as serving:
            client = listening(serving)
            sent = {f"p{number}": client.send(f"p{number}", "reject").body for number in range(5)}
            until(lambda: len(hears.of("plant/2/gears/part")) == 5)
            until(lambda: "Continuous" in hears.of("plant/2/gears/state")[-1]["state"])
            assert hears.of("plant/2/online") == [True]
            until(lambda: connector(client)["counters"] == {"sent": 5})  # or the last might come again
            broker.stop()
            sent |= {f"p{number}": client.send(f"p{number}", "accept").body for number in range(5, 10)}
            until(lambda: connector(client)["state"] == "connecting")
            assert "it is tried again" in client.ask("GET", "/health").body["alarms"]["connector mqtt"]
            serving.kill()
        broker.start()
        with process("serve", tmp_path / "line.toml") as serving:
            client = listening(serving)
            sent |= {f"p{number}": client.send(f"p{number}", "review").body for number in range(10, 15)}
            until(lambda: len(hears.of("plant/2/gears/part")) >= 15)
            heard = hears.of("plant/2/gears/part")
            assert heard == [{key: each[key] for key in each if key != "repeated"} for each in sent.values()]
            until(lambda: connector(client)["counters"] == {"sent": 10})
            assert (connector(client)["state"], connector(client)["error"]) == ("connected", "")
            _command(hears, client)
            until(lambda: hears.of("plant/2/online")[-1])
            serving.kill()
            until(lambda: not hears.of("plant/2/online")[-1])  # the last will


def _command(hears: Subscriber, client: Client) -> None:
    for said in ('{"command": "stop", "id": "1"}', '{"command": "stop", "id": "2"}', "[" * 5000, '{"command": 1}'):
        hears.say("plant/2/gears/command", said)
    answers = until(lambda: len(found := hears.of("plant/2/gears/answer")) == 4 and found)
    assert answers[0] == {"id": "1", "command": "stop", "state": "Operational.Ready"}
    assert "stop is not possible in the state Operational.Ready" in answers[1]["error"]
    assert [list(each) for each in answers[2:]] == [["error"], ["error"]]
    assert hears.of("plant/2/gears/state")[-1]["state"] == "Operational.Ready"
    assert connector(client)["counters"] == {"sent": 10, "commands": 2, "refused": 3}
    hears.say("plant/2/gears/command", json.dumps({"command": "start_single", "part": "given"}))
    until(lambda: hears.of("plant/2/gears/state")[-1]["state"] == "Operational.SingleExecution")
    assert client.send("another", "accept").status == 409
    assert client.send("given", "accept").status == 200
    until(lambda: hears.of("plant/2/gears/state")[-1]["state"] == "Operational.Ready")
