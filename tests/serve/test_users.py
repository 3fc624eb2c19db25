from __future__ import annotations

import io
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fastapi import HTTPException
from tests.support.serving import LINE, Client, line_settings, running

from blemish.cli.main import main
from blemish.errors import BadInput
from blemish.serve.access import FREE_FAILURES, Throttle, refuse_open
from blemish.serve.users import check_password, hash_password

PASSWORD = "correct horse"


def run(*words: object, typed: str = "") -> Result:
    return CliRunner().invoke(main, list(map(str, words)), input=typed)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, str, Path]]:
    folder = tmp_path_factory.mktemp("secured")
    twins = '[[stations]]\nname = "twins"\nrecipes = { gear = "gear.blemish" }\n'
    settings = line_settings(folder, LINE + twins)
    file = folder / "line.toml"
    for name, role in (("vera", "viewer"), ("otto", "operator"), ("ada", "admin")):
        assert run("user", "add", file, name, "--role", role, "--password", PASSWORD).exit_code == 0
    token = run("user", "token", file, "gears", "camera 1").output.strip()
    with running(settings) as client:
        client.wait_ready()
        while "Continuous" not in Client(client.port, token=token).ask("GET", "/health").body["stations"][0]["state"]:
            time.sleep(0.02)
        yield client, token, file


def login(client: Client, name: str, password: str = PASSWORD) -> Client:
    reply = client.ask("POST", "/login", {"name": name, "password": password})
    assert reply.status == 200, reply
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    found = Client(client.port)
    found.headers = {"Cookie": cookie.partition(";")[0], "X-CSRF-Token": reply.body["csrf"]}
    return found


@pytest.mark.parametrize("path", ["/health", "/metrics", "/events", "/recipes", "/me", "/stations/gears/parts"])
def test_nobody_sees_anything_without_a_name(line: tuple[Client, str, Path], path: str) -> None:
    client, _, _ = line
    assert client.ask("GET", path).status == 401
    assert Client(client.port, token="blemish_wrong").ask("GET", path).status == 401


def test_a_machine_sends_views_to_its_own_station_alone(line: tuple[Client, str, Path]) -> None:
    client, token, _ = line
    machine = Client(client.port, token=token)
    assert machine.send("m1", "accept").status == 200
    reply = machine.send("m1", "accept", station="twins")
    assert (reply.status, reply.body["detail"]) == (403, "camera 1 may not do this: it takes operator")
    assert machine.ask("POST", "/stations/gears/commands/stop").status == 403
    assert machine.ask("GET", "/me").body["station"] == "gears"


def test_roles_may_do_what_is_theirs(line: tuple[Client, str, Path]) -> None:
    client, _, _ = line
    vera, otto = login(client, "vera"), login(client, "otto")
    assert vera.ask("GET", "/health").status == 200
    assert vera.send("v1", "accept").status == 403
    assert vera.ask("POST", "/stations/twins/commands/stop").status == 403
    assert otto.send("o1", "accept").status == 200
    assert otto.ask("POST", "/stations/twins/commands/stop").body["state"] == "Operational.Ready"
    assert otto.ask("POST", "/logout").status == 204
    assert otto.ask("GET", "/health").status == 401


def test_what_changes_anything_needs_the_token_of_the_session(line: tuple[Client, str, Path]) -> None:
    otto = login(line[0], "otto")
    otto.headers = {"Cookie": otto.headers["Cookie"]}
    assert otto.ask("GET", "/health").status == 200
    reply = otto.ask("POST", "/stations/gears/commands/stop")
    assert reply.status == 403
    assert "x-csrf-token is not that of this session" in reply.body["detail"]


def test_a_wrong_password_is_not_told_from_a_wrong_name_and_soon_has_to_wait(line: tuple[Client, str, Path]) -> None:
    client, _, _ = line
    wrong = [client.ask("POST", "/login", {"name": name, "password": "x"}) for name in ("ada", "nobody", *3 * ("ada",))]
    assert {(reply.status, reply.body["detail"]) for reply in wrong} == {(401, "the name or the password is wrong")}
    reply = client.ask("POST", "/login", {"name": "ada", "password": PASSWORD})
    assert reply.status == 429
    assert int(reply.headers["retry-after"]) >= 1


def test_what_was_done_is_in_the_audit_with_who_did_it(line: tuple[Client, str, Path]) -> None:
    client, _, file = line
    login(client, "otto").ask("POST", "/stations/twins/commands/prepare", {"recipe": "gear"})
    result = run("audit", "verify", file)
    assert result.exit_code == 0, result.output
    assert "all hold; the last: " in result.output
    listed = run("user", "list", file).output
    assert "vera" in listed
    assert "camera 1" in listed


