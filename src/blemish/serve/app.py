"""The front process: one application, served by uvicorn, with its stations and its store beside it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from blemish.errors import BlemishError
from blemish.serve.access import Access, has_users, refuse_open
from blemish.serve.api import PREFIX, VIEW_PATH, api_of, refusal
from blemish.serve.front import Front
from blemish.serve.judge import MakeJudge, judge_by_recipe
from blemish.serve.limits import SMALL_BODY, Limits
from blemish.serve.page_of_admin import add_admin_page
from blemish.serve.pages import Pages, add_pages
from blemish.serve.pages_of_quality import add_quality_pages
from blemish.serve.pages_of_trends import add_trends_page
from blemish.serve.quality import Quality
from blemish.serve.settings import LineSettings
from blemish.serve.store import Store
from blemish.serve.wire import SWITCH_SECONDS

MOST_CONNECTIONS = 200


def app_of(front: Front) -> FastAPI:
    """Starts the stations with itself."""
    quality = Quality(front)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        front.start()
        quality.start()
        yield
        quality.end()

    app = FastAPI(
        title="blemish", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=f"{PREFIX}/openapi.json"
    )  # fmt: skip
    access = Access(front)
    app.include_router(api_of(front, access, quality))
    app.include_router(_pages_of(front, access, quality))

    @app.exception_handler(BlemishError)
    async def refused(_: Request, error: BlemishError) -> JSONResponse:
        return refusal(error)

    server = front.settings.server
    most = server.max_body_size
    app.add_middleware(
        Limits, largest=lambda path: most if VIEW_PATH.fullmatch(path) else SMALL_BODY, seconds=server.body_seconds
    )  # fmt: skip
    return app


def _pages_of(front: Front, access: Access, quality: Quality) -> APIRouter:
    pages = Pages(front, access)
    add_pages(pages)
    add_quality_pages(pages, quality)
    add_trends_page(pages, quality)
    add_admin_page(pages)
    return pages.router


def serve(
    settings: LineSettings,
    *,
    make: MakeJudge = judge_by_recipe,
    started: Callable[[uvicorn.Server], None] | None = None,
) -> None:
    """Until SIGINT or SIGTERM; raises BadInput for a line that others could reach without TLS and users.

    `started` is told when the server listens: its `servers` then know the port.
    """
    with Store(settings.store) as store:
        with store.read() as connection:
            refuse_open(settings, users_there=has_users(connection))
        with _calm_signals(), _quick_switches():
            _Server(Front(settings, store, make), started).run()


@contextmanager
def _calm_signals() -> Iterator[None]:
    """The server ends by them in good order, and raises them again, which then does nothing more."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quick_switches() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class _Server(uvicorn.Server):
    def __init__(self, front: Front, told: Callable[[uvicorn.Server], None] | None) -> None:
        super().__init__(_config(front.settings, app_of(front)))
        self._front, self._told = front, told

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        self._front.end()  # first, so that whoever waits for a part is answered
        await self._front.connectors.stop()
        await super().shutdown(sockets)  # type: ignore[arg-type]

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self._told and self.started:
            self._told(self)


def _config(settings: LineSettings, app: FastAPI) -> uvicorn.Config:
    server = settings.server
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return uvicorn.Config(
        app,
        host=server.host,
        port=server.port,
        ssl_certfile=server.certificate,
        ssl_keyfile=str(server.key) if server.key else None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=server.behind_proxy,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=3,
    )
