"""From a name or path to a module that is ready to use: find, read, recognise, build, fill."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from blemish.encoders import DEFAULT, TINY
from blemish.encoders.checkpoints.archive import is_scripted
from blemish.encoders.checkpoints.building import Loaded, build_encoder, library, load_tensors
from blemish.encoders.checkpoints.hints import Hints, hints
from blemish.encoders.checkpoints.hub import PREFIX, PUBLISHED_VOCABULARY, download, published_tokenizer, weights_file
from blemish.encoders.checkpoints.names import Published, find_archive, find_row, is_published
from blemish.encoders.checkpoints.tokenizer import read_tokenizer
from blemish.encoders.checkpoints.weights import SUFFIXES, read
from blemish.encoders.clip import CLIP
from blemish.encoders.cnn import Tower
from blemish.encoders.config import STATISTICS, Activation, Normalization, Resize
from blemish.encoders.embedded import MODEL
from blemish.encoders.embedded.description import ABOUT, build_network
from blemish.encoders.embedded.network import Embedded
from blemish.encoders.tiny import tiny
from blemish.encoders.transformer import Block
from blemish.errors import BadInput, BadWeights


@dataclass(frozen=True, slots=True)
class Choices:
    """What the caller states about a checkpoint; None leaves it to the files."""

    heads: int | None = None
    activation: Activation | None = None
    normalization: Normalization | None = None
    resize: Resize | None = None
    tokenizer: str | Path | None = None


def load_encoder(name_or_path: str | Path, choices: Choices, *, precision: str, device: str | torch.device) -> Loaded:
    """See `blemish.encoders.load`."""
    if precision not in ("auto", "float32", "bfloat16"):
        raise BadInput(f"unknown precision {precision!r}: choose auto, float32 or bfloat16")
    if str(name_or_path) == TINY:
        encoder: Loaded = tiny()
        precision = "float32" if precision == "auto" else precision
    else:
        file, row = (MODEL, None) if str(name_or_path) == DEFAULT else _find(name_or_path)
        encoder = _from_file(file, row, choices)
        encoder.name = str(name_or_path)
    _cast(encoder, precision, torch.device(device))
    return encoder.requires_grad_(False).eval().to(device)


def _find(name_or_path: str | Path) -> tuple[Path, Published | None]:
    """The checkpoint's file, and its row for a name of the table."""
    name = str(name_or_path)
    if name.startswith(PREFIX):
        return download(name.removeprefix(PREFIX)), None
    path = Path(name).expanduser()
    if isinstance(name_or_path, Path) or path.is_absolute() or name.startswith(".") or name.endswith(SUFFIXES):
        return weights_file(path), None
    if not is_published(name) and path.exists():
        return weights_file(path), None
    row = find_row(name)
    return download(row.repository, (row.file,)), row


def _from_file(file: Path, row: Published | None, choices: Choices) -> Loaded:
    tensors = read(file)
    digest = _checked_digest(file)
    if ABOUT in tensors:
        ours = load_tensors(*build_network(tensors, str(file)), str(file))
        ours.sha256 = digest
        return ours
    facts = _facts(file, row, choices, found=hints(file.parent, library(tensors, str(file))))
    encoder = build_encoder(tensors, facts, str(file))
    encoder.sha256 = digest
    if isinstance(encoder, CLIP):
        beside = Path(choices.tokenizer).expanduser() if choices.tokenizer else file.parent
        if choices.tokenizer and not beside.exists():
            raise BadWeights(f"there is no tokenizer {beside}: give the path of tokenizer.json")
        shared = published_tokenizer if encoder.text.config.vocabulary == PUBLISHED_VOCABULARY else None
        encoder.use(read_tokenizer(beside) or shared)
    return encoder


def _checked_digest(file: Path) -> str:
    """sha256 of the file; raises BadWeights where a published sum says otherwise."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    row = find_archive(file.name) if is_scripted(file) else None
    blob = file.resolve().name  # the hub's cache calls files by their sum
    stated = row.sha256 if row else blob if re.fullmatch(r"[0-9a-f]{64}", blob) else digest
    if stated != digest:
        raise BadWeights(
            f"{file} has sha256 {digest}, published is {stated}: it is damaged or not the original, download it again"
        )
    return digest


def _facts(file: Path, row: Published | None, choices: Choices, *, found: Hints) -> Hints:
    """Hints from the files beside the checkpoint, overruled by the table and by what the caller states."""
    stem = file.stem.lower()
    quick = (row is not None and row.quick_gelu) or is_scripted(file)
    if found.vision.activation is None:
        quick = quick or "quickgelu" in stem or "openai" in stem
    activation = choices.activation or ("quick_gelu" if quick else None)
    vision = replace(
        found.vision, activation=activation or found.vision.activation, heads=choices.heads or found.vision.heads
    )
    text = replace(found.text, activation=activation or found.text.activation)
    statistics = STATISTICS[choices.normalization] if choices.normalization else found.statistics
    return replace(found, vision=vision, text=text, statistics=statistics, resize=choices.resize or found.resize)


def _cast(encoder: Loaded, precision: str, device: torch.device) -> None:
    """Matrices of transformer blocks in the precision asked for, tokens between them stay float32; and convolutions.

    Those of networks lie in memory as their inputs do, channels last: otherwise each call would copy them.
    """
    known = _bfloat16_units() if (device.type, precision) == ("cpu", "auto") else set()
    asked, every = precision == "bfloat16" or (precision == "auto" and device.type == "cuda"), list(encoder.modules())
    chosen = list[nn.Module]()
    if asked or "amx" in known or {"avx512", "amd"} <= known:
        blocks = (module for module in every if isinstance(module, Block))
        chosen += [matrix for block in blocks for matrix in (block.qkv, block.out, block.fc1, block.fc2)]
    networks: list[Any] = [
        module for module in every if isinstance(module, Tower | Embedded)
    ]  # torch leaves `to` untyped
    if asked or "amx" in known:
        chosen += [each for network in networks for each in network.modules() if isinstance(each, nn.Conv2d)]
    for network in networks:
        network.to(memory_format=torch.channels_last)
    for module in chosen:
        module.to(torch.bfloat16)


def _bfloat16_units() -> set[str]:
    """What multiplies matrices of bfloat16 here: "amx", "avx512", and "amd" where that is by AMD, which gains by it."""
    if hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities()
        text = " ".join([*(name for name in known if known[name] is True), str(known.get("cpu_name"))])
    else:  # before torch 2.12
        flags = Path("/proc/cpuinfo")
        text = flags.read_text(encoding="ascii", errors="ignore") if flags.is_file() else ""
    return {unit for unit, mark in (("amx", "amx_bf16"), ("avx512", "avx512_bf16"), ("amd", "AMD")) if mark in text}
