"""One step of training: a batch of twins and plain pictures through the student, and every loss that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.blocks.losses import contrast, dice, focal
from blemish.blocks.resampling import resample
from blemish.encoders.embedded.network import Embedded, Outputs
from blemish.errors import BadInput
from blemish.pretrain.objectives import Distillation, TabObjective
from blemish.pretrain.teachers import TeacherMap
from blemish.training.trainable import ParameterGroup


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each aim counts; 0 leaves it out."""

    distillation: float = 1.0  # explain the teachers' maps
    patches: float = 1.0  # patch by patch, good against bad words: focal and dice
    types: float = 0.2  # the flaw's own name, at its place and for the whole picture
    whole: float = 0.3  # the whole picture, good against bad words
    products: float = 0.1  # the part's name
    tab: float = 0.0  # TAB's own objective


class Batch(NamedTuple):
    """Twins first: N good pictures, their N flawed twins, then M pictures that only teachers speak about."""

    images: Tensor  # (2N + M, 3, S, S)
    masks: Tensor  # (N, S, S), of the flaws
    targets: tuple[Tensor, ...]  # per lesson, (T, c, h, w), of the last T images
    product: Tensor  # (N,), numbers of the products' names among those of the batch
    family: Tensor  # (N,), numbers of the flaws' families
    other: Tensor  # (N,), numbers of families that the twin does not show
    texts: tuple[str, ...]  # N normal, N abnormal, N with the flaw, N with the other one, then one per family
    hidden: frozenset[str]  # words to learn by their pieces

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors there, channels side by side."""
        return self._replace(
            images=self.images.to(device, memory_format=torch.channels_last),
            targets=tuple(each.to(device) for each in self.targets),
            masks=self.masks.to(device),
            product=self.product.to(device),
            family=self.family.to(device),
            other=self.other.to(device),
        )


class PretrainModel(nn.Module):
    """The student with all that is thrown away after training.

    parts: names of its modules that are trained, all if there are none; raises BadInput for one that it does not have.
    """

    def __init__(
        self,
        student: Embedded,
        lessons: Sequence[TeacherMap],
        weights: Weights,
        *,
        decay: float = 0.02,
        parts: Sequence[str] = (),
    ) -> None:
        super().__init__()
        known = [name for name, _ in student.named_children()]
        if unknown := [part for part in parts if part not in known]:
            raise BadInput(f"the student has no part {unknown[0]!r}: choose from {', '.join(known)}")
        self.parts = tuple(parts)
        self.decay = decay  # of weights, decoupled
        c = student.config
        widths = (*c.widths, c.neck)
        self.student, self.lessons, self.weights = student, tuple(lessons), weights
        self.distillation = Distillation([widths[each.stage - 1] for each in lessons], [e.channels for e in lessons])
        self.tab = TabObjective(c.output, c.output)

    def trained_parameters(self) -> list[ParameterGroup]:
        """Matrices and kernels decay; norms, biases, scalars and word vectors do not."""
        others = {name for name, _ in self.student.named_children()}.difference(self.parts) if self.parts else ()
        fixed = tuple(f"student.{name}." for name in others)
        named = [each for each in self.named_parameters() if not each[0].startswith(fixed)]
        decays = [p for name, p in named if p.ndim > 1 and ".known." not in name and ".pieces." not in name]
        chosen = set(map(id, decays))
        return [
            ParameterGroup(decays, decay=self.decay),
            ParameterGroup([p for _, p in named if id(p) not in chosen]),
        ]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The losses by name, each times its weight."""
        return {name: getattr(self.weights, name) * loss for name, loss in self.losses(batch).items()}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses by name, unweighted."""
        seen = self.student.outputs(batch.images)
        losses: dict[str, Tensor] = {}
        if self.weights.distillation and batch.targets:
            maps = (*seen.stages, seen.neck)
            count = len(batch.targets[0])
            taught = [maps[each.stage - 1][len(batch.images) - count :] for each in self.lessons]
            losses["distillation"] = self.distillation(taught, batch.targets)
        if len(batch.masks):
            losses |= self.with_words(seen, batch)
        return losses

    def with_words(self, seen: Outputs, batch: Batch) -> dict[str, Tensor]:
        """The losses that compare twins with sentences."""
        count, scale = len(batch.masks), self.student.config.scale
        texts = F.normalize(self.student.words(batch.texts, hidden=batch.hidden), dim=-1)
        normal, abnormal, named, other, families = texts.split([count] * 4 + [len(texts) - 4 * count])
        patches = F.normalize(seen.patches[: 2 * count].float(), dim=1)  # (2N, D, h, w)
        whole = F.normalize(seen.image[: 2 * count].float(), dim=1)  # (2N, D)
        truth = coverage(batch.masks, patches.shape[2:])  # (N, h, w)
        bad = torch.cat([torch.zeros(count), torch.ones(count)]).to(whole.device)
        margins = scale * (whole * (abnormal - normal).repeat(2, 1)).sum(1)
        at = pool(patches[count:], truth)
        return {
            "patches": self.patchwise(patches, truth, normal, abnormal, named, other),
            "whole": F.binary_cross_entropy_with_logits(margins, bad),
            "types": contrast(at, families, batch.family, scale)
            + contrast(whole[count:], families, batch.family, scale),
            "products": self.parts_named(whole, normal, abnormal, batch.product),
            **({"tab": self.tabs(seen.image, normal, abnormal, batch.product)} if self.weights.tab else {}),
        }

    def patchwise(
        self, patches: Tensor, truth: Tensor, normal: Tensor, abnormal: Tensor, named: Tensor, other: Tensor
    ) -> Tensor:
        """Focal and dice of good twins against bad words, and of bad ones against bad words, their flaw and another."""
        good, bad = patches.chunk(2)
        nothing = torch.zeros_like(truth)
        losses = []
        for seen, words, wanted, weight in (
            (good, abnormal, nothing, 1.0),
            (good, named, nothing, 0.5),
            (bad, abnormal, truth, 1.0),
            (bad, named, truth, 1.0),
            (bad, other, nothing, 0.2),
        ):
            logits = self.student.config.scale * torch.einsum("ndhw,nd->nhw", seen, words - normal)
            losses.append(weight * (5 * focal(logits, wanted) + dice(logits.sigmoid(), wanted)))
        return torch.stack(losses).sum() / 3.7

    def parts_named(self, whole: Tensor, normal: Tensor, abnormal: Tensor, product: Tensor) -> Tensor:
        """Each twin chooses its product's text among those of the batch; equal products share one."""
        good, bad = whole.chunk(2)
        first = first_occurrences(product)
        numbers = torch.searchsorted(product[first], product)
        scale = self.student.config.scale
        return contrast(good, normal[first], numbers, scale) + contrast(bad, abnormal[first], numbers, scale)

    def tabs(self, image: Tensor, normal: Tensor, abnormal: Tensor, product: Tensor) -> Tensor:
        """TAB's objective on the same twins and texts."""
        good, bad = image[: 2 * len(product)].chunk(2)
        first = first_occurrences(product)
        numbers = torch.searchsorted(product[first], product)
        loss: Tensor = self.tab(good, bad, normal[first], abnormal[first], numbers)
        return loss


def coverage(masks: Tensor, grid: Sequence[int]) -> Tensor:
    """How much of each patch a flaw covers, three times over and at most 1: a third of a patch makes it bad."""
    return (3 * resample(masks[:, None].float(), grid)[:, 0]).clamp_max(1)


def pool(patches: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of patches: (N, D, h, w) and (N, h, w) -> (N, D)."""
    return torch.einsum("ndhw,nhw->nd", patches, weights) / weights.sum((1, 2)).clamp_min(1e-3)[:, None]


def first_occurrences(numbers: Tensor) -> Tensor:
    """Where each distinct number occurs first, in the numbers' ascending order."""
    distinct, at = numbers.unique(return_inverse=True)
    places = torch.arange(len(numbers), device=numbers.device)
    return torch.full_like(distinct, len(numbers)).scatter_reduce(0, at, places, "amin")
