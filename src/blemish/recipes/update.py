"""Teaching a recipe: an old recipe and some pictures -> a new recipe, without learning the rest again.

What is promised of `forget`: pictures taught last leave every score as it was before them, bit for bit. Pictures
further back leave what there would be had they never been taught, also bit for bit, with three exceptions. Of a coreset
(patchcore) only their own rows go: rows of others that they stood for do not come back. After a bank was full, rows
that made room come back only for the pictures that came last then. Sums that were merged to save memory (padim,
subspace-ad) keep what they were taught, and forgetting one of those pictures is refused.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from blemish import catalog, encoders
from blemish.encoders.checkpoints.names import is_published
from blemish.errors import BadImage, BadInput
from blemish.files import sha256_of, write
from blemish.fitting import Watch, unwatched
from blemish.images import decode, keyed_batches
from blemish.inspection import WHOLE, Unreadable, View, prepare
from blemish.recipes import defect_examples, known_defects, provenance
from blemish.recipes import file as recipe_file
from blemish.recipes.provenance import Choosing, Groups, Knowledge, Merging, Pupil
from blemish.recipes.recipe import (
    STATE,
    Recipe,
    Taught,
    arguments_of,
    bare,
    encoder_of,
    fitting,
    learned,
    load,
    stamped,
)
from blemish.types import GOOD, Detector, Encoder, Geometry, Learner

BUDGET = 512.0
"""MiB of rows that teaching lets a recipe grow to unless another budget is stated."""

FIRST_SAMPLE, LATER_SAMPLE = 64, 4
"""About how many good parts are also looked at for contrast with defects: of the first ones, of each later lot."""


class Reading(NamedTuple):
    """How pictures are read while teaching."""

    batch_size: int = 8
    watch: Watch = unwatched
    unreadable: list[Unreadable] | None = None  # what cannot be read is added here, or raised without it


PLAIN = Reading()


def freeze(
    method: str,
    encoder: str | Encoder,
    *,
    product: str = "object",
    defects: Sequence[str] = (),
    good: Sequence[Path] = (),
    arguments: Mapping[str, Any] | None = None,
    view: View = WHOLE,
    budget: float | None = None,
    reading: Reading = PLAIN,
) -> Recipe:
    """A first recipe: a method and what it learns from good parts, if there are any.

    `budget` in MiB bounds the rows that are kept; left out, all are that the method itself would keep.
    """
    found, given = encoders.load(encoder), dict(arguments or {})
    product, defects = given.pop("product", product), given.pop("defects", defects)
    recipe = Recipe(
        method=method,
        arguments=json.loads(json.dumps(given)),
        encoder=_place(found),
        encoder_sha256=found.sha256,
        product=product,
        defects=tuple(defects),
        precision=_precision(found),
        view=view,
    )
    detector = catalog.detector(method, found, arguments_of(recipe))
    if defects and not hasattr(detector, "defects"):
        raise BadInput(f"{method} reads no names of defects: leave them out, or choose tab")
    if not good and catalog.card(method).normal == "required":
        raise BadInput(f"{method} learns from good parts: give it some, or choose a method that needs none (winclip)")
    if not good:
        return stamped(dataclasses.replace(recipe, tensors=_state(detector)))
    if not isinstance(detector, Pupil):
        return stamped(_fitted(recipe, cast(Learner, detector), good, reading))
    return stamped(_taught_more(recipe, detector, found, good, budget or float("inf"), reading))


def freeze_detector(
    detector: Detector, method: str, *, arguments: Mapping[str, Any], taught: Sequence[Taught] = (), view: View = WHOLE
) -> Recipe:
    """A recipe of a detector as it is, trained or not; nothing is learned.

    `arguments` are those it was made with, beside its encoder, and `taught` the pictures that taught it.
    """
    found, given = cast(Encoder, cast(Any, detector).encoder), json.loads(json.dumps(dict(arguments)))
    product, defects = given.pop("product", "object"), given.pop("defects", ())
    return stamped(
        Recipe(
            method=method,
            arguments=given,
            encoder=_place(found),
            encoder_sha256=found.sha256,
            product=product,
            defects=tuple(defects),
            precision=_precision(found),
            view=view,
            tensors=_state(detector),
            taught=tuple(taught),
        )
    )


def add_good(
    recipe: Recipe,
    paths: Sequence[Path],
    *,
    encoder: str | Encoder | None = None,
    budget: float | None = None,
    reading: Reading = PLAIN,
) -> Recipe:
    """The recipe with more good parts; pictures it knows already are passed over.

    `budget` in MiB bounds the rows that are kept; left out, `BUDGET`, or what they take already if that is more.
    """
    found = encoder_of(recipe, encoder)
    pupil = _pupil(recipe, found)
    limit = max(BUDGET, _known(recipe, pupil).bytes / 2**20) if budget is None else budget
    return stamped(_taught_more(recipe, pupil, found, paths, limit, reading), recipe.hash)


def add_defects(
    recipe: Recipe,
    kind: str,
    paths: Sequence[Path],
    *,
    masks: Mapping[Path, Path] | None = None,
    encoder: str | Encoder | None = None,
    reading: Reading = PLAIN,
) -> Recipe:
    """The recipe with defects of a type shown to it: what resembles them scores higher from now on.

    A mask, white on the defect and as large as its picture, says where it is; without one the patches count that the
    detector itself finds most anomalous.
    """
    if not kind.strip() or kind == GOOD:
        raise BadInput(f"{kind!r} is no type of defect: give it a name such as 'scratch'")
    found = encoder_of(recipe, encoder)
    detector = bare(recipe, found)
    tensors, taught, seen = dict(recipe.tensors), list(recipe.taught), {each.sha256: each for each in recipe.taught}
    advance = reading.watch(f"looking at {kind}", len(paths))
    for path, prepared in decode(paths, lambda path: prepare(path, detector.geometry, recipe.view)):
        advance()
        if isinstance(prepared, BadImage):
            _refused(path, prepared, reading)
            continue
        picture = Taught(sha256_of(path), path.name, kind)
        if (before := seen.get(picture.sha256, picture)).kind != kind:
            raise BadInput(f"{path} is known as {before.kind}, by the id {before.id}: forget it first")
        if picture.sha256 not in seen:
            example = defect_examples.example(detector, found, path, prepared, recipe.view, (masks or {}).get(path))
            tensors = defect_examples.with_example(tensors, example, known_defects.number(picture.id))
            taught.append(picture)
            seen[picture.sha256] = picture
    if len(taught) == len(recipe.taught):
        raise BadInput("there is nothing new to teach: the recipe knows all of these pictures")
    if not len(tensors[known_defects.GOOD_ROWS]):
        raise BadInput("the masks leave nothing good to compare with: teach some good parts first, or mark less")
    return stamped(_changed(recipe, tensors, taught), recipe.hash)


def forget(recipe: Recipe, ids: Iterable[str], *, encoder: str | Encoder | None = None) -> Recipe:
    """The recipe without what these pictures taught it; see above for what comes back."""
    wanted = set(ids)
    gone = [each for each in recipe.taught if wanted & {each.id, each.sha256}]
    if unknown := sorted(wanted - {each.id for each in gone} - {each.sha256 for each in gone}):
        raise BadInput(
            f"no picture with the id {', '.join(unknown)} has taught {recipe.source}: see `blemish recipe show`"
        )
    left = [each for each in recipe.taught if each not in gone]
    tensors = defect_examples.without(recipe.tensors, {known_defects.number(each.id) for each in gone})
    if parts := [each for each in gone if each.kind == GOOD]:
        if not any(each.kind == GOOD for each in left) and catalog.card(recipe.method).normal == "required":
            raise BadInput(f"{recipe.source} would know no good part at all: freeze a new one instead")
        pupil = _pupil(recipe, encoder_of(recipe, encoder))
        known = _known(recipe, pupil)
        numbers = {known_defects.number(each.id) for each in parts}
        if isinstance(pupil, Merging) and not numbers <= known.pictures:
            raise BadInput(
                "what those pictures taught was merged to save memory and stays: freeze a new recipe instead"
            )
        known = provenance.without(known, numbers)
        provenance.teach(pupil, known.groups)
        tensors = _others(tensors) | _state(pupil) | provenance.kept(known)
    return stamped(_changed(recipe, tensors, left), recipe.hash)


def undo(path: str | Path) -> Recipe:
    """Put the exact file back that this one was made from; what is undone is kept as well, under its hash."""
    path = Path(path)
    recipe = load(path)
    if not recipe.parent:
        raise BadInput(f"{path} was not made from another recipe: there is nothing to undo")
    former = recipe_file.history(path) / f"{recipe.parent}.blemish"
    if not former.exists():
        raise BadInput(f"{path} was made from {recipe.parent[:12]}, and {former} is gone: look for it in a backup")
    found = load(former)
    if found.hash != recipe.parent:
        raise BadInput(f"{former} is not the recipe that {path} was made from: look for it in a backup")
    recipe_file.keep(path, recipe.hash, recipe_file.history(path))
    write(path, former.read_bytes())
    return dataclasses.replace(found, source=str(path))


def _taught_more(
    recipe: Recipe, pupil: Pupil, encoder: Encoder, paths: Sequence[Path], budget: float, reading: Reading
) -> Recipe:
    before = _known(recipe, pupil)
    count = len(paths) + sum(each.kind == GOOD for each in recipe.taught)
    if getattr(pupil, "few", count) < count:
        cast(Any, pupil).few = 0  # parts are turned only while all of them are few
    every = max(1, len(paths) // (LATER_SAMPLE if recipe.taught else FIRST_SAMPLE))
    batches: list[Groups] = []
    contrast: list[tuple[Tensor, Tensor]] = []
    taught: dict[str, Taught] = {}
    for pictures, images in _parts(recipe, paths, pupil.geometry, reading):
        numbers = [known_defects.number(each.id) for each in pictures]
        batches.append(provenance.studied(pupil.study(images), numbers))
        taught |= {each.sha256: each for each in pictures}
        drawn = [at for at, each in enumerate(numbers) if each % every == 0]
        contrast += defect_examples.contrast(encoder, images[drawn], [numbers[at] for at in drawn])
    if not batches:
        raise BadInput("there is nothing new to teach: no picture can be read that the recipe does not know")
    new = provenance.joined(batches)
    if isinstance(pupil, Choosing):
        new = provenance.chosen(new, [pupil.choose(group.tensors[0]) for group in new])
    after = _within(provenance.added(before, new), before, pupil, budget)
    tensors = defect_examples.with_contrast(_others(recipe.tensors), contrast) | _state(pupil) | provenance.kept(after)
    return _changed(recipe, tensors, (*recipe.taught, *taught.values()))


def _within(joined: Knowledge, before: Knowledge, pupil: Pupil, budget: float) -> Knowledge:
    """What the pupil has learned then, in `budget` MiB."""
    limit = int(min(budget * 2**20, 1 << 62))
    if isinstance(pupil, Merging):
        provenance.teach(pupil, joined.groups)
        return provenance.merged(joined, before, pupil, limit)
    after = provenance.covered(joined, before, limit)
    provenance.teach(pupil, after.groups)
    return after


def _parts(
    recipe: Recipe, paths: Sequence[Path], geometry: Geometry, reading: Reading
) -> Iterator[tuple[list[Taught], Tensor]]:
    """Batches of pictures that the recipe does not know, each of them once, and which picture each input is of."""
    seen = {each.sha256: each for each in recipe.taught}
    advance = reading.watch("learning from good parts", len(paths))

    def inputs() -> Iterator[tuple[Taught, Tensor]]:
        for path, prepared in decode(paths, lambda path: prepare(path, geometry, recipe.view)):
            advance()
            if isinstance(prepared, BadImage):
                _refused(path, prepared, reading)
                continue
            picture = Taught(sha256_of(path), path.name)
            if (before := seen.get(picture.sha256)) is None:
                seen[picture.sha256] = picture
                yield from ((picture, image) for image in prepared.inputs)
            elif before.kind != GOOD:
                raise BadInput(f"{path} is known as {before.kind}, by the id {before.id}: forget it first")

    return keyed_batches(inputs(), reading.batch_size)


def _fitted(recipe: Recipe, learner: Learner, good: Sequence[Path], reading: Reading) -> Recipe:
    """What a method learned that learns all at once."""
    taught: dict[str, Taught] = {}

    def batches() -> Iterator[Tensor]:
        for pictures, images in _parts(recipe, good, learner.geometry, reading):
            taught.update({each.sha256: each for each in pictures})
            yield images

    return _changed(recipe, _state(learner.fit(batches())), list(taught.values()))


def _pupil(recipe: Recipe, encoder: Encoder) -> Pupil:
    detector = bare(recipe, encoder)
    if not isinstance(detector, Pupil):
        raise BadInput(f"{recipe.method} learns all its good parts at once: freeze a new recipe with the right ones")
    return detector


def _known(recipe: Recipe, pupil: Pupil) -> Knowledge:
    with fitting(recipe):
        return provenance.known(pupil, recipe.tensors)


def _changed(recipe: Recipe, tensors: Mapping[str, Tensor], taught: Sequence[Taught]) -> Recipe:
    """The recipe with those; what was calibrated holds for it no longer."""
    return dataclasses.replace(
        recipe, tensors=defect_examples.with_margin(tensors), taught=tuple(taught), calibration=None
    )


def _state(detector: Detector) -> dict[str, Tensor]:
    return {STATE + name: tensor.clone() for name, tensor in learned(detector).items()}


def _others(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a recipe's tensors hold beside what its detector has learned."""
    own = (STATE, *(f"{name}." for name in (provenance.ORIGIN, provenance.FORMER)), provenance.RADII)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(own)}


def _refused(path: Path, error: BadImage, reading: Reading) -> None:
    if reading.unreadable is None:
        raise error
    reading.unreadable.append(Unreadable(str(path), str(error)))


def _place(encoder: Encoder) -> str:
    """The encoder's name, or where its file lies however the command was called."""
    path = Path(encoder.name).expanduser()
    return encoder.name if is_published(encoder.name) or not path.exists() else str(path.resolve())


def _precision(encoder: Encoder) -> str:
    """What `load` was asked for, or chose."""
    parameters = encoder.parameters() if isinstance(encoder, nn.Module) else ()
    return "bfloat16" if any(each.dtype == torch.bfloat16 for each in parameters) else "float32"
