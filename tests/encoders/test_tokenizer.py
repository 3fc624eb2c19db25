from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from tests.support.checkpoints import PARITY
from tokenizers import Tokenizer

from blemish.encoders.checkpoints.tokenizer import read_tokenizer
from blemish.encoders.tokenizer import END, START, build_tokenizer, token_numbers
from blemish.errors import BadWeights

FOLDER = PARITY / "transformers_clip"
WORDS = [
    "a photo of a bottle without defect",
    "A Photo Of A DAMAGED Metal Nut!!!",
    "it's 3 parts",
    "  café \n naïve ",
    "",
]


def numbers(tokenizer: Tokenizer | None, context: int = 77) -> list[list[int]]:
    assert tokenizer is not None
    return token_numbers(tokenizer, WORDS, context)


def test_bytes_without_merges_are_numbered_as_openai_numbered_them() -> None:
    tokenizer = build_tokenizer([])
    assert tokenizer.get_vocab_size() == 514
    assert (tokenizer.token_to_id("!"), tokenizer.token_to_id("a"), tokenizer.token_to_id("!</w>")) == (0, 64, 256)
    assert token_numbers(tokenizer, ["ab!"], 77) == [[512, 64, 65 + 256, 256, 513]]


def test_every_byte_has_a_number() -> None:
    tokenizer = build_tokenizer([])
    text = "".join(chr(n) for n in range(33, 0x3000, 7)) + "😀"
    assert all(0 <= n < 512 for n in token_numbers(tokenizer, [text], 10**6)[0][1:-1])
    assert len(token_numbers(tokenizer, [text], 10**6)[0]) > len(text)


def test_merges_join_the_most_frequent_pairs_first() -> None:
    tokenizer = build_tokenizer([("h", "o"), ("l", "e</w>"), ("ho", "le</w>")])
    assert token_numbers(tokenizer, ["hole"], 77) == [[515, 514, 516]]
    assert token_numbers(tokenizer, ["hol"], 77) == [[515, 512, tokenizer.token_to_id("l</w>"), 516]]


def test_case_and_space_do_not_matter_and_digits_stand_alone() -> None:
    tokenizer = build_tokenizer([])
    same = token_numbers(tokenizer, ["A  Part\n7", "a part 7", " a part  7 "], 77)
    assert same[0] == same[1] == same[2]
    assert token_numbers(tokenizer, ["12"], 77) == token_numbers(tokenizer, ["1 2"], 77)


@pytest.mark.parametrize("context", [2, 3, 8, 77])
def test_long_text_is_cut_before_the_end_token(context: int) -> None:
    tokenizer = build_tokenizer([])
    (full,), (cut,) = (token_numbers(tokenizer, ["scratched metal"], length) for length in (77, context))
    assert cut == [*full[: min(len(full), context) - 1], 513]
    assert len(cut) <= context


def test_vocabulary_and_merges_give_the_tokenizer_of_tokenizer_json(tmp_path: Path) -> None:
    wanted = numbers(read_tokenizer(FOLDER / "tokenizer.json"))
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    assert numbers(read_tokenizer(tmp_path)) == wanted
    assert numbers(read_tokenizer(tmp_path / "merges.txt")) == wanted


@pytest.mark.parametrize("packed", [True, False])
def test_a_bare_list_of_merges_is_enough(tmp_path: Path, packed: bool) -> None:
    text = b'"bpe_simple_vocab_16e6.txt#version: 0.2\nt h\nth e</w>\n'
    path = tmp_path / ("bpe_simple_vocab_16e6.txt" + (".gz" if packed else ""))
    path.write_bytes(gzip.compress(text) if packed else text)
    tokenizer = read_tokenizer(tmp_path)
    assert tokenizer is not None
    assert token_numbers(tokenizer, ["the"], 77) == [[514, 513, 515]]


def test_padding_and_truncation_stored_in_the_file_do_not_count(tmp_path: Path) -> None:
    content = json.loads((FOLDER / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert numbers(read_tokenizer(tmp_path)) == numbers(read_tokenizer(FOLDER))


def test_a_folder_without_a_tokenizer_has_none(tmp_path: Path) -> None:
    assert read_tokenizer(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "not json"),
        ("vocab.json", '{"a": 0}'),
        ("bpe_simple_vocab_16e6.txt.gz", "not gzip"),
    ],
)
def test_a_broken_tokenizer_file_is_refused_by_name(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadWeights, match=name.replace(".", r"\.")):
        read_tokenizer(tmp_path)


def test_another_models_tokenizer_is_refused(tmp_path: Path) -> None:
    content = (FOLDER / "tokenizer.json").read_text(encoding="utf-8").replace(START, "<s>").replace(END, "</s>")
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(BadWeights, match="not CLIP's tokenizer"):
        read_tokenizer(tmp_path)
