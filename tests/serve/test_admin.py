from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serve.test_quality import PASSWORD
from tests.support.serving import Client, line_settings, running


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(line_settings(tmp_path_factory.mktemp("admin"))) as client:
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


def test_the_page_of_administration_says_what_is_kept(line: Client, tmp_path: Path) -> None:
    page = line.login("ada", PASSWORD).page("/admin", Accept_Language="zh").body.decode()
    assert "审计" in page
    assert "30</td>" in page or "90</td>" in page
