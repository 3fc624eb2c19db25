from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from PIL import Image
from sqlalchemy import Connection
from tests.support.serving import record, store_settings

from blemish.serve.front import Front
from blemish.serve.review import judge_part
from blemish.serve.ring import put_pictures
from blemish.serve.similar import Similar
from blemish.serve.store import Store

SHADES = {"dark": 40, "middle": 120, "bright": 220, "other": 125, "judged": 130, "asked": 128}


def _keep(store: Store, name: str, verdict: str) -> None:
    files = [("front", "shown", f"{name}.webp", 1)]
    store.change(lambda connection: put_pictures(connection, "gears", name, verdict, files))


def test_the_most_similar_good_part_is_of_the_same_product_and_nobody_rejected_it(tmp_path: Path) -> None:
    with Store(store_settings(tmp_path)) as store:
        for name, shade in SHADES.items():
            Image.new("RGB", (32, 32), (shade, shade, shade)).save(tmp_path / f"{name}.webp")
            verdict, product = "review" if name == "asked" else "accept", "bolt" if name == "other" else "gear"
            store.add(record(name, verdict=verdict, product=product))
            _keep(store, name, verdict)
        store.change(lambda connection: judge_part(connection, "gears", "judged", who="eve", verdict="reject")).result(
            5
        )

        async def look_up(look: Callable[[Connection], Any]) -> Any:
            with store.read() as connection:
                return look(connection)

        front = cast(Front, SimpleNamespace(ring=SimpleNamespace(folder=tmp_path), look_up=look_up))
        similar = Similar(front)
        found = asyncio.run(similar.find("gears", "asked", "front"))
        assert found
        assert found.part == "middle"
        (tmp_path / "middle.webp").unlink()
        assert asyncio.run(Similar(front).find("gears", "asked", "front")) != found
        assert asyncio.run(similar.find("gears", "asked", "side")) is None
