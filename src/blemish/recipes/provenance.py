"""What a recipe's detector knows, row by row, and which picture each row is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from blemish.blocks.rotation import views_of
from blemish.blocks.rows import Absorbing, Rows, concatenate, memories
from blemish.blocks.streaming import cover_rows
from blemish.encoders.inputs import device_of
from blemish.recipes.detectors import has_parameters
from blemish.types import Consolidator, Learner

ORIGIN, RADII, EVICTED = "origin", "radii", "evicted"


class TrackedRows(NamedTuple):
    """The rows of one of a detector's memories."""

    tensors: Rows
    origin: Tensor  # int64 (R, 2): the picture of each row, and its place in the order of teaching


Groups = tuple[TrackedRows, ...]
"""Of all of its memories."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """What had to make room when the memory was full last: forgetting those pictures brings it back."""

    groups: Groups  # rows that went
    radii: tuple[float, ...]  # as they were
    pictures: tuple[int, ...]  # that came


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that was extracted and that is still there."""

    groups: Groups
    radii: tuple[float, ...]  # a group, see `blocks.streaming.cover_rows`; 0 as long as no row had to go
    evicted: Evicted | None = None

    @property
    def bytes(self) -> int:
        """Of the rows."""
        return sum(tensor.numel() * tensor.element_size() for group in self.groups for tensor in group.tensors)

    @property
    def pictures(self) -> set[int]:
        """Whose rows are there."""
        return {int(picture) for group in self.groups for picture in group.origin[:, 0].unique()}


def set_memory(learner: Learner, groups: Groups) -> None:
    """Have a detector remember these, beside what it has absorbed, and nothing else."""
    parts = memories(learner)
    for memory, group in zip(parts, groups, strict=True):
        memory.hold(*group.tensors)
    if not any(memory.fitted for memory in parts):
        for views in views_of(learner):
            views.count_images(0)


def memory_of(learner: Learner, tensors: Mapping[str, Tensor]) -> Memory:
    """What a detector knows by the tensors of its recipe; raises ValueError or KeyError where they do not agree."""
    groups = tuple(
        _rows(tuple(tensor.cpu() for tensor in each.recall()), tensors.get(f"{ORIGIN}.{number}", _nobody()))
        for number, each in enumerate(memories(learner))
    )
    radii = _radii(tensors.get(RADII), len(groups))
    if f"{EVICTED}.pictures" not in tensors:
        return Memory(groups, radii)
    went = tuple(
        _rows(
            tuple(tensors[f"{EVICTED}.{number}.{part}"] for part in range(len(group.tensors))),
            tensors[f"{EVICTED}.{ORIGIN}.{number}"],
        )
        for number, group in enumerate(groups)
    )
    before = _radii(tensors[f"{EVICTED}.{RADII}"], len(groups))
    return Memory(groups, radii, Evicted(went, before, tuple(tensors[f"{EVICTED}.pictures"].tolist())))


def _rows(tensors: tuple[Tensor, ...], origin: Tensor) -> TrackedRows:
    fits = origin.dtype == torch.int64 and origin.ndim == 2 and origin.shape[1] == 2
    if not fits or any(len(tensor) != len(origin) for tensor in tensors):
        raise ValueError("the origin of what it has learned")
    return TrackedRows(tensors, origin)


def to_tensors(memory: Memory) -> dict[str, Tensor]:
    """The tensors that a recipe keeps beside the detector's own, so that `memory_of` finds everything again."""
    found = {f"{ORIGIN}.{number}": group.origin for number, group in enumerate(memory.groups)}
    if any(memory.radii):
        found[RADII] = torch.tensor(memory.radii, dtype=torch.float64)
    if evicted := memory.evicted:
        found[f"{EVICTED}.{RADII}"] = torch.tensor(evicted.radii, dtype=torch.float64)
        found[f"{EVICTED}.pictures"] = torch.tensor(evicted.pictures, dtype=torch.int64)
        for number, group in enumerate(evicted.groups):
            found[f"{EVICTED}.{ORIGIN}.{number}"] = group.origin
            found |= {f"{EVICTED}.{number}.{part}": tensor for part, tensor in enumerate(group.tensors)}
    return found


