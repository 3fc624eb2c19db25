"""What a recipe's detector knows, row by row, and which picture each row is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from blemish.blocks.learned import Learned
from blemish.blocks.memory import MemoryBank
from blemish.blocks.streaming import cover
from blemish.errors import BadInput
from blemish.types import Detector

ORIGIN, RADII, FORMER = "origin", "radii", "former"
Lessons = tuple[tuple[Tensor, ...], ...]


@runtime_checkable
class Pupil(Detector, Protocol):
    """A detector that can be taught more, and made to forget, without looking again at what it knows."""

    lessons: Sequence[Sequence[str]]  # groups of names of its tensors, whose rows are of good parts in their order

    def study(self, images: Tensor) -> Lessons:
        """What images (N, 3, H, W) of good parts teach: in each tensor as many rows for every image, in their order."""


@runtime_checkable
class Choosing(Pupil, Protocol):
    """A pupil that keeps some of the rows it has studied."""

    def choose(self, rows: Tensor) -> Tensor:
        """Numbers of the rows (M, ...) to keep."""


@runtime_checkable
class Merging(Pupil, Protocol):
    """A pupil that derives from sums what it predicts by; sums can be added up for good to save memory."""

    def settle(self) -> None:
        """Derive it from the lessons that are there, and from those that were merged."""

    def merge(self, count: int) -> int:
        """Merge at most the `count` oldest lessons, which changes no score; returns how many were."""


def taught(pupil: Pupil) -> Lessons:
    """What a pupil has learned last; tensors without elements if nothing."""
    module = cast(nn.Module, pupil)
    return tuple(tuple(module.get_buffer(name) for name in group) for group in pupil.lessons)


def teach(pupil: Pupil, groups: Groups) -> None:
    """Have the pupil know these lessons, beside those that it has merged, and no others."""
    for names, group in zip(pupil.lessons, groups, strict=True):
        for name, tensor in zip(names, group.tensors, strict=True):
            path, _, buffer = name.rpartition(".")
            memory = cast(nn.Module, pupil).get_submodule(path)
            memory.hold(tensor) if isinstance(memory, MemoryBank) else cast(Learned, memory).store({buffer: tensor})
    if isinstance(pupil, Merging):
        pupil.settle()


class Rows(NamedTuple):
    """A group of tensors."""

    tensors: tuple[Tensor, ...]
    origin: Tensor  # int64 (R, 2): the picture of each row, and its place in the order of teaching


Groups = tuple[Rows, ...]


@dataclass(frozen=True, slots=True)
class Former:
    """What had to make room when the memory was full last: forgetting those pictures brings it back."""

    groups: Groups  # rows that went
    radii: tuple[float, ...]  # as they were
    pictures: tuple[int, ...]  # that came


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything that `study` found and that is still there."""

    groups: Groups
    radii: tuple[float, ...]  # a group, see `blocks.streaming.cover`; 0 as long as no row had to go
    former: Former | None = None

    @property
    def bytes(self) -> int:
        """Of the rows."""
        return sum(tensor.numel() * tensor.element_size() for group in self.groups for tensor in group.tensors)

    @property
    def pictures(self) -> set[int]:
        """Whose rows are there."""
        return {int(picture) for group in self.groups for picture in group.origin[:, 0].unique()}


def known(pupil: Pupil, tensors: Mapping[str, Tensor]) -> Knowledge:
    """What a detector knows by the tensors of its recipe; raises ValueError or KeyError where they do not agree."""
    groups = tuple(
        _agreeing(group, tensors.get(f"{ORIGIN}.{number}", _nobody())) for number, group in enumerate(taught(pupil))
    )
    radii = _radii(tensors.get(RADII), len(groups))
    if f"{FORMER}.pictures" not in tensors:
        return Knowledge(groups, radii)
    went = tuple(
        _agreeing(
            tuple(tensors[f"{FORMER}.{number}.{part}"] for part in range(len(group.tensors))),
            tensors[f"{FORMER}.{ORIGIN}.{number}"],
        )
        for number, group in enumerate(groups)
    )
    before = _radii(tensors[f"{FORMER}.{RADII}"], len(groups))
    return Knowledge(groups, radii, Former(went, before, tuple(tensors[f"{FORMER}.pictures"].tolist())))


def _agreeing(tensors: tuple[Tensor, ...], origin: Tensor) -> Rows:
    fits = origin.dtype == torch.int64 and origin.ndim == 2 and origin.shape[1] == 2
    if not fits or any(len(tensor) != len(origin) for tensor in tensors):
        raise ValueError("the origin of what it has learned")
    return Rows(tensors, origin)


def kept(knowledge: Knowledge) -> dict[str, Tensor]:
    """The tensors that a recipe keeps beside the detector's own, so that `known` finds everything again."""
    found = {f"{ORIGIN}.{number}": group.origin for number, group in enumerate(knowledge.groups)}
    if any(knowledge.radii):
        found[RADII] = torch.tensor(knowledge.radii, dtype=torch.float64)
    if former := knowledge.former:
        found[f"{FORMER}.{RADII}"] = torch.tensor(former.radii, dtype=torch.float64)
        found[f"{FORMER}.pictures"] = torch.tensor(former.pictures, dtype=torch.int64)
        for number, group in enumerate(former.groups):
            found[f"{FORMER}.{ORIGIN}.{number}"] = group.origin
            found |= {f"{FORMER}.{number}.{part}": tensor for part, tensor in enumerate(group.tensors)}
    return found


