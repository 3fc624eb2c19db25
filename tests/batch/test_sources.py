"""Pictures in archives, tables and stores, each under its own name, and what is said of those that are damaged."""

from __future__ import annotations

import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import fsspec
import numpy as np
import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from PIL import Image
from tests.batch.test_batch import lines, run
from tests.support.deployed import brightness

from blemish.batch.archives import Piece, pictures
from blemish.batch.listing import names, pieces
from blemish.batch.stores import fetch
from blemish.batch.targets import target_of
from blemish.errors import BadData, BadImage, BadInput, CannotWrite
from blemish.images import Source, find, read_source, source_of


def keep(name: str) -> bool:
    return True


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(file, "PNG")
    return file.getvalue()


def grey(found: Path | Source) -> int:
    """What its pixels are; -1 of one that cannot be read."""
    try:
        return int(read_source(source_of(found))[0, 0, 0])
    except BadImage:
        return -1


def seen(source: str, size: int = 4) -> dict[str, int]:
    """Every picture of a source by its name below it."""
    each = [source_of(found) for piece in pieces(source, size, keep) for found in pictures(piece)]
    return {found.id.rpartition(source)[2].lstrip("/"): grey(found) for found in each}


def reasons(source: str) -> list[str]:
    each = (found for piece in pieces(source, 4, keep) for found in pictures(piece))
    return [str(found.content) for found in each if isinstance(found, Source) and isinstance(found.content, BadImage)]


def tar(path: Path, count: int = 3, mode: str = "w:") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for number in range(count):
            for end, data in ((".png", png(number)), (".cls", b"1")):
                member = tarfile.TarInfo(f"line/{number}{end}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


def zip_of(path: Path, count: int = 3) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            archive.writestr(f"line/{number}.png", png(number))
        archive.writestr("line/notes.txt", b"")
    return path


def rows(count: int) -> pyarrow.Table:
    """As Hugging Face keeps pictures."""
    return pyarrow.table(
        {"image": [{"bytes": png(number), "path": f"{number}.png"} for number in range(count)], "y": [0] * count}
    )


def test_zips_tars_and_tables_in_a_folder_are_read_as_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(9))
    zip_of(tmp_path / "b.zip")
    tar(tmp_path / "c.tar")
    tar(tmp_path / "d.tar.gz", mode="w:gz")
    pyarrow.parquet.write_table(rows(5), tmp_path / "e.parquet", row_group_size=2)
    with pyarrow.ipc.new_stream(str(tmp_path / "f.arrow"), rows(2).schema) as stream:
        stream.write_table(rows(2))
    (tmp_path / "cache-1.arrow").write_bytes(b"")
    (tmp_path / "state.json").write_text("{}", encoding="utf-8")
    wanted = {"a.png": 9}
    wanted |= {f"{name}/line/{n}.png": n for name in ("b.zip", "c.tar", "d.tar.gz") for n in range(3)}
    wanted |= {f"e.parquet/{n}": n for n in range(5)} | {f"f.arrow/{n}": n for n in range(2)}
    assert seen(str(tmp_path), 2) == wanted
    assert seen(str(tmp_path / "b.zip")) == {f"line/{n}.png": n for n in range(3)}


