"""Copies a folder into a new bucket. argv: folder, URL."""

from __future__ import annotations

import sys

import fsspec
from timing import report

system, path = fsspec.core.url_to_fs(sys.argv[2])
system.mkdir(path.partition("/")[0])
system.put(f"{sys.argv[1]}/", f"{path}/", recursive=True)
report(done=True)
