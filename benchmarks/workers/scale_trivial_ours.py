"""A deployed recipe whose graph is two reductions of the colours, as the tests use it. argv: file."""

from __future__ import annotations

import sys
from pathlib import Path

from timing import report

sys.path.append(str(Path(__file__).parents[2]))
from tests.support.deployed import brightness

brightness(Path(sys.argv[1]))
report(made=True)
