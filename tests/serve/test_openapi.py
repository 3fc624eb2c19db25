"""Requests drawn from the API's own description, good and bad: none ends in an error of the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as draw
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, openapi
from schemathesis.core.result import Ok
from tests.support.serving import Client, line_settings, running

ENDLESS = ("/events",)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(line_settings(tmp_path_factory.mktemp("described"))) as client:
        client.wait_ready()
        yield client


@pytest.mark.parametrize(
    ("mode", "count"),
    [
        (GenerationMode.POSITIVE, 1),
        *(pytest.param(mode, 20, marks=pytest.mark.slow) for mode in GenerationMode),
    ],
)
def test_no_request_ends_in_an_error_of_the_server(line: Client, mode: GenerationMode, count: int) -> None:
    """`count` requests of each kind, always the same."""
    each = settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    described = openapi.from_dict(line.ask("GET", "/openapi.json").body)
    session, statuses = requests.Session(), set[int]()

    def check(operation: Any) -> None:
        @each
        @given(case=operation.as_strategy(generation_mode=mode), is_ours=draw.sampled_from([True, False]))
        def ask(case: Any, is_ours: bool) -> None:
            if is_ours and "station" in case.path_parameters:
                case.path_parameters["station"] = "gears"
            reply = case.call(base_url=f"http://127.0.0.1:{line.port}", session=session, timeout=60)
            statuses.add(reply.status_code)
            is_busy = reply.status_code == 503 and "retry-after" in reply.headers
            assert reply.status_code < 500 or is_busy, case.as_curl_command()

        ask()

    for found in described.get_all_operations():
        if isinstance(found, Ok) and not found.ok().path.endswith(ENDLESS):
            with suppress(Unsatisfiable):  # nothing of it can be wrong
                check(found.ok())
    session.close()
    assert {200, 422} <= statuses
    assert line.ask("GET", "/health").status == 200
