"""A judge that does what its pictures say; it is imported by stations, so that it imports little."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BadImage, BadRecipe
from blemish.recipes.file import hash_of
from blemish.serve.judge import Content, Judge, Judgement


class Obedient:
    """Does what a picture's bytes say, in order: "sleep 0.2", "accept", "review", "reject", "unreadable", "crash"."""

    def __init__(self, name: str) -> None:
        self.hash = f"hash of {name}"
        self.good: Sequence[float] = [0.25 + number / 1000 for number in range(50)] if name == "worn" else ()

    def judge(self, content: Content, name: str) -> Judgement:
        verdict, score = "accept", 0.0
        words = content.decode(errors="ignore").split() if isinstance(content, bytes) else _words_of(content)
        for at, word in enumerate(words):
            if word == "sleep":
                time.sleep(float(words[at + 1]))
            elif word == "crash":
                os._exit(9)
            elif word == "unreadable":
                raise BadImage(f"{name} is damaged: send it again")
            elif word in ("accept", "review", "reject"):
                verdict, score = word, {"accept": 0.25, "review": 0.5, "reject": 0.75}[word]
        seconds = {"read": 0.0, "detect": 0.001}
        picture, anomaly_map = np.full((3, 2, 4), 128, np.uint8), np.zeros((2, 4), np.float32)
        return Judgement(score, verdict, [], (), (4, 2), seconds, anomaly_map, picture, (0.0, 1.0))


def _words_of(array: NDArray[Any]) -> list[str]:
    """Of what a camera saw: red is to be rejected, and black waits for a person."""
    red, bright = float(array[..., 0].mean()), float(array.max())
    return ["reject" if red > 200 else "review" if bright < 20 else "accept"]


def make_obedient(path: Path, max_pixels: int) -> Judge:
    if path.stem == "broken":
        raise BadRecipe(f"{path} is broken: make it anew")
    return Obedient(path.stem)


def make_filed(path: Path, max_pixels: int) -> Judge:
    """One that says the hash of a real recipe's file."""
    found = make_obedient(path, max_pixels)
    found.hash = hash_of(path)
    return found
