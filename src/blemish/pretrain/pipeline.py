"""The whole of pretraining, in steps that are kept: pictures, what teachers say of them, words, and the training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from blemish.encoders.embedded.network import Embedded, EmbeddedConfig
from blemish.errors import BadInput
from blemish.files import write
from blemish.images import find
from blemish.pretrain import sentences
from blemish.pretrain.batches import Batches
from blemish.pretrain.course import PretrainModel, Weights
from blemish.pretrain.loop import SCHEDULE, Mixture, initialise, train
from blemish.pretrain.norms import insert_norms
from blemish.pretrain.sources import flawed_photographs, photographs, specimens
from blemish.pretrain.store import Entry, Store
from blemish.pretrain.teachers import Teacher, TeacherMap, store_features
from blemish.progress import ShowProgress
from blemish.synth.drawn.materials.materials import MATERIALS
from blemish.synth.drawn.parts.parts import PARTS
from blemish.training.fabric import randomness
from blemish.training.schedule import Schedule
from blemish.types import Encoder

T = TypeVar("T")
WIDTHS = {8: 64, 16: 128, 32: 128}
"""Channels kept of a teacher's map, by its stride."""
SETTLING = 8
"""Batches from which the norms of a student that goes on are taken."""


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
    schedule: Schedule
    mixture: Mixture


PRESETS = {
    "cpu": Preset(EmbeddedConfig(), Pictures(), SCHEDULE, Mixture()),
    "gpu": Preset(
        EmbeddedConfig(stem=64, widths=(64, 128, 256, 384), neck=192),
        Pictures(specimens=100_000, side=224),
        replace(SCHEDULE, steps=60_000, precision="bf16-mixed", save_every=1000),
        Mixture(pairs=64, singles=96),
    ),
}
"""cpu: about two hours on two cores. gpu: hours on one graphics card."""


def fill_stores(pictures: Pictures, work: Path, watch: ShowProgress) -> list[Store]:
    """The stores of good parts, of drawn specimens and of photographs, filled as far as they were not yet."""
    side, seed, stores = pictures.side, pictures.seed, []
    if pictures.parts:
        stores.append(parts := _store(work / "parts", side, {"good": pictures.parts, "seed": seed}))
        named = [((product,), path) for product, folder in pictures.parts for path in find([folder])]
        made = flawed_photographs([path for _, path in named], [name for name, _ in named], seed, side)
        _fill(parts, _watched(made, watch("drawing flaws on good parts", len(named))))
    if pictures.specimens:
        stores.append(drawn := _store(work / "specimens", side, {"seed": seed}))
        start = len(drawn) // 2
        missing = max(0, pictures.specimens - start)
        source = islice(specimens(seed, start, side), missing)
        drawn.fill(_watched(source, watch("drawing specimens", missing)), 2 * pictures.specimens)
    if pictures.photos:
        stores.append(seen := _store(work / "photos", side, {"photos": pictures.photos, "seed": seed}))
        _fill(seen, _watched(photographs(pictures.photos, seed, side), watch("reading photographs", 0)))
    return stores


def _store(folder: Path, side: int, made_of: dict[str, Any]) -> Store:
    """The store in this folder; raises BadInput where what it holds was made of something else."""
    store, note, stated = Store(folder, side), folder / "made-of.json", json.dumps(made_of | {"side": side})
    if not len(store):
        write(note, stated)
    before = note.read_text(encoding="utf-8") if note.exists() else "something that it does not state"
    if before != stated:
        raise BadInput(f"{folder} was made of {before}, asked for is {stated}: choose another folder for the work")
    return store


def _fill(store: Store, groups: Iterator[Sequence[Entry]]) -> None:
    """Fill an empty store with all there is; raises BadInput where that is nothing."""
    if len(store):
        return
    found = list(groups)
    if not found:
        raise BadInput(f"no picture for {store.folder} can be used: they are unreadable, or too dark for a flaw")
    store.fill(found, sum(map(len, found)))


def _watched(items: Iterator[T], advance: Callable[[], None]) -> Iterator[T]:
    for item in items:
        yield item
        advance()


def lessons_of(
    pictures: Pictures, teachers: Sequence[Encoder], work: Path, watch: ShowProgress
) -> tuple[list[Store], list[TeacherMap]]:
    """The stores, filled, and what the teachers say of every picture in them; all of it is kept in `work`."""
    stores = fill_stores(pictures, work, watch)
    look, lessons = teacher_maps(teachers, pictures.side)
    for store in stores:
        store_features(store, look, lessons, work / "bases", watch)
    return stores, lessons


