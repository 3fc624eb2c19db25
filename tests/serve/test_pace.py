from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.serving import LINE, line_settings

from blemish.serve.desk import Busy, Desk
from blemish.serve.pace import Pace


def test_what_is_expected_follows_what_is_seen() -> None:
    pace = Pace()
    assert pace.expect(3) == 0
    for _ in range(40):
        pace.add(0.02, 0.003)
    assert pace.expect(1) == pytest.approx(0.023, abs=1e-4)
    assert pace.expect(8) == pytest.approx(8 * 0.02 + 0.003, abs=1e-4)
    pace.add(0.1, 0.003)
    assert pace.expect(1) > 0.1


def test_a_part_that_would_be_late_is_refused_unless_nothing_is_before_it(tmp_path: Path) -> None:
    settings = line_settings(tmp_path, LINE + "budget_ms = 100\n").stations[0]

    async def fill() -> None:
        desk = Desk(settings, lambda record, found: None)
        for number in range(3):  # one is known; of the others two can be in time, deviations allowed for
            desk.admit(str(number))
            desk.add(str(number), "front")
            if not desk.pace.work:
                desk.judge(_said(str(number), 0.02))
        desk.admit("3")

    with pytest.raises(Busy, match="2 views wait, and this part would be late, after 100 ms: try again"):
        asyncio.run(fill())
    settings = line_settings(tmp_path, LINE + "budget_ms = 10\n").stations[0]

    async def alone() -> None:
        desk = Desk(settings, lambda record, found: None)
        for number in range(3):  # though none of them can be in time
            desk.admit(str(number))
            desk.add(str(number), "front")
            desk.judge(_said(str(number), 0.02))

    asyncio.run(alone())


def _said(part: str, seconds: float) -> dict[str, object]:
    said = {"part": part, "view": "front", "recipe": "", "score": 0.0, "verdict": "accept", "types": ()}
    return said | {"seconds": {"wait": 0.0, "station": seconds}}
