"""A recipe for people and programs: what it is made of, and in what two of them differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from blemish.images import View
from blemish.notices import amount
from blemish.recipes.file import NAMES
from blemish.recipes.recipe import Recipe, TrainingSet, content_of
from blemish.recipes.tensors import arrays_of


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Everything but the values of the tensors, as plain JSON values."""
    content = content_of(recipe)
    tensors = {name: {"type": NAMES[t.dtype], "shape": list(t.shape)} for name, t in sorted(content.tensors.items())}
    return {**content.header, "hash": recipe.hash, "tensors": tensors}


def summary(recipe: Recipe) -> list[tuple[str, str]]:
    """Rows for people: what it is, and its value."""
    kinds = Counter(each.kind for each in recipe.taught)
    size = sum(array.nbytes for array in arrays_of(recipe.tensors).values())
    view = recipe.view
    rows = [
        ("hash", recipe.hash),
        ("made from", recipe.parent),
        ("created", recipe.created),
        ("by", _list(recipe.versions)),
        ("method", recipe.method),
        *((name, _plain(value)) for name, value in recipe.arguments.items()),
        *((name, f"{each.name} {each.sha256} ({recipe.precision})") for name, each in recipe.encoders.items()),
        ("region", str(view.region or "")),
        ("mask", f"{int(view.mask.sum())} of {view.mask.size} pixels" if view.mask is not None else ""),
        ("tiles", f"{view.tile} pixels, {view.overlap} shared" if view.tile else ""),
        ("scales", f"the whole too, scores of tiles count {view.balance:.3g} times" if view.balance else ""),
        ("shape", _shape(view)),
        ("white", str(view.white or "")),
        *(("trained on", _training_set(each)) for each in recipe.trained_on),
        ("taught by", _list(kinds) or ("" if recipe.trained_on else "words alone")),
        ("tensors", f"{size / 2**20:.1f} MiB"),
        *_deployed(recipe),
        *_names(recipe),
        ("verdicts", _verdicts(recipe)),
    ]
    return [row for row in rows if row[1]]


def _deployed(recipe: Recipe) -> list[tuple[str, str]]:
    """How its graph is run, and how it differs from the recipe that it was exported from."""
    if (found := recipe.deployed) is None:
        return []
    height, width = found.size
    check = {name: value for name, value in found.check.items() if value is not None}
    shares = ", ".join(f"{name}s by {check[name]:.1e}" for name in ("score", "map") if name in check)
    flips = f"; verdicts flipped: {check['verdicts']:.0f}" if "verdicts" in check else ""
    compared = f"{amount(int(check['pictures']), 'picture')} differ in {shares}{flips}" if "pictures" in check else ""
    return [("deployed", f"{found.precision} by {found.backend}, {width} x {height}"), ("compared", compared)]


def _verdicts(recipe: Recipe) -> str:
    """Nothing of one that only names whole pictures."""
    if not recipe.method:
        return ""
    found = recipe.calibration
    return f"accept below {found.accept:.6g}, reject from {found.reject:.6g}" if found else "not calibrated"


def differences(one: Recipe, other: Recipe) -> list[tuple[str, str, str]]:
    """What differs: (what, in one, in the other), "" where it is missing; nothing if only when they were made."""
    left, right = (_leaves(recipe) for recipe in (one, other))
    found = [(what, left.get(what, ""), right.get(what, "")) for what in {**left, **right}]
    found += [(f"tensor {name}", before, after) for name, before, after in _tensor_differences(one, other)]
    different = [row for row in found if row[1] != row[2]]
    return different if {what for what, _, _ in different} - {"hash", "created"} else []


def _leaves(recipe: Recipe) -> dict[str, str]:
    header = dict(content_of(recipe).header)
    taught, verdicts = header.pop("taught"), header.pop("calibration")
    nested = {name: header.pop(name, {}) for name in ("arguments", "view", "versions", "deployed")}
    encoders, _ = header.pop("encoders"), header.pop("trained_on")
    header.pop("names", None)
    flat = {"hash": recipe.hash} | {name: str(value) for name, value in header.items()} | _leaves_of_names(recipe)
    flat |= {name: f"{each['name']} {each['sha256']}" for name, each in encoders.items()}
    flat |= {f"{name} {key}": json.dumps(value) for name, values in nested.items() for key, value in values.items()}
    flat |= {f"trained on {at}": _training_set(each) for at, each in enumerate(recipe.trained_on, start=1)}
    flat |= {f"calibration {key}": json.dumps(value)[:80] for key, value in (verdicts or {}).items()}
    return flat | {f"picture {sha256[:12]}": f"{kind}: {name}" for sha256, name, kind in taught}


def _leaves_of_names(recipe: Recipe) -> dict[str, str]:
    """How it names defects, a line for each type and number that may differ."""
    if (names := recipe.names) is None:
        return {}
    found = {"types of defects": ", ".join(names.known), "classifier": f"{names.classifier}, of {names.of}"}
    found |= {f"classifier {key}": json.dumps(value) for key, value in names.arguments.items()}
    found |= {f"words of {each.name}": "; ".join(each.words) for each in names.types if each.words}
    found |= {f"severity of {name}": str(each) for name, each in names.severities().items()}
    sure = {key: value for key, value in names.sureness._asdict().items() if value is not None}
    most = zip(names.known, sure.pop("most"), strict=False)
    found |= {f"highest probability of {name}": f"{value:.6g}" for name, value in most}
    return found | {f"sureness {key}": f"{value:.6g}" for key, value in sure.items()}


def _tensor_differences(one: Recipe, other: Recipe) -> Iterator[tuple[str, str, str]]:
    left, right = content_of(one).tensors, content_of(other).tensors
    for name in sorted({*left, *right}):
        a, b = left.get(name), right.get(name)
        shapes = ["" if each is None else str(list(each.shape)) for each in (a, b)]
        same = a is not None and b is not None and a.dtype == b.dtype and a.tobytes() == b.tobytes()
        yield name, shapes[0], shapes[1] if same or shapes[0] != shapes[1] else f"{shapes[1]}, other values"


def _names(recipe: Recipe) -> list[tuple[str, str]]:
    """How it names defects, and what follows from a type."""
    if recipe.names is None:
        return []
    names, sure = recipe.names, recipe.names.sureness
    by = "words" if names.classifier == "words" else f"{names.classifier}, by examples"
    shown = f"{', '.join(names.known)} ({by})"
    share = f"{100 * sure.coverage:g} % of sets of types hold the right one"
    severe = [("severity", f"{name}: {each}") for name, each in names.severities().items()]
    return [("types of defects", shown), ("names", share if sure.coverage else "not known how sure"), *severe]


def _training_set(found: TrainingSet) -> str:
    if not found.good + found.defects:
        return f"{found.name}: weights of the method's authors (sha256 {found.sha256})"
    return f"{found.name}: {amount(found.good, 'good part')}, {amount(found.defects, 'defect')} (list {found.sha256})"


def _list(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _shape(view: View) -> str:
    """Of what is seen whole, where that is no square."""
    if view.keep_aspect:
        return "kept"
    return f"{view.aspect:.3g} times as wide as high" if view.aspect else ""


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
