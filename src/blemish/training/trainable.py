"""What can be trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn

TrainingBatch = TypeVar("TrainingBatch", contravariant=True)


class ParameterGroup(NamedTuple):
    """Parameters that are trained alike."""

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0  # times the schedule's
    decay: float = 0.0  # of weights, decoupled


class Trainable(Protocol[TrainingBatch]):
    """What is trained by gradients: `training.loop.train` calls these two and knows nothing else of it."""

    def trained_parameters(self) -> Iterable[ParameterGroup]:
        """Those that training changes; the encoder's are not among them unless the method says so."""

    def loss(self, batch: TrainingBatch) -> Mapping[str, Tensor]:
        """The terms of the loss of a batch by name, scalars whose sum is minimised; their weights are the method's.

        What is random in it is drawn from torch's default generator, as dropout is: the loop seeds it, keeps it in
        checkpoints, and leaves it as it was.
        """


@runtime_checkable
class Staged(Protocol):
    """What is trained in stages, each with a loss of its own: a `Trainable` whose schedule has `stages`.

    All stages are steps of one training. What a stage's loss does not reach stays as it is meanwhile.
    """

    def begin(self, stage: int) -> None:
        """The loss that is asked for from now on is that of this stage, from 0."""
