"""The whole of pretraining, in steps that are kept: pictures, what teachers say of them, words, and the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.encoders.embedded.network import Embedded, EmbeddedConfig
from blemish.errors import BadInput
from blemish.images import find
from blemish.pretrain import sentences
from blemish.pretrain.batches import Batches
from blemish.pretrain.course import Course, Weights
from blemish.pretrain.loop import Plan, Tell, initialised, train
from blemish.pretrain.sources import flawed_photographs, photographs, specimens
from blemish.pretrain.store import Store, Watch
from blemish.pretrain.teachers import Lesson, Look, teach
from blemish.synth.materials import MATERIALS
from blemish.synth.parts import PARTS
from blemish.types import Encoder

T = TypeVar("T")
WIDTHS = {8: 64, 16: 128, 32: 128}
"""Channels kept of a teacher's map, by its stride."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What to learn from."""

    specimens: int = 4000  # drawn twins
    photos: tuple[str, ...] = ()  # folders of pictures of anything, for the teachers to speak about
    parts: tuple[tuple[str, str], ...] = ()  # (product, folder of good parts): flaws are drawn on them
    side: int = 160
    seed: int = 0


class Preset(NamedTuple):
    """A size of everything that suits a machine."""

    config: EmbeddedConfig
    pictures: Pictures
    plan: Plan


PRESETS = {
    "cpu": Preset(EmbeddedConfig(), Pictures(), Plan()),
    "gpu": Preset(
        EmbeddedConfig(stem=64, widths=(64, 128, 256, 384), neck=192),
        Pictures(specimens=100_000, side=224),
        Plan(steps=60_000, pairs=64, singles=96, precision="bf16-mixed", save_every=1000),
    ),
}
"""cpu: about two hours on two cores. gpu: hours on one graphics card."""


def gathered(pictures: Pictures, work: Path, watch: Watch) -> list[Store]:
    """The stores of drawn specimens and of photographs, filled as far as they were not yet."""
    drawn, seen = Store(work / "specimens", pictures.side), Store(work / "photos", pictures.side)
    if pictures.parts and not len(drawn):
        named = [((product,), path) for product, folder in pictures.parts for path in find([folder])]
        made = flawed_photographs([path for _, path in named], [name for name, _ in named], pictures.seed, drawn.side)
        twins = list(_watched(made, watch("drawing flaws on good parts", len(named))))
        drawn.fill(twins, 2 * len(twins))
    start = len(drawn) // 2
    if (missing := pictures.specimens - start) > 0:
        source = islice(specimens(pictures.seed, start, drawn.side), missing)
        drawn.fill(_watched(source, watch("drawing specimens", missing)), 2 * pictures.specimens)
    if pictures.photos and not len(seen):
        crops = list(_watched(photographs(pictures.photos, pictures.seed, seen.side), watch("reading photographs", 0)))
        seen.fill(crops, len(crops))
    return [store for store in (drawn, seen) if len(store)]


def _watched(items: Iterator[T], advance: Callable[[], None]) -> Iterator[T]:
    for item in items:
        yield item
        advance()


def taught(stores: Sequence[Store], look: Look, lessons: Sequence[Lesson], work: Path, watch: Watch) -> None:
    """Ask the teachers about every picture, once."""
    for store in stores:
        teach(store, look, lessons, work / "bases", watch)


def lessons_of(teachers: Sequence[Encoder], side: int) -> tuple[Look, list[Lesson]]:
    """Encoders as one teacher: of each the layers at a half and three quarters of its depth, and the last."""
    chosen = [sorted({max(1, e.depth // 2), max(1, e.depth * 3 // 4), e.depth}) for e in teachers]

    def look(images: Tensor) -> list[Tensor]:
        seen = (_maps(encoder, images, layers) for encoder, layers in zip(teachers, chosen, strict=True))
        return list(chain.from_iterable(seen))

    if not teachers:
        return look, []
    with torch.inference_mode():
        found = look(torch.zeros(1, 3, side, side))
    names = [f"teacher{n}-{layer}" for n, layers in enumerate(chosen) for layer in layers]
    lessons = []
    for number, (name, maps) in enumerate(zip(names, found, strict=True)):
        stride = min(WIDTHS, key=lambda s: abs(s - side / maps.shape[2]))
        channels = min(WIDTHS[stride], maps.shape[1])
        stages = {8: (2, 5), 16: (3, 5), 32: (4,)}[stride]
        lessons += [Lesson(name, number, stage, stride, channels) for stage in stages]
    return look, lessons


def _maps(encoder: Encoder, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
    """(N, C, h, w) per layer; images are resized to whole patches where they must be."""
    whole = -(-images.shape[2] // encoder.patch_size) * encoder.patch_size
    if whole != images.shape[2]:
        images = F.interpolate(images, (whole, whole), mode="bilinear", antialias=True)
    return [patches.movedim(-1, 1) for patches in encoder(images, layers=layers).patches]


def words_of(stores: Sequence[Store]) -> tuple[str, ...]:
    """Every word that training on these stores can draw."""
    drawn = [
        *chain.from_iterable(m.words for m in MATERIALS.values()),
        *chain.from_iterable(p.words for p in PARTS.values()),
    ]
    stated = [str(word) for store in stores for fact in store.facts for word in fact["product"]]
    return sentences.vocabulary([*drawn, *stated])


def weights_of(stated: Sequence[tuple[str, str]]) -> Weights:
    """The usual weights of the aims but for those stated; raises BadInput for an aim that does not exist."""
    known = {each.name for each in fields(Weights)}
    if unknown := [name for name, _ in stated if name not in known]:
        raise BadInput(f"there is no aim {unknown[0]!r}: choose from {', '.join(sorted(known))}")
    try:
        return Weights(**{name: float(value) for name, value in stated})
    except ValueError as error:
        raise BadInput(f"the weight of an aim must be a number ({error})") from error


def trainable(encoder: Encoder) -> Embedded:
    """The encoder, if this pretraining can go on from it; raises BadInput."""
    if isinstance(encoder, Embedded):
        return encoder
    raise BadInput(f"{encoder.name} cannot be trained on: start from 'embedded', or a checkpoint of blemish pretrain")


def beginning(config: EmbeddedConfig, words: Sequence[str], start: Embedded | None, seed: int) -> Embedded:
    """A student with random weights, or `start` with the words that it does not know yet added to its vocabulary."""
    known = start.words.vocabulary if start else ()
    vocabulary = (*known, *(word for word in words if word not in set(known)))
    with torch.device("meta"):
        student = Embedded(vocabulary, start.config if start else config)
    student = initialised(student, seed)
    if start:
        state = start.state_dict()
        vectors = student.words.known.weight.detach()
        vectors[: 1 + len(known)] = state["words.known.weight"]
        student.load_state_dict(state | {"words.known.weight": vectors})
    return student


def pretrain(
    stores: Sequence[Store],
    lessons: Sequence[Lesson],
    student: Embedded,
    plan: Plan,
    weights: Weights,
    folder: Path,
    *,
    tell: Tell,
    until: float,
) -> tuple[Embedded, bool]:
    """The trained student, and whether all steps were done; it goes on from the checkpoint in `folder`."""
    if not stores:
        raise BadInput("there is nothing to learn from: ask for specimens, photographs or good parts")
    batches = Batches(stores, lessons, student.words.vocabulary, seed=plan.seed)
    course = Course(student, lessons, weights)
    done = train(course, batches, plan, folder, tell=tell, until=until)
    return course.student, done
