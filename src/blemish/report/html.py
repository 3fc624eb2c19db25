"""The page's template and what is put into it, so that no name or label can break out of its place."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

SCRIPTS = (
    *("numbers", "data", "thresholds", "decision", "histogram"),
    *("gallery", "stage", "viewer"),
    *("charts", "measures", "naming", "types", "about", "main"),
)
"""In the order in which the browser reads them, as one script."""


def head_and_tail(title: str) -> tuple[str, str]:
    """The page before its data and after it.

    A content policy allows this one script, this one style and pictures inside the file, and nothing else: whatever
    would be injected could neither run nor load.
    """
    style, script = _resource("page.css"), join_scripts(SCRIPTS)
    head, _, tail = _resource("page.html").partition("<!--data-->")
    places = {
        "{{title}}": html.escape(title.encode("utf-8", "replace").decode("utf-8")),
        "{{style-hash}}": _hash(style),
        "{{script-hash}}": _hash(script),
        "/*style*/": style,
    }
    for place, text in places.items():
        head = head.replace(place, text, 1)
    return head, tail.replace("/*script*/", script, 1)


def join_scripts(names: Iterable[str]) -> str:
    """Some of `SCRIPTS` as one script; its first must be "numbers"."""
    return "\n".join(_resource(f"{name}.js") for name in names)


def data_block(name: str, values: Any) -> str:
    """Values for `JSON.parse`, in an element that is not shown."""
    return f'<script type="application/json" id="{name}">{plain_json(values)}</script>\n'


def text_block(name: str, lines: Iterable[str]) -> Iterable[str]:
    """Lines of base64 and JSON in an element that is not shown."""
    yield f'<script type="text/plain" id="{name}">'
    for number, line in enumerate(lines):
        yield ("\n" if number else "") + line
    yield "</script>\n"


def plain_json(values: Any) -> str:
    """JSON in ASCII without "<": neither a tag nor a comment can begin or end in it."""
    return json.dumps(values, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def base64_text(data: bytes) -> str:
    """As base64."""
    return base64.b64encode(data).decode("ascii")


def readable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in their order, without those that say nothing."""
    return {name: value for name, value in settings.items() if value not in (None, "", [], {})}


def _resource(name: str) -> str:
    return files("blemish.report").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64_text(sha256(text.encode("utf-8")).digest())
