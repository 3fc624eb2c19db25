from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from blemish.errors import BadInput
from blemish.serve.cameras import options
from blemish.serve.doors.options import KINDS
from blemish.serve.settings import LineSettings, read_line
from blemish.serve.toml_lines import lines_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "line.toml"
STATION = '[[stations]]\nname = "gears"\nrecipes = { gear = "gear.blemish" }\n'


def line(folder: Path, text: str) -> LineSettings:
    (folder / "gear.blemish").touch()
    (folder / "line.toml").write_text(text, encoding="utf-8")
    return read_line(folder / "line.toml")


def test_what_is_left_out_is_as_usual(tmp_path: Path) -> None:
    found = line(tmp_path, STATION)
    station = found.stations[0]
    assert (station.recipe, station.views, station.unjudged, station.queue) == ("gear", ("front",), "review", 16)
    assert found.server.is_loopback
    assert not found.server.is_encrypted
    assert (found.name, found.store.folder) == ("line", tmp_path / "line-data")
    assert found.station("gears") is station
    assert found.station("bolts") is None


def test_the_example_shows_every_key_and_what_it_says_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    for name in ("gear", "gear-worn"):
        (tmp_path / f"{name}.blemish").touch()
    found = read_line(tmp_path / "line.toml")
    station = found.stations[0]
    assert station.views == ("top", "side")
    assert station.folder
    assert station.folder.pattern.fullmatch("A_17_top")
    assert found.store.retention["reject"].size == 10 * 2**30
    assert found.server.max_body_size == 64 * 2**20
    (tmp_path / "secret").write_text("x")
    (tmp_path / "plant.py").touch()
    (tmp_path / "clients").mkdir()
    monkeypatch.setattr(options, "find_library", lambda name: name)
    (tmp_path / "line.toml").write_text(re.sub(r"(?m)^#(?=[\[a-z])", "", EXAMPLE.read_text()))
    whole = read_line(tmp_path / "line.toml")
    assert {each.kind for each in whole.connectors} == set(KINDS)
    assert [(each.kind, each.views, each.trigger) for each in whole.stations[0].cameras] == [
        ("opencv", ("top",), False), ("genicam", ("side",), True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{STATION}buget_ms = 3\n", r"line 4: stations\[0\].buget_ms: there is no such key; did you mean budget_ms\?"),
        (f"{STATION}budget_ms = 0\n", r"line 4: stations\[0\].budget_ms: 0 will not do, wanted is a number from 1"),
        (f"{STATION}queue = 2.5\n", r"line 4: .*a whole number from 1 to 10000"),
        (f'{STATION}unjudged = "accept"\n', r"line 4: .*wanted is review or reject"),
        (f'{STATION}recipe = "bolt"\n', r"line 4: .*wanted is one of gear"),
        (f'{STATION}views = ["a", "a"]\n', "line 4: .*there twice"),
        (f"{STATION}{STATION}", r"line 5: stations\[1\].name: gears is there twice"),
        ('[[stations]]\nname = "a"\n', r"line 1: stations\[0\].recipes: this key is needed"),
        ('[[stations]]\nname = "../a"\nrecipes = { g = "gear.blemish" }\n', "line 2: .*a name of letters"),
        ('[[stations]]\nname = "a"\nrecipes = { g = "no.blemish" }\n', r"line 3: .*no\.blemish is not there"),
        ('[[stations]]\nname = "a"\nrecipes = {}\n', "line 3: .*name one recipe or more"),
        (
            f"{STATION}[stations.folder]\npath = 'in'\ndone = 'remove'\npattern = '(.+)'\n",
            r"line 7: stations\[0\].folder.pattern: ",
        ),
        (
            f"{STATION}[stations.folder]\npath = 'in'\ndone = 'remove'\npattern = '('\n",
            "line 7: .*no regular expression",
        ),
        (f"[server]\nkey = 'gear.blemish'\n{STATION}", "certificate and key go together"),
        (f"[retention]\nlate = {{ days = 3 }}\n{STATION}", "line 2: retention.late: there is no such key"),
        (f"[retention]\naccept = {{ weeks = 3 }}\n{STATION}", "line 2: retention.accept.weeks: there is no such key"),
        ("name = 'a'\n", "stations: this key is needed"),
        ("stations = 3\n", "line 1: stations: write one table or more"),
        ("a = [", "is not TOML"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        line(tmp_path, text)


def test_every_key_that_will_not_do_is_named(tmp_path: Path) -> None:
    station = STATION.replace("gear.blemish", "no.blemish")
    text = f"nam = 'a'\n[retention]\naccept = {{ weeks = 3 }}\n{station}budget_ms = 0\nqueue = 2.5\n"
    with pytest.raises(BadInput) as refused:
        line(tmp_path, text)
    said = [each.partition(": ")[2].partition(":")[0] for each in str(refused.value).splitlines()]
    keys = ["nam", "stations[0].budget_ms", "stations[0].queue", "retention.accept.weeks", "stations[0].recipes"]
    assert said == keys


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"line\.toml cannot be read \(No such file"):
        read_line(tmp_path / "line.toml")


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("line.example", False)]
)
def test_only_this_machine_is_loopback(tmp_path: Path, host: str, loopback: bool) -> None:
    assert line(tmp_path, f'[server]\nhost = "{host}"\n{STATION}').server.is_loopback == loopback


def test_lines_of_keys_are_found_past_strings_and_lists() -> None:
    text = 'a = """\nb = 1\n"""\nc = [\n  "d = 2",\n]\n[e."f g"]\nh.i = 3\n[[j]]\n[[j]]\nk = 4\n[j.l]\nm = 5\n[[j.n]]\n'
    assert lines_of(text) == {
        "a": 1, "c": 4, "e.f g": 7, "e.f g.h.i": 8, "j[0]": 9, "j[1]": 10, "j[1].k": 11, "j[1].l": 12,
        "j[1].l.m": 13, "j[1].n[0]": 14,
    }  # fmt: skip
