"""A real line over sockets: its front in a thread of this process, its station a process of its own."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from tests.support.serving import LINE, Client, line_settings, running


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    text = (
        LINE.replace("port = 0", "port = 0\nmax_body_size = 0.01\nbody_seconds = 0.5")
        + "queue = 3\nbudget_ms = 20_000\n"
    )
    twins = (
        '[[stations]]\nname = "twins"\nrecipes = { gear = "gear.blemish" }\nviews = ["top", "side"]\nviews_ms = 300\n'
    )
    hasty = '[[stations]]\nname = "hasty"\nrecipes = { gear = "gear.blemish" }\nbudget_ms = 300\n'
    with running(line_settings(tmp_path_factory.mktemp("line"), text + twins + hasty)) as client:
        client.wait_ready()
        until = time.monotonic() + 30
        while any("Continuous" not in each["state"] for each in client.ask("GET", "/health").body["stations"]):
            assert time.monotonic() < until
            time.sleep(0.02)
        yield client


def test_a_view_is_answered_with_its_record(line: Client) -> None:
    status, found, headers = line.send("a 1".replace(" ", "%20"), "reject")
    assert status == 200
    assert (found["part"], found["verdict"], found["outcome"], found["score"]) == ("a 1", "reject", "inspected", 0.75)
    assert (found["recipe"], found["late"], found["repeated"]) == ("hash of gear", False, False)
    assert found["seconds"].keys() == {"wait", "read", "detect", "station", "answer"}
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert line.ask("GET", "/stations/gears/parts/a%201").body == {k: v for k, v in found.items() if k != "repeated"}


def test_what_is_sent_again_has_the_same_record_and_another_picture_is_refused(line: Client) -> None:
    first, again = (line.send("again", "accept").body for _ in range(2))
    assert again == first | {"repeated": True}
    status, said, _ = line.send("again", "reject")
    assert (status, said["detail"]) == (
        409, "part again has a record already, and another picture: give each part its own id",
    )  # fmt: skip


def test_parts_are_listed_the_latest_first_and_page_by_page(line: Client) -> None:
    for number in range(4):
        line.send(f"listed {number}".replace(" ", "-"), "review", view="front")
    _settle(line, "listed-3")
    found = line.ask("GET", "/stations/gears/parts?verdict=review&count=2").body
    assert [each["part"] for each in found] == ["listed-3", "listed-2"]
    more = line.ask("GET", f"/stations/gears/parts?verdict=review&count=2&before={found[-1]['n']}").body
    assert [each["part"] for each in more] == ["listed-1", "listed-0"]
    assert line.ask("GET", "/stations/gears/parts?batch=none").body == []


def _settle(line: Client, part: str) -> None:
    """Until the part is in the database."""
    until = time.monotonic() + 10
    while part not in [each["part"] for each in line.ask("GET", "/stations/gears/parts").body]:
        assert time.monotonic() < until


def test_product_and_batch_are_kept(line: Client) -> None:
    line.ask("POST", "/stations/gears/parts/batched/views/front?product=cog&batch=7", b"accept")
    found = line.ask("GET", "/stations/gears/parts/batched").body
    assert (found["product"], found["batch"]) == ("cog", "7")


def test_an_array_is_taken_as_npy(line: Client) -> None:
    file = io.BytesIO()
    np.save(file, np.full((4, 4, 3), 90, np.uint8))
    sent = {"Content_Type": "application/x-npy"}
    assert line.ask("POST", "/stations/gears/parts/array/views/front", file.getvalue(), **sent).status == 200
    status, said, _ = line.ask("POST", "/stations/gears/parts/array2/views/front", b"\x93NUMPY\1\0", **sent)
    assert (status, said["verdict"], said["outcome"]) == (422, "review", "unreadable")
    assert "part array2, view front is no picture as .npy" in said["detail"]


def test_what_cannot_be_read_is_said_in_the_readers_words_and_recorded(line: Client) -> None:
    status, said, _ = line.send("torn", "unreadable")
    assert (status, said["detail"]) == (422, "part torn, view front is damaged: send it again")
    found = line.ask("GET", "/stations/gears/parts/torn").body
    assert (found["verdict"], found["outcome"], found["judged"]) == ("review", "unreadable", "")


def test_what_is_late_is_answered_in_time_and_its_true_result_kept(line: Client) -> None:
    start = time.monotonic()
    found = line.send("late", "sleep 0.6 accept", station="hasty").body
    assert (found["late"], found["verdict"], found["judged"], found["score"]) == (True, "review", "", None)
    assert found["recipe"] == "hash of gear"
    while not found["judged"]:
        assert time.monotonic() - start < 20
        found = line.ask("GET", "/stations/hasty/parts/late").body
    assert (found["late"], found["verdict"], found["judged"], found["score"]) == (True, "review", "accept", 0.25)
    assert found["outcome"] == "inspected"


def test_beyond_the_queue_views_are_refused_at_once(line: Client) -> None:
    with ThreadPoolExecutor(9) as pool:
        sent = [pool.submit(line.send, f"crowd-{number}", "sleep 0.4 accept") for number in range(9)]
        replies = [each.result() for each in sent]
    assert {reply.status for reply in replies} == {200, 503}
    refused = [reply for reply in replies if reply.status == 503]
    assert len(refused) >= 4
    assert "3 views wait, and no more may: try again" in refused[0].body["detail"]
    assert refused[0].headers["retry-after"] == "1"
    assert 'blemish_refused_views_total{reason="busy",station="gears"}' in line.ask("GET", "/metrics").body.decode()


def test_a_part_of_two_views_has_the_worse_verdict(line: Client) -> None:
    first = line.send("pair", "reject", view="top", station="twins")
    assert (first.status, first.body) == (202, {"part": "pair", "missing": ["side"]})
    assert line.ask("GET", "/stations/twins/parts/pair").body == {"part": "pair", "missing": ["side"]}
    found = line.send("pair", "accept", view="side", station="twins").body
    assert (found["verdict"], found["score"], found["outcome"]) == ("reject", 0.75, "inspected")
    assert {name: view["verdict"] for name, view in found["views"].items()} == {"top": "reject", "side": "accept"}


@pytest.mark.parametrize(("says", "verdict"), [("accept", "review"), ("reject", "reject")])
def test_a_view_that_does_not_come_means_review_at_best(line: Client, says: str, verdict: str) -> None:
    line.send(f"half-{says}", says, view="top", station="twins")
    until = time.monotonic() + 10
    while (reply := line.ask("GET", f"/stations/twins/parts/half-{says}")).status == 202:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert (reply.body["verdict"], reply.body["outcome"]) == (verdict, "incomplete")
    assert reply.body["error"] == "view side did not come in time"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        (
            "POST",
            "/stations/bolts/parts/1/views/front",
            b"accept",
            404,
            "there is no station bolts: gears, twins, hasty",
        ),
        ("POST", "/stations/gears/parts/1/views/back", b"accept", 404, "gears has no view back: front"),
        ("GET", "/stations/gears/parts/nobody", None, 404, "gears knows no part nobody"),
        ("POST", f"/stations/gears/parts/{'x' * 129}/views/front", b"accept", 422, "String should have at most 128"),
        ("GET", f"/pictures/{10**30}", None, 422, "Input should be less than"),
        ("GET", "/stations/gears/parts?batch=%00", None, 422, "String should match pattern"),
        ("POST", "/stations/gears/parts/%0a/views/front", b"accept", 422, "String should match pattern"),
        ("POST", "/stations/gears/parts/1/views/front", b"x" * 20_000, 413, "larger than 0.0099"),
        ("POST", "/login", {"name": "a", "password": "b" * 2000}, 422, "String should have at most"),
        ("POST", "/stations/gears/commands/reset_all", b"", 422, "Input should be"),
        ("POST", "/stations/gears/commands/start_single", None, 409, "start_single is not possible in the state"),
        ("POST", "/stations/gears/commands/prepare", {"recipe": "cog"}, 404, "gears has no recipe cog"),
        ("POST", "/stations/gears/commands/prepare", {"recipe": "broken"}, 422, "is broken: make it anew"),
    ],
)
def test_what_does_not_fit_is_refused_in_https_terms(
    line: Client, method: str, path: str, body: bytes | None, status: int, said: str
) -> None:
    reply = line.ask(method, path, body)
    assert reply.status == status
    assert said in json.dumps(reply.body)


def test_another_type_of_content_is_refused(line: Client) -> None:
    reply = line.send("typed", "accept", Content_Type="multipart/form-data")
    assert reply.status == 415
    assert "multipart/form-data is not taken: send a picture's bytes" in reply.body["detail"]


def test_a_body_that_has_no_length_is_cut_off_where_it_is_too_large(line: Client) -> None:
    connection = HTTPConnection("127.0.0.1", line.port, timeout=10)
    pieces = (b"x" * 1000 for _ in range(11))
    connection.request("POST", "/api/v1/stations/gears/parts/chunks/views/front", pieces, encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert connection.getresponse().status == 413
    connection.close()


def test_a_slow_body_is_given_up_and_others_do_not_wait_for_it(line: Client) -> None:
    with socket.create_connection(("127.0.0.1", line.port), timeout=10) as slow:
        head = b"POST /api/v1/stations/gears/parts/slow/views/front HTTP/1.1\r\nHost: localhost\r\n"
        slow.sendall(head + b"Content-Length: 500\r\n\r\naccept")
        assert line.send("quick", "accept").status == 200
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
    assert line.ask("GET", "/stations/gears/parts/slow").status == 404


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Host": "line.example"}, "not called line.example"),
        ({"Origin": "http://other.example"}, "another site"),
        ({"Origin": "null"}, "another site"),
    ],
)
def test_pages_of_other_sites_may_change_nothing(line: Client, headers: dict[str, str], said: str) -> None:
    reply = line.ask("POST", "/stations/gears/commands/stop", **headers)
    assert reply.status == 403
    assert said in reply.body["detail"]


def test_ids_are_counted_for_who_has_none(line: Client) -> None:
    one, other = (line.ask("POST", "/stations/gears/parts") for _ in range(2))
    assert one.status == 201
    assert one.body["part"] != other.body["part"]
    assert line.send(one.body["part"], "accept").status == 200


def test_what_happens_is_told_to_who_listens(line: Client) -> None:
    connection = HTTPConnection("127.0.0.1", line.port, timeout=10)
    connection.request("GET", "/api/v1/events")
    reply = connection.getresponse()
    assert reply.getheader("content-type", "").startswith("text/event-stream")
    threading.Timer(0.1, line.send, ("told", "reject")).start()
    while (text := reply.readline()) != b"event: part\n":
        assert text
    found = json.loads(reply.readline().removeprefix(b"data: "))
    assert (found["part"], found["verdict"]) == ("told", "reject")
    connection.close()


def test_metrics_are_prometheuss(line: Client) -> None:
    line.send("measured", "reject")
    text = line.ask("GET", "/metrics").body.decode()
    assert 'blemish_parts_total{outcome="inspected",station="gears",verdict="reject"}' in text
    assert 'blemish_station_state{state="ContinuousExecution",station="gears"} 1.0' in text
    assert 'blemish_part_seconds_bucket{le="0.1",stage="detect",station="gears"}' in text


def test_pictures_and_maps_of_parts_are_kept(line: Client) -> None:
    line.send("kept", "reject please-keep-me")
    found = _pictures(line, "kept")
    assert line.ask("GET", f"/pictures/{found['picture']}").body == b"reject please-keep-me"
    shown = line.ask("GET", f"/pictures/{found['shown']}")
    assert (shown.body[8:12], shown.headers["content-type"]) == (b"WEBP", "image/webp")
    assert line.ask("GET", f"/pictures/{found['heat']}").body.startswith(b"\x89PNG")
    assert line.ask("GET", "/pictures/99999").status == 404


def _pictures(line: Client, part: str) -> dict[str, int]:
    until = time.monotonic() + 10
    while not (found := line.ask("GET", f"/stations/gears/parts/{part}/pictures").body["pictures"]):
        assert time.monotonic() < until
        time.sleep(0.02)
    return {each["kind"]: each["n"] for each in found}


def test_the_oldest_part_that_waits_is_judged_and_taken_back(line: Client) -> None:
    while (found := line.ask("GET", "/review").body)["part"]:  # of the tests before
        _judge(line, found["part"], "accept")
    assert found == {"part": None, "pictures": [], "waiting": 0}
    for part in ("w1", "w2"):
        line.send(part, "review")
        _pictures(line, part)
    found = line.ask("GET", "/review").body
    assert (found["part"]["part"], found["waiting"]) == ("w1", 2)
    assert {each["kind"] for each in found["pictures"]} == {"picture", "map", "heat", "shown"}
    assert _judge(line, found["part"], "reject", "crack") == {
        "station": "gears", "part": "w1", "verdict": "reject", "type": "crack", "who": "local",
    }  # fmt: skip
    assert line.ask("GET", "/review").body["part"]["part"] == "w2"
    assert line.ask("GET", "/stations/gears/parts/w1/pictures").body["judgement"]["type"] == "crack"
    assert line.ask("POST", "/review/undo").body["part"] == "w1"
    assert line.ask("GET", "/review").body["part"]["part"] == "w1"
    assert line.ask("GET", "/stations/gears/parts/w1/pictures").body["judgement"] is None


def _judge(line: Client, part: dict[str, str], verdict: str, kind: str = "") -> object:
    path = f"/stations/{part['station']}/parts/{quote(part['part'])}/judgement"
    return line.ask("POST", path, {"verdict": verdict, "type": kind}).body


@pytest.mark.parametrize(
    ("part", "verdict", "kind", "said"),
    [
        ("nobody", "accept", "", "gears knows no part nobody"),
        ("w1", "review", "", "'review' is no judgement: accept or reject"),
        ("w1", "accept", "crack", "has no type of defect"),
    ],
)
def test_a_judgement_that_does_not_fit_is_refused(line: Client, part: str, verdict: str, kind: str, said: str) -> None:
    assert said in str(_judge(line, {"station": "gears", "part": part}, verdict, kind))


def test_a_station_stops_changes_its_recipe_and_does_a_single_job(line: Client) -> None:
    def command(name: str, recipe: str = "") -> str:
        return str(line.ask("POST", f"/stations/gears/commands/{name}", {"recipe": recipe}).body["state"])

    assert command("stop") == "Operational.Ready"
    reply = line.send("stopped", "accept")
    assert reply.status == 409
    assert "gears inspects nothing, it is Operational.Ready: start it first" in reply.body["detail"]
    assert command("prepare", "worn") == "Operational.Ready"
    assert command("start_single") == "Operational.SingleExecution"
    assert line.send("single", "accept").body["recipe"] == "hash of worn"
    assert line.ask("GET", "/health").body["stations"][0]["state"] == "Operational.Ready"
    assert line.send("second", "accept").status == 409
    assert command("start_continuous") == "Operational.ContinuousExecution"
    for number in range(40):  # worse parts than those of that recipe's calibration
        line.send(f"worse-{number}", "reject")
    alarms = line.ask("GET", "/health").body["alarms"]
    assert alarms["gears drift"].endswith("views: look at parts, calibrate again")
    assert 'blemish_alarm{subject="gears drift"} 1.0' in line.ask("GET", "/metrics").body.decode()
    assert command("prepare", "gear") == "Operational.ContinuousExecution"
    assert line.ask("GET", "/recipes").body["gears"] == {
        "recipes": ["gear", "worn", "broken"], "recipe": "gear", "hash": "hash of gear",
    }  # fmt: skip
    assert line.send("third", "accept").body["recipe"] == "hash of gear"


def test_a_station_that_crashes_is_started_again_and_its_part_not_inspected(line: Client) -> None:
    found = line.send("poison", "crash").body
    assert (found["outcome"], found["verdict"], found["judged"]) == ("not inspected", "review", "")
    assert "its process ended with exit status 9" in found["error"]
    until = time.monotonic() + 60
    while line.ask("GET", "/health").body["stations"][0]["state"] != "Operational.ContinuousExecution":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert line.send("after", "accept").body["verdict"] == "accept"
    assert line.ask("GET", "/health").body["alarms"] == {}


def test_a_line_that_ends_records_what_was_open(tmp_path: Path) -> None:
    settings = line_settings(tmp_path, LINE + "budget_ms = 60_000\n")
    with running(settings) as client:
        client.wait_ready()
        while "Continuous" not in client.ask("GET", "/health").body["stations"][0]["state"]:
            time.sleep(0.02)
        threading.Thread(target=lambda: client.send("open", "sleep 60 accept"), daemon=True).start()
        while not client.ask("GET", "/health").body["stations"][0]["waiting"]:
            time.sleep(0.02)
    with running(settings) as client:
        found = client.ask("GET", "/stations/gears/parts/open").body
    assert (found["outcome"], found["verdict"], found["error"]) == ("not inspected", "review", "the line was stopped")