def teacher_maps(teachers: Sequence[Encoder], side: int) -> tuple[Teacher, list[TeacherMap]]:
    """Encoders as one teacher: of each the layers at a half and three quarters of its depth, and the last."""
    chosen = [sorted({max(1, e.depth // 2), max(1, e.depth * 3 // 4), e.depth}) for e in teachers]

    def look(images: Tensor) -> list[Tensor]:
        seen = (_maps(encoder, images, layers) for encoder, layers in zip(teachers, chosen, strict=True))
        return list(chain.from_iterable(seen))

    if not teachers:
        return look, []
    with torch.inference_mode():
        found = look(torch.zeros(1, 3, side, side))
    # Called by their content: what one teacher said is not taken for another's.
    called = [(encoder.sha256 or encoder.name)[:16] for encoder in teachers]
    names = [f"{name}-{layer}" for name, layers in zip(called, chosen, strict=True) for layer in layers]
    lessons = []
    for number, (name, maps) in enumerate(zip(names, found, strict=True)):
        stride = min(WIDTHS, key=lambda s: abs(s - side / maps.shape[2]))
        channels = min(WIDTHS[stride], maps.shape[1])
        stages = {8: (2, 5), 16: (3, 5), 32: (4,)}[stride]
        lessons += [TeacherMap(name, number, stage, stride, channels) for stage in stages]
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
        numbers = {name: float(value) for name, value in stated}
    except ValueError as error:
        raise BadInput(f"the weight of an aim must be a number ({error})") from error
    if wrong := [name for name, number in numbers.items() if not (math.isfinite(number) and number >= 0)]:
        raise BadInput(f"the weight of {wrong[0]} is {numbers[wrong[0]]}: it must be 0 or more, and finite")
    return Weights(**numbers)


def trainable(encoder: Encoder) -> Embedded:
    """The encoder, if this pretraining can go on from it; raises BadInput."""
    if isinstance(encoder, Embedded):
        return encoder
    raise BadInput(f"{encoder.name} cannot be trained on: start from 'embedded', or a checkpoint of blemish pretrain")


def initial_student(config: EmbeddedConfig, words: Sequence[str], start: Embedded | None, seed: int) -> Embedded:
    """A student with random weights, or `start` with the words that it does not know yet added to its vocabulary."""
    known = start.words.vocabulary if start else ()
    vocabulary = (*known, *(word for word in words if word not in set(known)))
    with torch.device("meta"):
        student = Embedded(vocabulary, start.config if start else config)
    student = initialise(student, seed)
    if start:
        state = start.state_dict()
        vectors = student.words.known.weight.detach()
        vectors[: 1 + len(known)] = state["words.known.weight"]
        student.load_state_dict(state | {"words.known.weight": vectors})
    return student


def deepen(start: Embedded, depths: Sequence[int], seed: int) -> Embedded:
    """`start` with more blocks at the ends of its stages, which change nothing until they are trained (Net2Net,
    arXiv:1511.05641); raises BadInput for fewer blocks or another number of stages.
    """
    had = start.config.depths
    if len(depths) != len(had) or any(more < few for few, more in zip(had, depths, strict=True)):
        raise BadInput(f"the model has {had} blocks in its stages: it cannot become one of {tuple(depths)}")
    with torch.device("meta"):
        student = Embedded(start.words.vocabulary, replace(start.config, depths=tuple(depths)))
    student = initialise(student, seed)
    state = student.state_dict()
    for name, tensor in state.items():
        if ".convolutions.1." in name:  # the last of a block: with zeros what comes in goes out
            tensor.zero_()
    student.load_state_dict(state | start.state_dict())
    return student


def pretrain(
    stores: Sequence[Store],
    lessons: Sequence[TeacherMap],
    student: Embedded,
    schedule: Schedule,
    mixture: Mixture,
    weights: Weights,
    folder: Path,
    *,
    watch: ShowProgress,
    stop: Callable[[], bool],
    goes_on: bool = False,
    parts: Sequence[str] = (),
) -> tuple[Embedded, bool]:
    """The trained student, and whether all steps were done; it goes on from the checkpoint in `folder`.

    goes_on: the student has been trained before, and is to begin with what it does already. parts: of it that are
    trained, see `PretrainModel`.
    """
    if not stores:
        raise BadInput("there is nothing to learn from: ask for specimens, photographs or good parts")
    batches = Batches(stores, lessons, student.words.vocabulary, seed=schedule.seed)
    if goes_on and not parts:
        insert_norms(
            student, (batches.draw(n, pairs=mixture.pairs, singles=mixture.singles).images for n in range(SETTLING))
        )
    with randomness(torch.device("cpu"), schedule.seed):  # of the heads that are thrown away
        model = PretrainModel(student, lessons, weights, parts=parts)
    done = train(model, batches, schedule, mixture, folder, watch=watch, stop=stop)
    return model.student, done