def test_bytes_in_a_plain_column_and_paths_beside_none_are_pictures(tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(png(7))
    pyarrow.parquet.write_table(pyarrow.table({"photo": [png(5), None]}), tmp_path / "a.parquet")
    kept = [{"bytes": None, "path": str(tmp_path / "there.png")}, {"bytes": None, "path": None}]
    pyarrow.parquet.write_table(pyarrow.table({"photo": kept}), tmp_path / "b.parquet")
    assert list(seen(str(tmp_path / "a.parquet")).values()) == [5, -1]
    assert list(seen(str(tmp_path / "b.parquet")).values()) == [7, -1]
    assert reasons(str(tmp_path / "a.parquet")) == [f"{tmp_path}/a.parquet/1 holds no bytes of a picture"]


@pytest.mark.parametrize("cut", [100, 512, 3000, 4000])
@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_a_tar_that_is_cut_off_gives_what_it_has_and_is_listed(tmp_path: Path, cut: int, mode: str) -> None:
    whole = tar(tmp_path / "whole.tar", 4, mode).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: min(cut, len(whole) - 20)])
    (said,) = reasons(str(tmp_path / "cut.tar"))
    assert f"{tmp_path}/cut.tar is damaged or cut off behind picture " in said
    assert said.endswith("copy it again from where it came")
    found = seen(str(tmp_path / "cut.tar"))
    assert found == {f"line/{n}.png": n for n in range(len(found) - 1)} | {"": -1}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.zip", b"PK\x03\x04 and no more", "a.zip is no zip, or is cut off"),
        ("a.parquet", b"PAR1 and no more", "a.parquet is no Parquet, or is cut off"),
    ],
)
def test_what_is_no_archive_is_one_sentence(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=said):
        seen(str(tmp_path))


def test_a_table_without_pictures_is_one_sentence(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"name": ["a"], "score": [1.0]}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match=r"a\.parquet has the columns name, score, of which none holds bytes"):
        seen(str(tmp_path))
    pyarrow.parquet.write_table(pyarrow.table({"a": [b""], "b": [b""]}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="a and b may both be pictures: call one `image`"):
        seen(str(tmp_path))


def test_what_is_damaged_in_a_zip_or_vanishes_is_listed(tmp_path: Path) -> None:
    data = bytearray(zip_of(tmp_path / "a.zip").read_bytes())
    at = data.index(png(1)) + 45
    data[at] ^= 255
    (tmp_path / "a.zip").write_bytes(data)
    assert list(seen(str(tmp_path / "a.zip")).values()) == [0, -1, 2]
    (gone,) = pictures(Piece("tar", str(tmp_path / "gone.tar")))
    assert "gone.tar does not exist any more" in str(source_of(gone).content)


def test_a_source_that_holds_nothing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="holds no picture"):
        list(pieces(str(tmp_path), 4, keep))
    with pytest.raises(BadImage, match="does not exist: check the name"):
        list(names(str(tmp_path / "no")))


def test_a_file_system_by_its_url(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for number in range(3):
        memory.pipe_file(f"/plant/day/{number}.png", png(number))
    memory.pipe_file("/plant/.hidden/4.png", png(4))
    zip_of(tmp_path / "a.zip")
    memory.pipe_file("/plant/z.zip", (tmp_path / "a.zip").read_bytes())
    wanted = {f"day/{n}.png": n for n in range(3)} | {f"z.zip/line/{n}.png": n for n in range(3)}
    assert seen("memory:///plant") == wanted
    assert len(list(names("memory:///plant/day/*.png"))) == 3
    listed = list(pieces("memory:///plant/day", 4, keep))
    memory.rm_file("/plant/day/1.png")
    found = [source_of(each) for piece in listed for each in pictures(piece)]
    assert list(map(grey, found)) == [0, -1, 2]
    assert "memory:///plant/day/1.png does not exist any more" in str(found[1].content)
    with pytest.raises(BadInput, match="nosuch://a"):
        list(names("nosuch://a"))
    with pytest.raises(
        BadImage, match="inspect it by `blemish batch memory://plant --recipe FILE --out DIR`, with --shard"
    ):
        find(["memory://plant"])


class Once(SimpleHTTPRequestHandler):
    """Files of a folder; the first request of each is refused."""

    asked: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        if self.path.endswith(".png") and self.path not in self.asked:
            self.asked.add(self.path)
            self.send_error(503)
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "www").mkdir()
    for number in range(6):
        (tmp_path / f"www/{number}.png").write_bytes(png(100 + 20 * number))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Once, directory=str(tmp_path / "www"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_batch_reads_from_a_web_server_that_answers_at_the_second_try(site: str, tmp_path: Path) -> None:
    brightness(tmp_path / "line.blemish")
    words = ("--recipe", tmp_path / "line.blemish", "--out", tmp_path / "out", "--workers", 1)
    done = run("batch", site, *words)
    assert done.exit_code == 11, done.output
    found = lines(tmp_path / "out/results/part-00000000.jsonl")
    assert [line["path"] for line in found] == [f"{site}{number}.png" for number in range(6)]
    assert [line["verdict"] for line in found] == ["accept"] * 2 + ["reject"] * 4
    done = run("batch", site.replace("http", "nosuch"), *words[:3], tmp_path / "other")
    assert (done.exit_code, "nosuch://" in done.stderr) == (1, True)
    assert not (tmp_path / "other").exists()


def test_a_store_that_does_not_answer_ends_the_part_and_lists_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="check the name, the network and the credentials"):
        list(names("http://127.0.0.1:9/photos/"))
    with pytest.raises(BadInput, match=r"http://127\.0\.0\.1:9/a\.png cannot be read"):
        fetch("http://127.0.0.1:9/a.png")


