"""Weights that authors publish for their adapters, heads or prompts -> our detector, as if it had been trained here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from torch import Tensor, nn

from blemish.blocks.learned import Updates
from blemish.encoders.checkpoints.weights import read_tree
from blemish.errors import BadInput, BadWeights
from blemish.files import sha256_of
from blemish.recipes.recipe import TrainingSet
from blemish.training.trainable import Trainable
from blemish.types import Batch, Detector


@runtime_checkable
class Published(Protocol):
    """A trained detector whose authors publish their weights."""

    def published(self, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of their file, those of dictionaries in it as "outer.inner" -> ours, by our names.

        What is not used is left out, and so is what the file lacks: it is missed by name.
        """


def load_weights(detector: Detector, method: str, path: Path) -> TrainingSet:
    """Set everything that training would, and say from what; raises BadWeights for a file that does not fit."""
    if not isinstance(detector, Published):
        raise BadInput(f"{method} knows no weights of its authors: train it by `blemish train {method}`")
    module = cast(nn.Module, detector)
    found, own = detector.published(read_tree(path)), module.state_dict()
    chosen = {id(each) for group in cast(Trainable[Batch], detector).trained_parameters() for each in group.parameters}
    wanted = {name for name, each in module.named_parameters() if id(each) in chosen}
    if missing := sorted(wanted - found.keys()):
        raise BadWeights(f"{path} is no file of {method}, or of other arguments: it has nothing for {missing[0]}")
    for name, tensor in found.items():
        if name not in own or own[name].shape != tensor.shape:
            raise BadWeights(
                f"{path} is for another encoder, or other arguments: its {name} is {_shape(tensor)} and should be "
                f"{_shape(own.get(name))}; name the encoder that its authors trained on by --encoder"
            )
    module.load_state_dict(found, strict=False)
    for each in module.modules():
        if isinstance(each, Updates):
            each.add()
    module.eval()  # as training ends
    return TrainingSet(path.name, 0, 0, sha256_of(path))


def _shape(tensor: Tensor | None) -> str:
    return "not there" if tensor is None else " x ".join(map(str, tensor.shape)) or "a number"
