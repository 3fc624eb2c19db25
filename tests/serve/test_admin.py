from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.serve.test_quality import PASSWORD
from tests.support.peers import until
from tests.support.serving import Client, line_settings, running

from blemish.cli.main import main
from blemish.report.runs import page_of


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Client]:
    with running(line_settings(tmp_path)) as client:
        yield client


def test_people_and_machines_are_let_in_and_out_and_the_audit_says_by_whom(line: Client) -> None:
    first = {"name": "otto", "role": "operator", "password": PASSWORD}
    refused = line.ask("POST", "/users", first)
    assert (refused.status, "let there be an admin first" in refused.body["detail"]) == (422, True)
    assert "The first user must be an admin" in line.page("/admin").body.decode()
    assert line.ask("POST", "/users", {**first, "name": "ada", "role": "admin"}).status == 201
    assert line.page("/admin").status == 303  # whoever is on this machine is nobody any more
    ada = line.login("ada", PASSWORD)
    assert ada.ask("POST", "/users", first).status == 201
    otto = line.login("otto", PASSWORD)
    assert otto.page("/admin").status == 403
    assert otto.ask("POST", "/tokens", {"name": "camera", "station": "gears"}).status == 403
    token = ada.ask("POST", "/tokens", {"name": "camera", "station": "gears"}).body["token"]
    camera = Client(line.port, token=token)
    assert camera.ask("GET", "/me").body["station"] == "gears"
    assert ada.ask("POST", "/tokens", {"name": "other", "station": "bolts"}).status == 404
    page = ada.page("/admin").body.decode()
    assert "camera" in page
    assert page.count('type="hidden" name="csrf"') == page.count("<form")
    assert ada.ask("POST", "/tokens/remove", {"name": "camera"}).status == 200
    assert camera.ask("GET", "/me").status == 401
    assert ada.ask("POST", "/users/remove", {"name": "otto"}).status == 200
    assert otto.ask("GET", "/health").status == 401
    assert ada.ask("POST", "/users/remove", {"name": "otto"}).status == 404
    kept = ada.ask("POST", "/users/remove", {"name": "ada"})
    assert (kept.status, "keep one" in kept.body["detail"]) == (422, True)
    acts = [(row["who"], row["what"], row["subject"]) for row in reversed(ada.ask("GET", "/audit").body)]
    assert acts == [
        ("local", "user", "ada"), ("ada", "user", "otto"), ("ada", "token", "camera"), ("ada", "remove", "camera"),
        ("ada", "remove", "otto"),
    ]  # fmt: skip
    assert ada.ask("GET", "/audit/verify").body["rows"] == 5
    assert [row["n"] for row in ada.ask("GET", "/audit?before=3&count=1").body] == [2]
    assert len(ada.ask("GET", "/audit.csv").body.decode().splitlines()) == 6


def test_what_is_kept_of_pictures_is_set_by_an_admin_and_put_back(line: Client) -> None:
    assert line.ask("POST", "/users", {"name": "ada", "role": "admin", "password": PASSWORD}).status == 201
    ada = line.login("ada", PASSWORD)
    assert "审计" in ada.page("/admin", Accept_Language="zh").body.decode()
    assert 'value="90"' in ada.page("/admin").body.decode()
    given = {"verdict": "reject", "days": "7", "gigabytes": "0.5"}  # as a form sends them
    assert ada.ask("POST", "/retention", given).body["reject"] == {"days": 7, "gigabytes": 0.5}
    page = ada.page("/admin").body.decode()
    assert 'value="0.5"' in page
    assert page.count("as in line.toml</button>") == 1
    assert ada.ask("POST", "/retention", {"verdict": "late", "days": 7}).status == 422
    refused = ada.ask("POST", "/retention", {"verdict": "accept", "days": -1})
    assert (refused.status, "wanted is a number from 0 to 36500" in refused.body["detail"]) == (422, True)
    assert ada.ask("POST", "/retention", {"verdict": "reject"}).body["reject"] == {"days": 90, "gigabytes": 10}
    acts = [(row["old"], row["new"]) for row in ada.ask("GET", "/audit").body if row["what"] == "retention"]
    assert acts == [("7 days, 0.5 GiB", "line.toml"), ("90 days, 10 GiB", "7 days, 0.5 GiB")]
    ada.ask("POST", "/users", {"name": "otto", "role": "quality", "password": PASSWORD})
    assert line.login("otto", PASSWORD).ask("POST", "/retention", given).status == 403


def test_what_an_admin_set_holds_from_the_next_picture_on_and_after_a_restart(tmp_path: Path) -> None:
    settings = line_settings(tmp_path)
    with running(settings) as client:
        client.wait_ready()
        client.ask("POST", "/retention", {"verdict": "accept", "gigabytes": 0})
        until(lambda: client.send("bare", "accept").status == 200)
        client.send("kept", "reject")
        client.wait_for("/stations/gears/parts/kept/pictures", lambda found: found["pictures"])
        assert client.ask("GET", "/stations/gears/parts/bare/pictures").body["pictures"] == []
    run = CliRunner().invoke(main, ["records", str(tmp_path / "line.toml"), "--out", str(tmp_path / "run")])
    assert run.output == f"{tmp_path / 'run'}: 1 picture\n"
    assert page_of(tmp_path / "run", tmp_path / "page.html") == 1
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '"path":"kept","score":0.75' in page.replace(" ", "").replace('"path":"kept",', '"path":"kept",')
    with running(settings) as client:
        assert 'value="0"' in client.page("/admin").body.decode()
