"""The files that hold a CLIP tokenizer."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tokenizers import Tokenizer

from blemish.encoders.tokenizer import END, START, build_tokenizer
from blemish.errors import BadWeights

FILES = ("tokenizer.json", "vocab.json", "merges.txt", "bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt")
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
        return build_tokenizer(_merges((path.parent / "merges.txt").read_text(encoding="utf-8")), vocabulary)
    if path.suffix == ".json":
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return build_tokenizer(_merges(text.decode("utf-8"))[:OPENAI_MERGES])


def _merges(text: str) -> list[tuple[str, str]]:
    """The pairs of a merges file, most frequent first; its first line names the version."""
    pairs = [line.split() for line in text.split("\n") if not line.startswith(("#version", '"bpe_simple'))]
    return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]


def _checked(tokenizer: Tokenizer, path: Path) -> Tokenizer:
    if tokenizer.token_to_id(START) is None or tokenizer.token_to_id(END) is None:
        raise BadWeights(f"{path} is not CLIP's tokenizer: it lacks {START} or {END}")
    return tokenizer
