"""Tables as programs save them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support import trees

from blemish import data
from blemish.benchmark.plan import read
from blemish.cli.main import main
from blemish.data.rows import read_csv, read_text
from blemish.errors import BadData
from blemish.notices import gather

ROWS = [["image", "label", "split"], ["grün, links.png", "good", "train"], ["b.png", "Kratzer", "test"]]
EXPECTED = [dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]


def text_of(separator: str = ",", end: str = "\n", quoted: bool = True) -> str:
    quote = '"' if quoted else ""
    return "".join(separator.join(f"{quote}{value}{quote}" for value in row) + end for row in ROWS)


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_usual_encoding_separator_and_line_end_gives_the_same_rows(
    tmp_path: Path, encoding: str, separator: str, end: str
) -> None:
    path = written(tmp_path / "t.csv", text_of(separator, end), encoding)
    with gather() as notices:
        assert read_csv(path, ("image",)) == EXPECTED
    assert len(notices.lines()) == (encoding in ("cp1252", "latin-1"))


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_a_mark_of_byte_order_is_believed(tmp_path: Path, mark: bytes) -> None:
    encoding = "utf-16-le" if mark == b"\xff\xfe" else "utf-16-be"
    (tmp_path / "t.csv").write_bytes(mark + text_of().encode(encoding))
    assert read_csv(tmp_path / "t.csv", ("image",)) == EXPECTED


@pytest.mark.parametrize("line", ["sep=;", "SEP=;"])
def test_a_line_that_tells_the_separator_is_read(tmp_path: Path, line: str) -> None:
    assert read_csv(written(tmp_path / "t.csv", f"{line}\r\n" + text_of(";", "\r\n")), ("image",)) == EXPECTED


def test_columns_may_be_written_large_and_with_spaces(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", " Image ; LABEL\n a.png ;good\n;\n\n")
    assert read_csv(path, ("image",)) == [{"image": "a.png", "label": "good"}]


def test_a_value_may_hold_a_line_end_and_the_separator(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", 'image,remark\na.png,"one\ntwo, three"\n')
    assert read_csv(path, ("image",)) == [{"image": "a.png", "remark": "one\ntwo, three"}]


def test_a_table_of_one_column_is_not_cut(tmp_path: Path) -> None:
    assert read_csv(written(tmp_path / "t.csv", "image\na;b.png\n"), ("image",)) == [{"image": "a;b.png"}]


BROKEN = {
    "empty": (b"", "is empty"),
    "only a mark": (b"\xef\xbb\xbf", "is empty"),
    "only a header": (b"image,label\n", "no rows"),
    "a NUL byte": (b"image,label\na\0.png,good\n", "NUL"),
    "no text": (bytes(range(128, 160)) * 4, "UTF-8"),
    "an open quote": (b'image,label\n"a.png,good\n', "not a csv table"),
    "another column": (b"file;label\na.png;good\n", "no column image; its columns are file, label"),
    "a column twice": (b"image,Image\na.png,b.png\n", "two columns image"),
    "too many values": (b"image,label\na,b.png,good\n", "row 1 has 3 values for 2 columns"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_one_sentence_that_names_the_file(name: str, tmp_path: Path) -> None:
    content, message = BROKEN[name]
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(BadData, match=message) as error:
        data.samples(tmp_path / "t.csv")
    assert str(tmp_path / "t.csv") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", BROKEN)
def test_the_same_in_visas_table_and_in_that_of_an_agreement(name: str, tmp_path: Path) -> None:
    content = BROKEN[name][0]
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv/1cls.csv").write_bytes(content)
    with pytest.raises(BadData, match=r"1cls\.csv"):
        data.samples(tmp_path)
    done = CliRunner().invoke(main, ["agreement", str(tmp_path / "split_csv/1cls.csv")])
    assert done.exit_code == 1
    assert "1cls.csv" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_and_plans_are_read_in_those_encodings_too(tmp_path: Path, encoding: str) -> None:
    trees.realiad(tmp_path / "set")
    for path in (tmp_path / "set/realiad_jsons/realiad_jsons").iterdir():
        written(path, path.read_text(), encoding)
    assert len(data.samples(tmp_path / "set")) == 4
    plan = '[[data]]\nroot = "set"\n\n[[methods]]\nname = "winclip"\n\n'
    plan = f'shots = [0]\nencoders = ["test-tiny"]\n\n{plan}'
    assert read(written(tmp_path / "plan.toml", plan, encoding)).data[0].categories == ("audiojack", "usb")


@pytest.mark.parametrize("content", [b"", b"\0\0", b"\xff\xfe[", json.dumps([1]).encode()])
def test_a_broken_list_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "realiad_jsons").mkdir()
    (tmp_path / "realiad_jsons/usb.json").write_bytes(content)
    with pytest.raises(BadData, match=r"usb\.json"):
        data.samples(tmp_path)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_agreement_reads_what_a_spreadsheet_saves(tmp_path: Path, separator: str) -> None:
    rows = [["Part", "Appraiser", "Verdict", "Reference"]]
    rows += [[str(part), who, "good", "good"] for part in range(3) for who in ("Jörg", "Ann")]
    text = "\r\n".join(separator.join(row) for row in rows)
    done = CliRunner().invoke(main, ["agreement", str(written(tmp_path / "t.csv", text, "utf-16")), "--json"])
    assert done.exit_code == 0, done.output
    assert set(json.loads(done.stdout)["appraisers"]) == {"Jörg", "Ann"}


def test_windows_paths_in_a_table_are_found(tmp_path: Path) -> None:
    trees.picture(tmp_path / "lot/a.png")
    path = written(tmp_path / "t.csv", "image;label\nlot\\a.png;good\n")
    assert data.samples(path, split="train")[0].image == tmp_path / "lot/a.png"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"none\.csv cannot be read"):
        read_text(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "begin", [b"PK\x03\x04\x14\x00\x06\x00", b"\xd0\xcf\x11\xe0\xa1\xb1", b"PAR1", b"\x1f\x8b\x08", b"%PDF-1.7"]
)
@pytest.mark.parametrize("rest", [b"", b"\0\1" * 40, b"A\0" * 40, bytes(range(256)), b"image,label\na.png,good\n"])
def test_what_is_no_text_is_named_in_one_clean_sentence_by_every_reader(
    begin: bytes, rest: bytes, tmp_path: Path
) -> None:
    places = {
        tmp_path / "t.csv": ("evaluate", tmp_path / "t.csv"),
        tmp_path / "judged.csv": ("agreement", tmp_path / "judged.csv"),
        tmp_path / "visa/split_csv/1cls.csv": ("evaluate", tmp_path / "visa"),
        tmp_path / "real/realiad_jsons/bolt.json": ("evaluate", tmp_path / "real"),
        tmp_path / "plan.toml": ("benchmark", tmp_path / "plan.toml"),
    }
    for path, (command, given) in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(begin + rest)
        result = CliRunner().invoke(main, [command, str(given)])
        assert result.exit_code == 1
        assert result.stderr.startswith(f"Error: {path} is no text, it is "), result.stderr
        assert result.stderr.isascii()
        assert result.stderr.count("\n") == 1


def test_control_characters_stand_in_no_table(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "image,label\na\x07.png,good\n")
    with pytest.raises(BadData, match="holds bytes that stand in no text"):
        read_csv(path, ("image",))
    assert read_csv(written(path, "image,label\na.png,good\n\x1a"), ("image",))[0]["image"] == "a.png"