def track(extracted: tuple[Rows, ...], pictures: Sequence[int]) -> Groups:
    """What was extracted of a batch whose images are of these pictures."""
    groups = []
    for rows in extracted:
        picture = torch.tensor(pictures, dtype=torch.int64).repeat_interleave(len(rows[0]) // len(pictures))
        groups.append(
            TrackedRows(tuple(tensor.cpu() for tensor in rows), torch.stack([picture, torch.zeros_like(picture)], 1))
        )
    return tuple(groups)


def join(lots: Sequence[Groups]) -> Groups:
    """All rows, in their order."""
    return tuple(_join([lot[number] for lot in lots]) for number in range(len(lots[0])))


def _join(groups: Sequence[TrackedRows]) -> TrackedRows:
    return TrackedRows(concatenate([group.tensors for group in groups]), torch.cat([group.origin for group in groups]))


def consolidate(learner: Learner, lots: Sequence[Groups]) -> Groups:
    """Of all rows that were extracted, in their order, those that the learner remembers."""
    new = join(lots)
    if not isinstance(learner, Consolidator):
        return new
    here = device_of(learner)
    return select(new, [learner.consolidate(group.tensors[0].to(here)).cpu() for group in new])


def select(groups: Groups, numbers: Sequence[Tensor]) -> Groups:
    """Those rows of each group."""
    return tuple(_select(group, rows) for group, rows in zip(groups, numbers, strict=True))


def _select(group: TrackedRows, rows: Tensor) -> TrackedRows:
    return TrackedRows(tuple(tensor[rows] for tensor in group.tensors), group.origin[rows.cpu()])


def append(memory: Memory, new: Groups) -> Memory:
    """The new rows behind those that are known, in the order of teaching."""
    places = [each.origin[:, 1] for groups in (memory.groups, *_evicted_groups(memory)) for each in groups]
    first = 1 + max((int(each.max()) for each in places if len(each)), default=-1)
    numbered = [TrackedRows(group.tensors, _number(group.origin, first)) for group in new]
    groups = tuple(_join(pair) for pair in zip(memory.groups, numbered, strict=True))
    return Memory(groups, memory.radii, memory.evicted)


def _evicted_groups(memory: Memory) -> list[Groups]:
    return [memory.evicted.groups] if memory.evicted else []


def _number(origin: Tensor, first: int) -> Tensor:
    return torch.stack([origin[:, 0], torch.arange(first, first + len(origin))], 1)


def shrink(memory: Memory, before: Memory, learner: Learner, limit: int) -> Memory:
    """About `limit` bytes of the memory of a detector, for `set_memory`; `before` is what it was before the last lot.

    Of a memory that can absorb, the oldest rows are added up for good, but none of the last lot, so that it can be
    forgotten. Of others, some rows are evicted for which others stand.
    """
    if any(isinstance(each, Absorbing) for each in memories(learner)):
        return _absorb_oldest(memory, before, learner, limit)
    return _evict(memory, before, limit)


def _evict(memory: Memory, before: Memory, limit: int) -> Memory:
    share = min(1.0, limit / max(1, memory.bytes))
    if share == 1 and not any(memory.radii):
        return memory
    covers = [
        cover_rows(group.tensors[0], len(old.origin), max(1, int(len(group.origin) * share)), radius)
        for group, old, radius in zip(memory.groups, before.groups, memory.radii, strict=True)
    ]
    groups = select(memory.groups, [each.numbers for each in covers])
    gone = [_absent(len(old.origin), each.numbers) for old, each in zip(before.groups, covers, strict=True)]
    went = select(before.groups, gone)
    radii = tuple(each.radius for each in covers)
    if not any(len(group.origin) for group in went):
        return Memory(groups, radii, memory.evicted)
    came = tuple(sorted(memory.pictures - before.pictures))
    return Memory(groups, radii, Evicted(went, before.radii, came))


def _absorb_oldest(memory: Memory, before: Memory, learner: Learner, limit: int) -> Memory:
    groups = []
    for each, group, old in zip(memories(learner), memory.groups, before.groups, strict=True):
        room = int(limit * len(group.origin) / max(1, memory.bytes))
        excess = max(0, min(len(group.origin) - room, len(old.origin)))
        done = each.absorb(*(tensor[:excess] for tensor in group.tensors)) if isinstance(each, Absorbing) else 0
        groups.append(TrackedRows(tuple(tensor[done:] for tensor in group.tensors), group.origin[done:]))
    return Memory(tuple(groups), memory.radii)


def is_permanent(memory: Memory, learner: Learner, pictures: set[int], *, auxiliary: bool) -> bool:
    """Whether what some of the pictures taught cannot be taken back: it was added up for good, or trained.

    auxiliary: parameters, if there are any, were trained on other products.
    """
    if has_parameters(learner) and not auxiliary:
        return True
    evicted = (group.origin[:, 0].tolist() for groups in _evicted_groups(memory) for group in groups)
    kept = memory.pictures.union(*evicted)
    absorbs = any(isinstance(each, Absorbing) for each in memories(learner))
    return (absorbs or has_parameters(learner)) and not pictures <= kept


def remove(memory: Memory, pictures: set[int]) -> Memory:
    """The memory without the rows of these pictures.

    Those that had made room for them are back, once all of them are gone.
    """
    groups, evicted = _remove(memory.groups, pictures), memory.evicted
    if evicted is None:
        return Memory(groups, memory.radii)
    left = tuple(picture for picture in evicted.pictures if picture not in pictures)
    went = _remove(evicted.groups, pictures)
    if left:
        return Memory(groups, memory.radii, Evicted(went, evicted.radii, left))
    back = tuple(_sort(_join(pair)) for pair in zip(groups, went, strict=True))
    return Memory(back, evicted.radii)


def _remove(groups: Groups, pictures: set[int]) -> Groups:
    gone = torch.tensor(sorted(pictures), dtype=torch.int64)
    return tuple(_select(group, ~torch.isin(group.origin[:, 0], gone)) for group in groups)


def _sort(group: TrackedRows) -> TrackedRows:
    return _select(group, group.origin[:, 1].argsort(stable=True))


def _absent(count: int, numbers: Tensor) -> Tensor:
    """The numbers below `count` that are not among these, ascending."""
    there = torch.zeros(count, dtype=torch.bool)
    there[numbers[numbers < count].cpu()] = True
    return torch.nonzero(~there).squeeze(1)


def _nobody() -> Tensor:
    return torch.empty(0, 2, dtype=torch.int64)


def _radii(tensor: Tensor | None, count: int) -> tuple[float, ...]:
    found = [0.0] * count if tensor is None else tensor.flatten().tolist()
    if len(found) != count:
        raise ValueError("the radii of what it has learned")
    return tuple(found)
