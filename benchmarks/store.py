"""How long what pages ask of a store takes when it has a million records: drawn ones, in SQLite."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from blemish.serve.api_admin import list_audit
from blemish.serve.changes import recent_parts, recent_scores
from blemish.serve.proposals import hashes_alike, list_proposals
from blemish.serve.queries import Wanted, count_verdicts, find_part, list_parts
from blemish.serve.review import (
    count_for_review,
    judgement_of,
    list_judgements,
    oldest_for_review,
    pictures_of,
    shown_pictures,
)
from blemish.serve.ring import find_excess, kept_bytes
from blemish.serve.settings import Keeping, StoreSettings
from blemish.serve.similar import good_pictures
from blemish.serve.store import Store
from blemish.serve.trends import known_values, mistakes_of, recent_rows

RECORDS, TIMES = 1_000_000, 5
SERIES = "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {count}) "
PARTS = (
    SERIES
    + """
INSERT INTO parts (station, part, product, batch, arrived, answered, outcome, verdict, judged, late, score, recipe,
                   software, error, regions, types, views, seconds, waits)
SELECT CASE WHEN i % 4 THEN 'gears' ELSE 'bolts' END, 'p' || i, 'product ' || (i % 3), 'batch ' || (i / 5000),
       1.7e9 + i, 1.7e9 + i + 0.1, 'inspected', v, v, 0, (i * 7919 % 10007) / 10007.0, 'recipe ' || (i / 100000),
       'blemish', '', '[]', '[]', '{{"front": {{"digest": "' || hex(randomblob(32)) || '", "score": 0.5}}}}',
       '{{"wait": 0.001, "read": 0.01, "detect": 0.05, "station": 0.06, "answer": 0.07}}',
       v = 'review' AND i > {count} / 2
FROM (SELECT i, CASE WHEN i % 50 = 7 THEN 'reject' WHEN i % 20 = 3 THEN 'review' ELSE 'accept' END AS v FROM s)
"""
)
PICTURES = """
INSERT INTO pictures (station, part, view, kind, file, size, verdict, taken)
SELECT station, part, 'front', kind, kind || n, 50000, verdict, arrived FROM parts,
       (SELECT 'picture' AS kind UNION SELECT 'map' UNION SELECT 'heat' UNION SELECT 'shown') WHERE n > {count} * 3 / 4
"""
JUDGEMENTS = """
INSERT INTO judgements (station, part, at, who, verdict, type, undone)
SELECT station, part, answered + 60, 'ada', CASE WHEN n % 3 THEN 'accept' ELSE 'reject' END, '', 0
FROM parts WHERE verdict = 'review' AND NOT waits
"""
SUMMARY = "INSERT OR REPLACE INTO kept SELECT verdict, sum(size) FROM pictures GROUP BY verdict"


def draw_store(folder: Path, count: int) -> Store:
    """One that is not open yet."""
    kept = {verdict: Keeping(90, 2**40) for verdict in ("accept", "review", "reject")}
    store = Store(StoreSettings(folder, "", durable=False, keep_free=0, retention=kept))
    with store:
        for statement in (PARTS, PICTURES, JUDGEMENTS, SUMMARY):
            text = statement.format(count=count)
            store.change(lambda connection, text=text: connection.exec_driver_sql(text).rowcount).result()
    return store


def asked(store: Store, count: int) -> Mapping[str, Callable[[Connection], Any]]:
    """What pages ask, by name."""
    latest, station = f"p{count - 1}", "gears"
    names = [f"p{number}" for number in range(count - 1000, count)]
    narrow = Wanted(station, product="product 1", batch=f"batch {count // 10000}", recipe=f"recipe {count // 200000}")
    wide = {
        "": Wanted(station), "of a verdict ": Wanted(station, "reject"),
        "of a product ": Wanted(station, product="product 1"),
        "of an old batch ": Wanted(station, batch="batch 1"), "of an old recipe ": Wanted(station, recipe="recipe 0"),
        "of all three ": narrow, "of nothing there is ": narrow._replace(product="product 7"),
    }  # fmt: skip
    found: dict[str, Callable[[Connection], Any]] = {
        "a part": lambda c: find_part(c, station, latest),
        "counts of verdicts": lambda c: count_verdicts(c, station, 1000),
        "oldest for review": oldest_for_review,
        "oldest for review of a station": lambda c: oldest_for_review(c, "bolts"),
        "how many wait": count_for_review,
        "how many wait at a station": lambda c: count_for_review(c, station),
        "pictures of a part": lambda c: pictures_of(c, station, latest),
        "judgement of a part": lambda c: judgement_of(c, station, latest),
        "similar good parts": lambda c: good_pictures(c, station, latest, "front"),
        "scores for thresholds": lambda c: recent_scores(c, station, hashes_alike(c, station, "recipe 9")),
        "scores of an old recipe": lambda c: recent_scores(c, station, ["recipe 0"]),
        "parts that teaching judges": lambda c: recent_parts(c, station),
        "proposals": lambda c: list_proposals(c, station),
        "judged parts": lambda c: list_judgements(c, station, 60),
        "pictures of judged parts": lambda c: shown_pictures(c, station, names),
        "audit": lambda c: list_audit(c, None, 50),
        "bytes kept": kept_bytes,
        "pictures to remove": lambda c: find_excess(c, store.settings.retention, 1.7e9 + count),
    }
    for name, wanted in wide.items():
        found[f"parts {name}"] = lambda c, wanted=wanted: list_parts(c, wanted, 100)
        found[f"trends {name}"] = lambda c, wanted=wanted: recent_rows(c, wanted)
        found[f"escapes and overkill {name}"] = lambda c, wanted=wanted: mistakes_of(c, wanted)
    found["values to choose"] = lambda c: known_values(c, station)
    return found


def query_times(folder: Path, count: int = RECORDS) -> Iterator[tuple[str, float]]:
    """Milliseconds of each, the middle of a few, the longest first."""
    store = draw_store(folder, count)
    found = dict[str, float]()
    with store:
        for name, ask in asked(store, count).items():
            taken = []
            for _ in range(TIMES):
                start = time.perf_counter()
                with store.read() as connection:
                    ask(connection)
                taken.append(1000 * (time.perf_counter() - start))
            found[name.strip()] = float(np.median(taken))
    yield from sorted(found.items(), key=lambda each: -each[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, taken in query_times(Path(folder), given.records):
            print(f"{taken:8.1f} ms  {name}")


if __name__ == "__main__":
    main()
