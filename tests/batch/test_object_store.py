"""A batch from an object store to another place of it, by moto's S3 on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from tests.batch.test_sources import png, zip_of
from tests.structure.source import ROOT
from tests.support.deployed import brightness

SERVER = """
from moto.server import ThreadedMotoServer
from time import sleep
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sleep(600)
"""
PREPARE = """
import sys, fsspec
from pathlib import Path
system = fsspec.filesystem("s3")
system.mkdir("plant")
for file in Path(sys.argv[1]).iterdir():
    system.put_file(str(file), f"plant/july/{file.name}")
"""
CHECK = """
import json, fsspec
system = fsspec.filesystem("s3")
lines = [line for name in system.find("plant/results/results") for line in system.cat_file(name).decode().splitlines()]
print(json.dumps({"names": system.find("plant/results"), "lines": [json.loads(each) for each in lines]}))
"""


@pytest.fixture
def store() -> Iterator[dict[str, str]]:
    """The environment of those who use it."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
        yield os.environ | keys | {"AWS_ENDPOINT_URL": address, "PYTHONPATH": str(ROOT.parent)}
        server.kill()


def python(*words: object, store: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, env=store, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_batch_from_a_bucket_into_a_bucket(store: dict[str, str], tmp_path: Path) -> None:
    brightness(tmp_path / "line.blemish")
    (tmp_path / "july").mkdir()
    for number in range(5):
        (tmp_path / f"july/{number}.png").write_bytes(png(100 + 20 * number))
    zip_of(tmp_path / "july/more.zip")
    prepared = python("-c", PREPARE, tmp_path / "july", store=store)
    assert prepared.returncode == 0, prepared.stderr
    words = ["-m", "blemish", "batch", "s3://plant/july", "--recipe", tmp_path / "line.blemish", "--workers", 1]
    done = python(*words, "--out", "s3://plant/results", store=store)
    assert done.returncode == 11, done.stderr
    found = json.loads(python("-c", CHECK, store=store).stdout)
    wanted = [f"s3://plant/july/{n}.png" for n in range(5)] + [
        f"s3://plant/july/more.zip/line/{n}.png" for n in range(3)
    ]
    assert [line["path"] for line in found["lines"]] == wanted
    assert "plant/results/summary.json" in found["names"]
    assert not [each for each in found["names"] if each.endswith(".lock")]
    again = python(*words, "--out", "s3://plant/results", store=store)
    assert "holds an earlier run: go on with it by --resume" in again.stderr
    missing = python(*words, "--out", "s3://nobucket/results", store=store)
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1), missing.stderr
    strict = Request(f"{store['AWS_ENDPOINT_URL']}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    urlopen(strict).close()
    refused = python(*words, "--out", tmp_path / "out", store=store)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1), refused.stderr
    assert "s3://plant/july cannot be listed" in refused.stderr
    assert "check the name, the network and the credentials" in refused.stderr
    assert not (tmp_path / "out").exists()
