"""Teaching a recipe: an old recipe and some pictures -> a new recipe, without learning the rest again.

What is promised of `forget`: pictures taught last leave every score as it was before them, bit for bit. Pictures
further back leave what there would be had they never been taught, also bit for bit as far as the encoder gives the same
bits in another batch, with four exceptions. Of a coreset (patchcore) only their own rows go: rows of others that they
stood for do not come back. After a bank was full, rows that made room come back only for the pictures that came last
then. Sums that were added up to save memory (padim, subspace-ad) keep what they were taught, and so do parameters that
were trained; forgetting one of those pictures is refused. Whether parts are learned in other views as well (a method's
`few`) is decided by those that a recipe is taught first and stays: it is as if it had been taught the others with that
decision.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from blemish import catalog, encoders
from blemish.encoders.checkpoints.names import is_published
from blemish.errors import BadInput
from blemish.files import sha256_of
from blemish.fitting import balance_scales, extract_all, good_parts, require_method
from blemish.images import WHOLE, View, keep_readable
from blemish.inspection import Prepared, stream
from blemish.recipes import defect_examples, known_defects, provenance
from blemish.recipes.detectors import (
    bare_detector,
    encoders_in,
    encoders_of,
    fresh_detector,
    misfits,
    precision_of,
    state_of,
)
from blemish.recipes.examples_kept import SEEN
from blemish.recipes.naming import without_names
from blemish.recipes.provenance import Groups, Memory
from blemish.recipes.published import load_weights
from blemish.recipes.reading import PLAIN, Reading
from blemish.recipes.recipe import ENCODER, STATE, Place, Recipe, Reference, Taught, TrainingSet, stamp
from blemish.recipes.types_taught import Shown, forget_names, teach_names
from blemish.types import GOOD, Batch, Detector, Encoder, Learner

BUDGET = 512.0
"""MiB of rows that teaching lets a recipe grow to unless another budget is stated."""

FIRST_SAMPLE, LATER_SAMPLE = 64, 4
"""About how many good parts are also looked at for contrast with defects: of the first ones, of each later lot."""


def freeze(
    method: str,
    encoder: str | Encoder,
    *,
    good: Sequence[Path] = (),
    arguments: Mapping[str, Any] | None = None,
    view: View = WHOLE,
    budget: float | None = None,
    reading: Reading = PLAIN,
    weights: Path | None = None,
) -> Recipe:
    """A first recipe: a method and what it learns from good parts, if there are any.

    `budget` in MiB bounds the rows that are kept; left out, all are that the method itself would keep. `weights` is a
    file that the authors of a trained method publish, instead of training.
    """
    if weights is None:
        require_method(method, arguments or {}, good=bool(good), frozen=True)
    given = {name: each if isinstance(each, Encoder) else _as_json(each) for name, each in (arguments or {}).items()}
    if good:
        view = balance_scales(
            method, encoder, good, view, arguments=arguments, batch_size=reading.batch_size, watch=reading.watch
        )
    detector = catalog.detector(method, encoders.load(encoder), given)
    trained_on = [load_weights(detector, method, weights)] if weights else []
    recipe = freeze_detector(detector, method, arguments=given, view=view, trained_on=trained_on)
    if not good:
        return recipe
    learner, found = _learner(recipe, detector), encoders_in(detector)[ENCODER]
    return stamp(_teach(recipe, learner, found, good, budget or float("inf"), reading))


def freeze_detector(
    detector: Detector,
    method: str,
    *,
    arguments: Mapping[str, Any],
    taught: Sequence[Taught] = (),
    trained_on: Sequence[TrainingSet] = (),
    view: View = WHOLE,
) -> Recipe:
    """A recipe of a detector as it is, trained or not; nothing is learned.

    `arguments` are those it was made with, and `taught` the pictures that taught it.
    """
    found = encoders_in(detector)
    return stamp(
        Recipe(
            method=method,
            arguments={name: _as_json(each) for name, each in arguments.items() if name not in found},
            encoders={name: Reference(_place(each), each.sha256) for name, each in found.items()},
            precision=precision_of(detector),
            view=view,
            tensors=_state(detector),
            taught=tuple(taught),
            trained_on=tuple(trained_on),
        )
    )


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def add_good(
    recipe: Recipe,
    paths: Sequence[Path],
    *,
    encoder: Place = None,
    budget: float | None = None,
    reading: Reading = PLAIN,
) -> Recipe:
    """The recipe with more good parts; pictures it knows already are passed over.

    `budget` in MiB bounds the rows that are kept; left out, `BUDGET`, or what they take already if that is more.
    """
    found = encoders_of(recipe, encoder)
    learner = _learner(recipe, bare_detector(recipe, found))
    limit = max(BUDGET, _memory(recipe, learner).bytes / 2**20) if budget is None else budget
    return stamp(_teach(recipe, learner, found[ENCODER], paths, limit, reading), recipe.hash)


def add_defects(
    recipe: Recipe,
    kind: str,
    paths: Sequence[Path],
    *,
    masks: Mapping[Path, Path] | None = None,
    encoder: Place = None,
    reading: Reading = PLAIN,
) -> Recipe:
    """The recipe with defects of a type shown to it: what resembles them scores higher from now on.

    A mask, white on the defect and as large as its picture, says where it is; without one the patches count that the
    detector itself finds most anomalous.
    """
    return add_types(recipe, {kind: paths}, masks=masks, encoder=encoder, reading=reading)


def add_types(
    recipe: Recipe,
    defects: Mapping[str, Sequence[Path]],
    *,
    masks: Mapping[Path, Path] | None = None,
    encoder: Place = None,
    reading: Reading = PLAIN,
) -> Recipe:
    """As `add_defects`, of several types at once: how they differ is learned once."""
    for kind in defects:
        require_type(kind)
    found = encoders_of(recipe, encoder)
    detector, tensors, shown = bare_detector(recipe, found), dict(recipe.tensors), list[Shown]()
    seen = {each.sha256: each for each in recipe.taught}
    for kind, paths in defects.items():
        for new, prepared in _new_defects(recipe.view, detector, kind, paths, masks or {}, seen, reading):
            example = defect_examples.example(detector, found[ENCODER], new.path, prepared, recipe.view, new.mask)
            tensors = defect_examples.with_example(tensors, example, known_defects.number(new.taught.id))
            shown.append(new)
    if not shown:
        raise BadInput("there is nothing new to teach: the recipe knows all of these pictures")
    if not len(tensors[known_defects.GOOD_ROWS]):
        raise BadInput("the masks leave nothing good to compare with: teach some good parts first, or mark less")
    names, known = teach_names(recipe, found, shown, batch_size=reading.batch_size)
    named, taught = dataclasses.replace(recipe, names=names), [*recipe.taught, *(new.taught for new in shown)]
    return stamp(_with_taught(named, without_names(tensors) | known, taught), recipe.hash)


def _new_defects(
    view: View,
    detector: Detector,
    kind: str,
    paths: Sequence[Path],
    masks: Mapping[Path, Path],
    seen: dict[str, Taught],
    reading: Reading,
) -> Iterator[tuple[Shown, Prepared]]:
    """Of a type, the pictures that are not among those seen, by their sums, to which they are added."""
    readable, advance = 0, reading.watch(f"looking at {kind}", len(paths))
    pictures = stream(paths, detector.geometry, view=view, advance=advance)
    for source, prepared in keep_readable(pictures, reading.unreadable):
        path, readable = Path(source.id), readable + 1
        picture = Taught(sha256_of(path), path.name, kind)
        before = seen.setdefault(picture.sha256, picture)
        if before.kind != kind:
            raise BadInput(f"{path} is known as {before.kind}, by the id {before.id}: forget it first")
        if before is picture:
            yield Shown(path, picture, masks.get(path)), prepared
    if not readable:
        raise BadInput(f"no picture of {kind} can be read: replace them, or leave the type out")


def require_type(kind: str) -> None:
    """Raise BadInput for what cannot be the name of a type of defect."""
    if not kind.strip() or kind == GOOD:
        raise BadInput(f"{kind!r} is no type of defect: give it a name such as 'scratch'")


def require_words(recipe: Recipe, product: str) -> None:
    """Raise BadInput for a recipe that cannot be asked about another product."""
    card = catalog.card(recipe.method)
    if "product" not in card.words:
        raise BadInput(f"{recipe.method} reads no words for a product: {recipe.source} inspects any without them")
    if card.trained and not card.auxiliary:
        raise BadInput(f"{recipe.source} was trained on its product, words and all: train it again for {product!r}")


def require_pupil(recipe: Recipe) -> None:
    """Raise BadInput for a recipe whose method learns nothing from good parts that it is shown."""
    if hasattr(catalog.method(recipe.method), "extract"):
        return
    pupils = {name: card for name, card in catalog.METHODS.items() if card.normal != "none"}
    others = [name for name, card in pupils.items() if not card.trained]
    elsewhere = [name for name, card in pupils.items() if card.auxiliary]  # what they inspect did not train them
    taught = (
        f"freeze a recipe of a method that can be taught: {', '.join(others)}; or train one on other products that can "
        f"be: {', '.join(elsewhere)}. Defects, and their names, are taught to this one too: by `blemish teach --defect`"
    )
    if catalog.card(recipe.method).trained:
        raise BadInput(f"{recipe.method} is trained, not taught: train it again by `blemish train`, or {taught}")
    raise BadInput(f"{recipe.method} learns nothing from good parts: {taught}")


def forget(recipe: Recipe, ids: Iterable[str], *, encoder: Place = None) -> Recipe:
    """The recipe without what these pictures taught it; of a coreset the rest may differ from what was never taught."""
    wanted, parent = set(ids), recipe.hash
    gone = [each for each in recipe.taught if wanted & {each.id, each.sha256}]
    if unknown := sorted(wanted - {each.id for each in gone} - {each.sha256 for each in gone}):
        raise BadInput(
            f"no picture with the id {', '.join(unknown)} has taught {recipe.source}: see `blemish recipe show`"
        )
    shown = set(recipe.tensors[known_defects.PICTURES].tolist()) if known_defects.PICTURES in recipe.tensors else set()
    if any(each.kind != GOOD and known_defects.number(each.id) not in shown for each in gone):
        raise BadInput(f"what a method is trained on stays in {recipe.source}: train it again without those pictures")
    left = [each for each in recipe.taught if each not in gone]
    every = {known_defects.number(each.id) for each in gone}
    tensors = defect_examples.remove_pictures(recipe.tensors, every)
    if SEEN in tensors:
        recipe, tensors = forget_names(recipe, tensors, every, encoders_of(recipe, encoder)[ENCODER])
    if parts := [each for each in gone if each.kind == GOOD]:
        if not any(each.kind == GOOD for each in left) and catalog.card(recipe.method).normal == "required":
            raise BadInput(f"{recipe.source} would know no good part at all: freeze a new one instead")
        learner = _learner(recipe, bare_detector(recipe, encoders_of(recipe, encoder)))
        memory, numbers = _memory(recipe, learner), {known_defects.number(each.id) for each in parts}
        if provenance.is_permanent(memory, learner, numbers, auxiliary=catalog.card(recipe.method).auxiliary):
            raise BadInput(
                "what those pictures taught was merged to save memory, or trained, and stays: make a new recipe instead"
            )
        memory = provenance.remove(memory, numbers)
        provenance.set_memory(learner, memory.groups)
        tensors = _others(tensors) | _state(learner) | provenance.to_tensors(memory)
    return stamp(_with_taught(recipe, tensors, left), parent)


def name_product(recipe: Recipe, product: str, *, encoder: Place = None) -> Recipe:
    """The recipe for another product, by its words; all that was learned stays, a calibration does not."""
    require_words(recipe, product)
    return stamp(change_words(recipe, {"product": product}, encoders_of(recipe, encoder)), recipe.hash)


def name_vocabulary(recipe: Recipe, types: Sequence[str], *, encoder: Place = None) -> Recipe:
    """The recipe that looks for these types of defects, by their words; all that was learned stays but a calibration.

    Raises BadInput for a method without a `Card.vocabulary`, or that was shown what its types look like.
    """
    if not (name := catalog.card(recipe.method).vocabulary):
        others = ", ".join(other for other, card in catalog.METHODS.items() if card.vocabulary)
        way_out = f"name defects by `blemish teach --defects`, or train one that has: {others}"
        raise BadInput(f"{recipe.method} has no vocabulary that words can change: {way_out}")
    return stamp(change_words(recipe, {name: [*types]}, encoders_of(recipe, encoder)), recipe.hash)


def change_words(recipe: Recipe, words: Mapping[str, Any], found: Mapping[str, Encoder]) -> Recipe:
    """The recipe with other arguments that are words, uncalibrated; raises BadInput where its weights are of the old.

    What differs between the method made with the old words and with the new is what they say; a part of it that the
    old ones do not make begins anew, and one that the new ones do not goes.
    """
    renamed = dataclasses.replace(recipe, arguments={**recipe.arguments, **words}, calibration=None)
    with misfits(recipe):
        before = fresh_detector(recipe, found)
    after = fresh_detector(renamed, found)  # which says itself what is wrong with the words
    old, new = state_of(before), state_of(after)
    weights = [name for name, _ in cast(nn.Module, after).named_parameters() if name in new]
    both = old.keys() & new.keys()
    learned = [name for name in both if name in weights or _is_learned(recipe, name, old[name])]
    if any(old[name].shape != new[name].shape for name in learned):
        raise BadInput(f"the weights of {recipe.source} are of other {' and '.join(words)}: give the same ones")
    kept = {name for name in both if name in weights or torch.equal(new[name], old[name])}
    gone = {STATE + name for name in old.keys() - kept}
    tensors = {name: each for name, each in recipe.tensors.items() if name not in gone}
    tensors |= {STATE + name: each.cpu() for name, each in new.items() if name not in kept}
    return dataclasses.replace(renamed, tensors=tensors)


def _is_learned(recipe: Recipe, name: str, fresh: Tensor) -> bool:
    """Whether a tensor of its method is another than that of one that has learned nothing."""
    kept = recipe.tensors.get(STATE + name)
    return kept is not None and not torch.equal(kept, fresh.cpu())


def _teach(
    recipe: Recipe, learner: Learner, encoder: Encoder, paths: Sequence[Path], budget: float, reading: Reading
) -> Recipe:
    before, taught = _memory(recipe, learner), dict[str, Taught]()
    every = max(1, len(paths) // (LATER_SAMPLE if recipe.taught else FIRST_SAMPLE))
    lots, contrast = list[Groups](), list[tuple[Tensor, Tensor]]()
    for batch, rows in extract_all(learner, _new_parts(recipe, learner, paths, reading, taught)):
        numbers = [known_defects.number(taught[name].id) for name in batch.names]
        lots.append(provenance.track(rows, numbers))
        drawn = [at for at, each in enumerate(numbers) if each % every == 0]
        looked_at = batch.images[torch.tensor(drawn, dtype=torch.int64)]
        contrast += defect_examples.contrast(encoder, looked_at, [numbers[at] for at in drawn])
    if not lots:
        raise BadInput("there is nothing new to teach: no picture can be read that the recipe does not know")
    new = provenance.consolidate(learner, lots)
    limit = int(min(budget * 2**20, 1 << 62))
    memory = provenance.shrink(provenance.append(before, new), before, learner, limit)
    provenance.set_memory(learner, memory.groups)
    own = _state(learner) | provenance.to_tensors(memory)
    tensors = defect_examples.with_contrast(_others(recipe.tensors), contrast) | own
    return _with_taught(recipe, tensors, (*recipe.taught, *taught.values()))


def _new_parts(
    recipe: Recipe, learner: Learner, paths: Sequence[Path], reading: Reading, taught: dict[str, Taught]
) -> Iterator[Batch]:
    """Batches of the pictures that the recipe does not know, which are added to `taught` by path."""
    known = {each.sha256: each for each in recipe.taught}

    def accept(path: Path, sha256: str) -> bool:
        before = known.get(sha256)
        if before and before.kind != GOOD:
            raise BadInput(f"{path} is known as {before.kind}, by the id {before.id}: forget it first")
        if before is None:
            taught[str(path)] = Taught(sha256, path.name)
        return before is None

    return good_parts(
        paths,
        learner.geometry,
        view=recipe.view,
        batch_size=reading.batch_size,
        unreadable=reading.unreadable,
        advance=reading.watch("learning from good parts", len(paths)),
        accept=accept,
    )


def _learner(recipe: Recipe, detector: Detector) -> Learner:
    require_pupil(recipe)
    return cast(Learner, detector)


def _memory(recipe: Recipe, learner: Learner) -> Memory:
    with misfits(recipe):
        return provenance.memory_of(learner, recipe.tensors)


def _with_taught(recipe: Recipe, tensors: Mapping[str, Tensor], taught: Sequence[Taught]) -> Recipe:
    """The recipe with those; what was calibrated holds for it no longer."""
    return dataclasses.replace(
        recipe, tensors=defect_examples.with_margin(tensors), taught=tuple(taught), calibration=None
    )


def _state(detector: Detector) -> dict[str, Tensor]:
    return {STATE + name: tensor.cpu().clone() for name, tensor in state_of(detector).items()}


def _others(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a recipe's tensors hold beside what its detector has learned."""
    own = (STATE, *(f"{name}." for name in (provenance.ORIGIN, provenance.EVICTED)), provenance.RADII)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(own)}


def _place(encoder: Encoder) -> str:
    """The encoder's name, or where its file lies however the command was called."""
    path = Path(encoder.name).expanduser()
    return encoder.name if is_published(encoder.name) or not path.exists() else str(path.resolve())
