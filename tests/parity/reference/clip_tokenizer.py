"""A small byte-level BPE vocabulary in CLIP's format, and how two libraries read sentences with it."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import open_clip  # type: ignore[import-not-found]
import transformers  # type: ignore[import-not-found]
from tokenizers import pre_tokenizers

WORDS = """a photo of a bottle without defect; a photo of a damaged metal nut; a close-up photo of the leather with a
scratch; a cropped photo of a tile with a crack; a bright photo of flawless wood; a dark photo of a broken capsule; a
blurry photo of the perfect cable; a jpeg corrupted photo of a screw with a bent thread; there is a hole in the carpet;
this zipper has broken teeth; a macro photo of the grid with contamination; the surface is unblemished; a black and
white photo of a pill with a colour stain; a photo of one toothbrush for visual inspection; the part wasn't painted;
it's a good fuse"""
SENTENCES = (
    "a photo of a bottle without defect",
    "A Photo Of A DAMAGED Metal Nut!!!",
    "it's the part's 3rd scratch, isn't it?",
    "caf\u00e9 na\u00efve cafe\u0301 \u00fcber stra\u00dfe \u00c5",
    "lot 20261122-A/7: 99.5% ok (n=12)",
    "  spaces \t tabs \n and   lines  ",
    "crack \U0001f527\U0001f529 \u2714\ufe0f on tile",
    "a cropped photo of a tile with a crack and " * 4,
    "",
    "<|startoftext|>hole<|endoftext|> in the carpet",
    "\u5b54\u306e\u3042\u308b\u30bf\u30a4\u30eb \u043f\u0440\u0438\u0432\u0435\u0442",
    "rust &amp; dirt &lt;5mm \u00a0 dash\u2014dash \u201cquoted\u201d it\u2019s",
)
CONTEXT = 24
MERGES = 120


def learned_merges(text: str, count: int) -> list[tuple[str, str]]:
    """The `count` most frequent joins, greedily, ties by spelling."""
    words = [[*word[:-1], word[-1] + "</w>"] for word in text.replace(";", " ").split()]
    merges: list[tuple[str, str]] = []
    for _ in range(count):
        pairs = Counter(pair for word in words for pair in pairwise(word))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = [joined(word, best) for word in words]
    return merges


def joined(word: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in word:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


def write_tokenizer(folder: Path) -> Any:
    """vocab.json, merges.txt and what CLIPTokenizer saves (tokenizer.json, tokenizer_config.json)."""
    merges = learned_merges(WORDS, MERGES)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())  # also the order of the bytes in CLIP's own vocabulary
    pieces = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges)]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8")
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CONTEXT)
    tokenizer.save_pretrained(folder)
    return tokenizer


def open_clip_ids(folder: Path) -> list[list[int]]:
    """The same sentences and merges through open_clip's tokenizer, which repairs and unescapes text first."""
    archive = folder / "merges.gz"
    archive.write_bytes(gzip.compress((folder / "merges.txt").read_bytes()))
    tokenizer = open_clip.SimpleTokenizer(str(archive), context_length=CONTEXT)
    archive.unlink()
    return [[int(number) for number in row] for row in tokenizer(list(SENTENCES))]