def studied(lessons: Lessons, pictures: Sequence[int]) -> Groups:
    """Lessons of a batch whose inputs are of these pictures."""
    groups = []
    for group in lessons:
        each = len(group[0]) // len(pictures)
        picture = torch.tensor(pictures, dtype=torch.int64).repeat_interleave(each)
        groups.append(Rows(group, torch.stack([picture, torch.zeros_like(picture)], 1)))
    return tuple(groups)


def joined(batches: Sequence[Groups]) -> Groups:
    """All rows, in their order; groups without rows are left out."""
    return tuple(_joined([batch[number] for batch in batches]) for number in range(len(batches[0])))


def _joined(groups: Sequence[Rows]) -> Rows:
    full = [group for group in groups if len(group.origin)] or list(groups[:1])
    if len({tuple(tensor.shape[1:] for tensor in group.tensors) for group in full}) > 1:
        raise BadInput(
            "these pictures give features of another shape than those that are known: they have another size"
        )
    tensors = tuple(torch.cat(parts) for parts in zip(*(group.tensors for group in full), strict=True))
    return Rows(tensors, torch.cat([group.origin for group in full]))


def chosen(groups: Groups, numbers: Sequence[Tensor]) -> Groups:
    """Those rows of each group."""
    return tuple(_chosen(group, rows) for group, rows in zip(groups, numbers, strict=True))


def _chosen(group: Rows, rows: Tensor) -> Rows:
    return Rows(tuple(tensor[rows] for tensor in group.tensors), group.origin[rows])


def added(knowledge: Knowledge, new: Groups) -> Knowledge:
    """The new rows behind those that are known, in the order of teaching."""
    places = [each.origin[:, 1] for groups in (knowledge.groups, *_went(knowledge)) for each in groups]
    first = 1 + max((int(each.max()) for each in places if len(each)), default=-1)
    numbered = [Rows(group.tensors, _numbered(group.origin, first)) for group in new]
    groups = tuple(_joined(pair) for pair in zip(knowledge.groups, numbered, strict=True))
    return Knowledge(groups, knowledge.radii, knowledge.former)


def _went(knowledge: Knowledge) -> list[Groups]:
    return [knowledge.former.groups] if knowledge.former else []


def _numbered(origin: Tensor, first: int) -> Tensor:
    return torch.stack([origin[:, 0], torch.arange(first, first + len(origin))], 1)


def covered(knowledge: Knowledge, before: Knowledge, limit: int) -> Knowledge:
    """At most `limit` bytes of rows that stand for all; `before` is what was known before the last were added."""
    share = min(1.0, limit / max(1, knowledge.bytes))
    if share == 1 and not any(knowledge.radii):
        return knowledge
    covers = [
        cover(group.tensors[0], len(old.origin), max(1, int(len(group.origin) * share)), radius)
        for group, old, radius in zip(knowledge.groups, before.groups, knowledge.radii, strict=True)
    ]
    groups = chosen(knowledge.groups, [each.numbers for each in covers])
    gone = [_missing(len(old.origin), each.numbers) for old, each in zip(before.groups, covers, strict=True)]
    went = chosen(before.groups, gone)
    radii = tuple(each.radius for each in covers)
    if not any(len(group.origin) for group in went):
        return Knowledge(groups, radii, knowledge.former)
    came = tuple(sorted(knowledge.pictures - before.pictures))
    return Knowledge(groups, radii, Former(went, before.radii, came))


def merged(knowledge: Knowledge, before: Knowledge, pupil: Merging, limit: int) -> Knowledge:
    """The same of a pupil that has learned them, its oldest lessons merged until the others take about `limit` bytes.

    Those that were added to what was known `before` are never merged at once, so that they can be forgotten.
    """
    (group,), (old,) = knowledge.groups, before.groups
    each = knowledge.bytes / max(1, len(group.origin))
    excess = min(len(group.origin) - int(limit / each), len(old.origin))
    gone = pupil.merge(excess) if excess > 0 else 0
    return Knowledge((Rows(taught(pupil)[0], group.origin[gone:]),), knowledge.radii)


def without(knowledge: Knowledge, pictures: set[int]) -> Knowledge:
    """Without the rows of these pictures; with those back that had made room for them, once all of them are gone."""
    groups, former = _without(knowledge.groups, pictures), knowledge.former
    if former is None:
        return Knowledge(groups, knowledge.radii)
    left = tuple(picture for picture in former.pictures if picture not in pictures)
    went = _without(former.groups, pictures)
    if left:
        return Knowledge(groups, knowledge.radii, Former(went, former.radii, left))
    back = tuple(_ordered(_joined(pair)) for pair in zip(groups, went, strict=True))
    return Knowledge(back, former.radii)


def _without(groups: Groups, pictures: set[int]) -> Groups:
    gone = torch.tensor(sorted(pictures), dtype=torch.int64)
    return tuple(_chosen(group, ~torch.isin(group.origin[:, 0], gone)) for group in groups)


def _ordered(group: Rows) -> Rows:
    return _chosen(group, group.origin[:, 1].argsort(stable=True))


def _missing(count: int, numbers: Tensor) -> Tensor:
    """The numbers below `count` that are not among these, ascending."""
    there = torch.zeros(count, dtype=torch.bool)
    there[numbers[numbers < count]] = True
    return torch.nonzero(~there).squeeze(1)


def _nobody() -> Tensor:
    return torch.empty(0, 2, dtype=torch.int64)


def _radii(tensor: Tensor | None, count: int) -> tuple[float, ...]:
    found = [0.0] * count if tensor is None else tensor.flatten().tolist()
    if len(found) != count:
        raise ValueError("the radii of what it has learned")
    return tuple(found)
