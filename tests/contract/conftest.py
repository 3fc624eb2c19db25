"""What of the contract the quick suite asks of whom, and which process asks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from blemish.catalog.reconstructions import RECONSTRUCTIONS

QUICK = {
    "test_a_picture_scores_the_same_alone_and_in_a_batch",
    "test_a_planted_defect_scores_higher_and_shows_where_it_is",
    "test_a_prediction_has_a_score_an_image_and_a_map_of_its_size",
    "test_the_loss_falls",
}
"""What is asked of methods known by their abstracts alone, which share their blocks; `make test-slow` asks the rest."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one method run in one process, which trains it once."""
    for item in items:
        given = getattr(item, "callspec", None)
        if given is None or Path(__file__).parent not in item.path.parents:
            continue
        method = given.params.get("name", given.params.get("method"))
        item.add_marker(pytest.mark.xdist_group(f"contract of {method}"))
        if method in RECONSTRUCTIONS and getattr(item, "originalname", item.name) not in QUICK:
            item.add_marker("slow")
