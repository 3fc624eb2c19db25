"""A recipe's detector as if it had forgotten some of the parts that taught it."""

from __future__ import annotations

from collections.abc import Sequence

from blemish import catalog
from blemish.blocks.exemplars import CachedEncoder
from blemish.errors import BadInput
from blemish.files import sha256_of
from blemish.recipes import defect_examples, detectors, known_defects, provenance
from blemish.recipes.holdout import LeaveOut, PartImages, pictures
from blemish.recipes.recipe import ENCODER, Place, Recipe
from blemish.types import Detector, Learner


def leave_out(recipe: Recipe, encoder: Place) -> LeaveOut:
    """Parts to leave out -> the recipe's detector as if they had been forgotten, see `update.forget`.

    It is one detector that is changed each time.
    """
    found = detectors.encoders_of(recipe, encoder)
    once = CachedEncoder(found[ENCODER]) if known_defects.ROWS in recipe.tensors else None
    learner = detectors.bare_detector(recipe, found | {ENCODER: once} if once else found)
    if not isinstance(learner, Learner):
        raise BadInput(f"{recipe.method} forgets no single part: calibrate by others, with --scheme split")
    with detectors.misfits(recipe):
        everything = provenance.memory_of(learner, recipe.tensors)
    kinds = {known_defects.number(each.id): each.kind for each in recipe.taught}

    def refit(out: Sequence[PartImages]) -> Detector:
        gone = {known_defects.number(sha256_of(path)[:12]) for path in pictures(out)} & set(kinds)
        if provenance.is_permanent(everything, learner, gone, auxiliary=catalog.card(recipe.method).auxiliary):
            raise BadInput(
                f"what taught {recipe.source} was merged to save memory, or trained: calibrate by others, with "
                "--scheme split"
            )
        provenance.set_memory(learner, provenance.remove(everything, gone).groups)
        if once is None:
            return learner
        return known_defects.with_known_defects(
            learner, once, defect_examples.with_margin(defect_examples.remove_pictures(recipe.tensors, gone)), kinds
        )

    return refit