def test_an_audit_that_was_changed_is_found_from_the_shell(tmp_path: Path) -> None:
    import sqlite3

    line_settings(tmp_path)
    file = tmp_path / "line.toml"
    run("user", "add", file, "ada", "--role", "admin", "--password", PASSWORD)
    with sqlite3.connect(tmp_path / "line-data" / "parts.sqlite") as database:
        database.execute("DROP TRIGGER audit_UPDATE")
        database.execute("UPDATE audit SET new = 'viewer'")
    database.close()
    result = run("audit", "verify", file)
    assert result.exit_code == 1
    assert "the audit does not hold from row 1 on" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "{}", "ada", "--role", "boss", "--password", PASSWORD), "'boss' is no role: viewer, operator"),
        (("add", "{}", "a/b", "--password", PASSWORD), "will not do as a name"),
        (("add", "{}", "ada", "--password", "short"), "too short: 10 characters"),
        (("remove", "{}", "nobody"), "there is no token nobody"),
        (("token", "{}", "bolts", "x"), "has no station bolts"),
    ],
)
def test_users_that_do_not_fit_are_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    line_settings(tmp_path)
    result = run("user", *(word.format(tmp_path / "line.toml") for word in words))
    assert result.exit_code
    assert said in result.output


def test_users_and_tokens_are_removed_and_tokens_made_once(tmp_path: Path) -> None:
    line_settings(tmp_path)
    file = tmp_path / "line.toml"
    run("user", "add", file, "ada", typed=f"{PASSWORD}\n{PASSWORD}\n")
    run("user", "token", file, "gears", "camera")
    assert "there is a token camera already" in run("user", "token", file, "gears", "camera").output
    for name in ("ada", "camera"):
        assert name in run("user", "list", file).output
        assert run("user", "remove", file, name).exit_code == 0
        assert name not in run("user", "list", file).output


def test_passwords_are_kept_as_what_they_are_known_again_by() -> None:
    one, other = hash_password(PASSWORD), hash_password(PASSWORD)
    assert one != other
    assert PASSWORD not in one
    assert check_password(PASSWORD, one)
    assert not check_password(PASSWORD + "x", one)


def test_each_failure_too_many_waits_twice_as_long() -> None:
    now = [0.0]
    throttle = Throttle(FREE_FAILURES, lambda: now[0])
    pauses = []
    for count in range(1, FREE_FAILURES + 4):
        throttle.check("ada")
        throttle.fail("ada")
        if count >= FREE_FAILURES:
            with pytest.raises(HTTPException) as caught:
                throttle.check("ada")
            assert caught.value.headers
            pauses.append(int(caught.value.headers["Retry-After"]) - 1)
            now[0] += pauses[-1] + 1
    assert pauses == [1, 2, 4, 8]
    throttle.forget("ada")
    throttle.fail("ada")
    throttle.check("ada")


@pytest.mark.parametrize(
    ("server", "there", "said"),
    [
        ('host = "0.0.0.0"', True, "give certificate and key, or set behind_proxy"),
        ('host = "0.0.0.0"\nbehind_proxy = true', False, "make a user first"),
        ("behind_proxy = true", False, "make a user first"),
        ('host = "0.0.0.0"\nbehind_proxy = true', True, ""),
        ('host = "127.0.0.1"', False, ""),
    ],
)
def test_off_this_machine_nothing_starts_without_tls_and_users(
    tmp_path: Path, server: str, there: bool, said: str
) -> None:
    settings = line_settings(tmp_path, LINE.replace("port = 0", server))
    if said:
        with pytest.raises(BadInput, match=said):
            refuse_open(settings, users_there=there)
    else:
        refuse_open(settings, users_there=there)


def test_tls_is_spoken_where_there_is_a_certificate(tmp_path: Path) -> None:
    import ssl
    import urllib.request

    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-keyout", str(tmp_path / "line.key"), "-out", str(tmp_path / "line.crt")]
    subprocess.run(made, check=True, capture_output=True)
    settings = line_settings(
        tmp_path, LINE.replace("port = 0", "port = 0\ncertificate = 'line.crt'\nkey = 'line.key'") + "start = false\n"
    )
    with running(settings) as client:
        trusting = ssl.create_default_context(cafile=tmp_path / "line.crt")
        trusting.check_hostname = False
        with urllib.request.urlopen(f"https://127.0.0.1:{client.port}/api/v1/openapi.json", context=trusting) as reply:
            assert "/api/v1/stations/{station}/parts/{part}/views/{view}" in json.load(io.TextIOWrapper(reply))["paths"]
