"""CLIP's byte-level sub-word tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

START, END = "<|startoftext|>", "<|endoftext|>"
PIECES = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def build_tokenizer(merges: Sequence[tuple[str, str]], vocabulary: dict[str, int] | None = None) -> Tokenizer:
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
