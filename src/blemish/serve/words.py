"""What pages say, in every language, from one catalogue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from fastapi import Request

from blemish.calibration.guarantees import Sentence

LANGUAGES = {"en": "English", "de": "Deutsch", "zh": "中文"}
LANGUAGE_COOKIE = "language"


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Words of the pages, by language; those in braces stand for others."""
    found: Mapping[str, Mapping[str, str]] = json.loads(resource("words.json"))
    return found


def language_of(request: Request) -> str:
    """What was chosen, or else what the browser asks for."""
    asked = request.headers.get("accept-language", "")
    wishes = [request.query_params.get("language", ""), request.cookies.get(LANGUAGE_COOKIE, "")]
    wishes += [each.partition(";")[0].strip()[:2].lower() for each in asked[:200].split(",")]
    return next((each for each in wishes if each in LANGUAGES), "en")


def spell_sentence(sentence: Sentence, language: str) -> str:
    """What a calibration promises, in a language."""
    return catalogue()[language][f"promise: {sentence.key}"].format(**sentence.values)


def resource(name: str) -> str:
    """A file of the pages."""
    return (files("blemish.serve") / "page" / name).read_text(encoding="utf-8")
