"""Shared by all tests: one thread a process, since the suite itself runs in as many processes as there are cores."""

import gc
import os

import pytest
import torch
from tests.support.exports import share_graphs
from tests.support.resampling import resample_seldom
from tests.support.sentences import remember_sentences

torch.set_num_threads(1)
remember_sentences()
share_graphs()
resample_seldom()
pytest.MonkeyPatch().setattr(os, "fsync", lambda _: None)  # nothing of a test is to outlast a power cut


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what is made once for their file run in one process."""
    for item in items:
        found = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
        shares = any(each.scope == "module" for every in found.values() for each in every)
        if shares and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_collection_finish() -> None:
    """What was imported and collected stays until the end: no search for garbage need look at it."""
    gc.collect()
    gc.freeze()