def test_results_go_to_a_store_and_two_drivers_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_of("memory://results")
    with target.written("results/part-0.jsonl") as path:
        path.write_text("{}\n", encoding="utf-8")
    with target.alone():
        other = target_of("memory://results")
        said = "memory://results is being written by another run"
        with pytest.raises(CannotWrite, match=said), other.alone():
            pass
        monkeypatch.setattr("blemish.batch.targets.STALE", -1.0)  # its driver has been silent for that long
        with other.alone():
            assert other.listed("results") == ["part-0.jsonl"]
            assert not other.has("summary.json")
            with other.copied("results/part-0.jsonl") as path:
                assert path.read_text(encoding="utf-8") == "{}\n"
        target.put(".lock", "{}")
    with pytest.raises(BadData, match=r"memory://results has no batch\.json"):
        target.read("batch.json")
    target.clear("results")
    assert target.listed("results") == []


def test_a_path_as_a_url_is_a_path_and_a_chain_of_places_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    assert list(names(f"file://{tmp_path}")) == [f"{tmp_path}/a.png"] == list(map(str, find([f"file://{tmp_path}"])))
    target_of(f"file://{tmp_path}/out").put("summary.json", "{}")
    assert (tmp_path / "out/summary.json").read_text(encoding="utf-8") == "{}"
    said = "chains places by ::, which is not followed: name the last one, "
    for chain, last in (
        (f"zip://*.png::file://{tmp_path}/a.zip", f"{tmp_path}/a.zip"),
        (f"zip://*.png::{tmp_path}/a.zip", f"{tmp_path}/a.zip"),
        ("simplecache::s3://plant/july", "s3://plant/july"),
    ):
        with pytest.raises(BadInput, match=f"{re.escape(said + last)}; zips, tars and tables"):
            list(names(chain))
        with pytest.raises(BadInput, match=said):
            target_of(chain)


def test_what_a_web_server_does_not_have_is_told_from_one_that_does_not_answer(site: str) -> None:
    for name in ("no.zip", "no.tar"):
        with pytest.raises(BadInput, match=f"{site}{name} does not exist"):
            list(pieces(f"{site}{name}", 4, keep))
        with pytest.raises(BadInput, match=r"127\.0\.0\.1:9/.*cannot be .* \(ClientConnectorError: .*check the name"):
            list(pieces(f"http://127.0.0.1:9/{name}", 4, keep))
    (found,) = pictures(Piece("tar", f"{site}no.tar"))
    assert "no.tar does not exist any more" in str(source_of(found).content)
    with pytest.raises(BadInput, match=r"a\.tar cannot be read \(ClientConnectorError"):
        list(pictures(Piece("tar", "http://127.0.0.1:9/a.tar")))
