"""Programs that read what we write, see tests/peers.txt; without them their tests are left out, but not in CI."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest


def peer(module: str) -> Any:
    """The module, or the test is left out by name; where CI is set it fails."""
    if find_spec(module.partition(".")[0]) is None and not os.environ.get("CI"):
        pytest.skip(f"NOT TESTED: {module} is not installed: pip install --no-deps -r tests/peers.txt")
    return import_module(module)
