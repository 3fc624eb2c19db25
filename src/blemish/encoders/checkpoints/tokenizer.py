"""CLIP's byte-level sub-word tokenizer, from the files that lie beside a checkpoint."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from blemish.errors import BadWeights

START, END = "<|startoftext|>", "<|endoftext|>"
FILES = ("tokenizer.json", "vocab.json", "merges.txt", "bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt")
PIECES = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
OPENAI_MERGES = 48894  # how many of the lines in OpenAI's file the published models use


def read_tokenizer(path: Path) -> Tokenizer | None:
    """The tokenizer of a folder or file: `tokenizer.json`, `vocab.json` + `merges.txt`, or OpenAI's list of merges.

    None for a folder that holds none of these; raises BadWeights for a file that is no CLIP tokenizer.
    """
    if path.is_dir():
        found = next((path / name for name in FILES if (path / name).is_file()), None)
        return read_tokenizer(found) if found else None
    try:
        return _checked(_read(path), path)
    except BadWeights:
        raise
    except Exception as error:  # the tokenizers library raises plain Exception
        raise BadWeights(f"cannot read a tokenizer from {path} ({error}): fetch the file again") from error


def _read(path: Path) -> Tokenizer:
    if path.name in ("vocab.json", "merges.txt"):
        vocabulary = json.loads((path.parent / "vocab.json").read_text(encoding="utf-8"))
        return built(_merges((path.parent / "merges.txt").read_text(encoding="utf-8")), vocabulary)
    if path.suffix == ".json":
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return built(_merges(text.decode("utf-8"))[:OPENAI_MERGES])


def _merges(text: str) -> list[tuple[str, str]]:
    """The pairs of a merges file, most frequent first; its first line names the version."""
    pairs = [line.split() for line in text.split("\n") if not line.startswith(("#version", '"bpe_simple'))]
    return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]


def _checked(tokenizer: Tokenizer, path: Path) -> Tokenizer:
    if tokenizer.token_to_id(START) is None or tokenizer.token_to_id(END) is None:
        raise BadWeights(f"{path} is not CLIP's tokenizer: it lacks {START} or {END}")
    return tokenizer


def built(merges: Sequence[tuple[str, str]], vocabulary: dict[str, int] | None = None) -> Tokenizer:
    """CLIP's tokenizer from its merges; its words, unless given, are bytes, bytes that end a word, merges, marks."""
    if vocabulary is None:
        letters = _letters()
        words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
        vocabulary = {word: number for number, word in enumerate(words)}
    model = models.BPE(vocabulary, list(merges), end_of_word_suffix="</w>", unk_token=END)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    split = pre_tokenizers.Split(Regex(PIECES), behavior="removed", invert=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    return tokenizer


def _letters() -> list[str]:
    """The printable letters that stand for the 256 bytes, in the order in which OpenAI numbered them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = len(set(range(256)) - set(plain))
    return [chr(number) for number in plain] + [chr(256 + number) for number in range(rest)]


def token_numbers(tokenizer: Tokenizer, texts: Sequence[str], context: int) -> list[list[int]]:
    """Start token, words, end token of each text, unpadded; what exceeds `context` is cut, and the end token kept."""
    start, end = (cast(int, tokenizer.token_to_id(mark)) for mark in (START, END))
    words = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    return [[start, *ids[: context - 2], end] for ids in words]
