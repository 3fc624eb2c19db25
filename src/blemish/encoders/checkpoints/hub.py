"""Checkpoints and tokenizers by name, through the hub's client: from its cache, else over the network with progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from blemish.encoders.checkpoints.tokenizer import FILES, read_tokenizer
from blemish.encoders.checkpoints.weights import SUFFIXES
from blemish.errors import BadWeights

PREFIX = "hf-hub:"
FOLDER_ORDER = (
    "open_clip_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
BESIDE = ("open_clip_config.json", "config.json", "preprocessor_config.json", *FILES[:3])
TOKENIZER_REPOSITORY = "openai/clip-vit-base-patch32"
PUBLISHED_VOCABULARY = 49408
"""Tokens of a model that was trained with that tokenizer."""


def download(repository: str, files: Sequence[str] = FOLDER_ORDER) -> Path:
    """The first of `files` that the repository has, with the small ones it needs beside it; BadWeights offline."""
    from huggingface_hub import snapshot_download  # slow to import, and most loads are of local files

    for file in files:
        try:
            folder = Path(snapshot_download(repository, allow_patterns=[file, *BESIDE]))
        except Exception as error:  # the client raises those of two HTTP libraries, by version
            raise BadWeights(
                f"cannot fetch {repository} from huggingface.co ({_reason(error)}). Where there is a network, "
                f"download {file} and the .json files from https://huggingface.co/{repository} into one folder, and "
                "give the folder's path instead of the name"
            ) from error
        if (folder / file).is_file():
            return folder / file
    raise BadWeights(
        f"https://huggingface.co/{repository} has none of {', '.join(files)}: give the path of a downloaded file"
    )


def published_tokenizer() -> Tokenizer:
    """The tokenizer all of CLIP's published models share, from the hub; raises BadWeights offline."""
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(TOKENIZER_REPOSITORY, "tokenizer.json")
    except Exception as error:  # as above
        raise BadWeights(
            f"no tokenizer lies beside the checkpoint and none can be fetched from huggingface.co ({_reason(error)}). "
            f"Put tokenizer.json of https://huggingface.co/{TOKENIZER_REPOSITORY} or OpenAI's "
            "bpe_simple_vocab_16e6.txt.gz beside the checkpoint, or pass its path as load(..., tokenizer=)"
        ) from error
    tokenizer = read_tokenizer(Path(path))
    assert tokenizer is not None  # a file, not a folder
    return tokenizer


def _reason(error: Exception) -> str:
    """The first line of what went wrong, or its kind."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def weights_file(path: Path) -> Path:
    """The checkpoint that a local path means: the file itself, or the one that a folder holds."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise BadWeights(f"there is no file or folder {path}: check the path, or download the checkpoint to it")
    known = [path / name for name in FOLDER_ORDER if (path / name).is_file()]
    found = known or sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not known and len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise BadWeights(f"{path} should hold one checkpoint and has {names}: give the path of the file")
    return found[0]
