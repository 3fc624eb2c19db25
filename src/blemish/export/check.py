"""Parity is part of exporting: pictures from file to verdict, by the detector and by its graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from blemish.blocks.defect_regions import regions
from blemish.calibration.thresholds import Calibration
from blemish.encoders.inputs import device_of
from blemish.errors import BadInput
from blemish.export.tracing import Traced
from blemish.images import Inspected, View
from blemish.inspection import inspect
from blemish.metrics.image import auroc
from blemish.recipes.deployed import Deployed
from blemish.runs.decision import decision
from blemish.runtime.graph import open_model
from blemish.synth.drawn.specimens import specimen
from blemish.types import GOOD, ArrayDetector, Detector

SCORE, MAP = 1e-5, 1e-4
"""How far scores and maps may differ in float32, in shares of the largest that there is."""
TIED = 0.05
"""The share of pixels that may differ by more, where two rows of a memory are equally near: see `Difference`."""
DRAWN = 5
"""Specimens that are drawn to compare by, each with its flaw and without."""
ODD = ((243, 317), (317, 243), (251, 251))
"""Heights and widths of drawn pictures."""
LEAST = 0.1
"""The share of what a picture of noise has, by which scores and maps are compared that are smaller everywhere: of parts
that taught the recipe nothing is left but how differences of equal numbers were rounded."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How a graph differs from the detector that it was made from."""

    pictures: int
    score: float  # the largest difference of scores, in shares of the largest score
    map: float  # of the values of maps likewise
    regions: int  # pictures whose regions are others
    apart: float = 0.0  # share of pixels whose values differ by more than MAP
    verdicts: int | None = None  # flipped by the calibration; None where there is none
    types: int | None = None  # pictures whose types of defects are others; None where nothing names them
    auroc: float | None = None  # of images by the graph; None where nobody says which are good
    auroc_before: float | None = None  # by the detector
    worst: Path | None = None  # the picture whose map differs most

    def as_json(self) -> dict[str, float | None]:
        """As `Deployed.check` keeps it."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "worst"}

    @property
    def tied(self) -> bool:
        """Whether no more differs than choices between equals explain: a score is a mean of what its map is made of."""
        decided = not self.verdicts and not self.types
        return self.apart <= TIED and self.score <= max(SCORE, self.map) and decided

    @property
    def holds(self) -> bool:
        """Whether scores and maps are the same everywhere, and so is what follows from them."""
        return self.tied and self.score <= SCORE and self.map <= MAP


class Difference(NamedTuple):
    """The first tensor of a graph that differs."""

    name: str
    shape: tuple[int, ...]
    chosen: bool  # it is a choice, such as the nearest row, between what does not differ: two are equally near


def compare(
    detector: Detector,
    graph: ArrayDetector,
    cases: Sequence[tuple[View, Sequence[Path]]],
    *,
    size: tuple[int, int],
    calibration: Calibration | None = None,
    labelled: bool = True,
    advance: Callable[[], None] = lambda: None,
) -> Parity:
    """By pictures in a view of each; `labelled`: those whose folder is called good are, if others are not.

    size: (height, width) of the graph's inputs.
    """
    pairs, labels = list[tuple[Inspected, Inspected]](), list[bool]()
    known = labelled and {path.parent.name == GOOD for _, pictures in cases for path in pictures} == {True, False}
    for view, pictures in cases:
        both = zip(inspect(detector, pictures, view=view), inspect(graph, pictures, view=view), strict=True)
        for path, (before, after) in zip(pictures, both, strict=True):
            advance()
            if isinstance(before, Inspected) and isinstance(after, Inspected):
                pairs.append((before, after))
                labels.append(path.parent.name != GOOD)
    if not pairs:
        raise BadInput("no picture could be read to compare by: give others by --check")
    scores, least = np.array([[each.score for each in pair] for pair in pairs]), smallest_scale(detector, size)
    largest = max(least.map, *(float(np.nanmax(np.abs(values_of(before)))) for before, _ in pairs))
    apart = map_differences(pairs, largest)
    beyond, inspected = (sum(int((each >= least).sum()) for each in apart) for least in (MAP, 0.0))
    peaks = [float(np.nanmax(each)) for each in apart]
    return Parity(
        pictures=len(pairs),
        score=float(np.abs(scores[:, 0] - scores[:, 1]).max() / max(np.abs(scores[:, 0]).max(), least.score)),
        map=max(peaks),
        apart=beyond / inspected,
        worst=Path(pairs[int(np.argmax(peaks))][0].source.id),
        regions=sum(boxes_of(one, largest) != boxes_of(two, largest) for one, two in pairs),
        verdicts=None if calibration is None else _flips(pairs, calibration),
        types=_retyped(pairs, (detector, graph), calibration) if getattr(detector, "types", ()) else None,
        auroc=auroc(scores[:, 1], labels) if known else None,
        auroc_before=auroc(scores[:, 0], labels) if known else None,
    )


class Scale(NamedTuple):
    """Of what a recipe gives."""

    score: float
    map: float


def smallest_scale(detector: Detector, size: tuple[int, int]) -> Scale:
    """By which pictures are compared at least, whatever was shown: `LEAST` of what noise of (height, width) has."""
    noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = detector(noise.to(device_of(detector)))
    return Scale(*(LEAST * float(each.abs().max()) for each in (found.image_score, found.anomaly_map)))


def map_differences(pairs: Sequence[tuple[Inspected, Inspected]], largest: float) -> list[NDArray[np.float32]]:
    """Of each pixel of every picture, in shares of the largest value that there is; NaN where nothing was inspected."""
    found = [np.abs(values_of(one) - values_of(other)) / largest for one, other in pairs]
    for apart, (one, other) in zip(found, pairs, strict=True):
        apart[np.isnan(values_of(one)) != np.isnan(values_of(other))] = np.inf
    return found


def values_of(result: Inspected) -> NDArray[np.float32]:
    """A result's map (H, W)."""
    return np.asarray(result.anomaly_map)


def boxes_of(result: Inspected, largest: float) -> list[Any]:
    """Boxes of the regions from half of the largest value on."""
    return [each.box for each in regions(result.anomaly_map, largest / 2)]


def _flips(pairs: Sequence[tuple[Inspected, Inspected]], by: Calibration) -> int:
    return sum(by.verdict(one.score) != by.verdict(other.score) for one, other in pairs)


def _retyped(
    pairs: Sequence[tuple[Inspected, Inspected]],
    by: tuple[Detector | ArrayDetector, Detector | ArrayDetector],
    calibration: Calibration | None,
) -> int:
    one, other = (decision(calibration, each) for each in by)
    return sum(one(before).types != other(after).types for before, after in pairs)


def require_parity(found: Parity, traced: Traced, deployed: Deployed, images: Sequence[NDArray[np.float32]]) -> None:
    """Raise BadInput, naming the first tensor that differs, where a graph in float32 gives something else.

    images: those of the worst picture, each (1, 3, h, w). Scores and maps may differ where a choice was between equals.
    """
    if deployed.precision != "float32" or found.holds:
        return
    differences = [each for image in images if (each := first_difference(traced, deployed, image))]
    chosen = all(each.chosen for each in differences)
    if found.tied and chosen and (differences or found.score <= SCORE):
        return
    first = next((each for each in differences if not each.chosen), None)
    said = f"the first tensor that differs is {first.name} {list(first.shape)}" if first else "no tensor by itself does"
    others = f"{found.verdicts or 0} verdicts and {found.types or 0} names of types of {found.pictures} pictures"
    raise BadInput(
        f"the graph scores differently: scores by {found.score:.1e}, maps by {found.map:.1e}, {others}; {said}: "
        "nothing was written, please report it"
    )


def require_as_near(found: Parity, deployed: Deployed, before: Mapping[str, float | None]) -> None:
    """Raise BadInput where a graph whose numbers were renewed agrees less than it must, or than the former one did."""
    if deployed.precision == "float32" and not found.holds:
        raise BadInput(f"the renewed graph scores differently: scores by {found.score:.1e}, maps by {found.map:.1e}")
    if deployed.precision != "float32" and found.score > 2 * (before.get("score") or 0.0) + SCORE:
        raise BadInput(f"the renewed graph's scores differ by {found.score:.1e}, more than the former one's did")


def first_difference(traced: Traced, deployed: Deployed, image: NDArray[np.float32]) -> Difference | None:
    """The first tensor, in the order of the graph, that differs for one image (1, 3, h, w)."""
    expected = dict(_values(traced.program, torch.from_numpy(image)))
    names = [name for node in traced.model.graph.node for name in node.output if name in expected]
    model = type(traced.model).FromString(traced.model.SerializeToString())
    del model.graph.output[:]
    for name in names:
        model.graph.output.add(name=name)
    session = open_model(model.SerializeToString(), deployed.backend, deployed.precision, "the graph")
    for name, given in zip(names, session.run({"images": image}), strict=True):
        wanted = expected[name].numpy()
        chosen = not np.issubdtype(wanted.dtype, np.floating)
        near = 0.0 if chosen else 1e-3
        if wanted.shape != given.shape or not np.allclose(wanted, given, rtol=near, atol=near / 10, equal_nan=True):
            return Difference(name, tuple(wanted.shape), chosen)
    return None


def _values(program: Any, image: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What each node of a program gives, by name."""
    found: dict[str, Tensor] = {}

    class Keeping(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            value = super().run_node(n)
            if isinstance(value, Tensor):
                found[n.name] = value
            return value

    with torch.no_grad():
        Keeping(program.module()).run(image)
    yield from found.items()


def draw_pictures(folder: Path, view: View, size: tuple[int, int] | None = None) -> list[Path]:
    """Drawn parts with and without a flaw, in 8 and 16 bits and of odd sizes, or of one that the view or graph asks."""
    fixed = size or (tuple(view.mask.shape) if view.mask is not None else None)
    region, found = view.region, list[Path]()
    for number in range(DRAWN):
        height, width = fixed or ODD[number % len(ODD)]
        if region is not None and fixed is None:
            height, width = max(height, region.y + region.height), max(width, region.x + region.width)
        drawn = specimen(0, number, max(height, width))
        for name, pixels in (("good", drawn.good), ("flawed", drawn.flawed)):
            path = folder / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True, parents=True)
            _save(np.asarray(pixels)[:height, :width], path, deep=number % 2 == 1)
            found.append(path)
    return found


def _save(pixels: NDArray[np.uint8], path: Path, *, deep: bool) -> None:
    if deep:
        grey = pixels.astype(np.uint16).mean(2) * 257 + pixels[..., 0] % 7  # 16 bits that 8 do not have
        Image.fromarray(grey.astype(np.uint16)).save(path)
    else:
        Image.fromarray(pixels).save(path)


def cases_of(
    view: View, pictures: Sequence[Path], size: tuple[int, int], *, drawn: bool
) -> list[tuple[View, Sequence[Path]]]:
    """The pictures in a recipe's view; of drawn ones, where it looks at whole pictures, some by tiles and by a mask."""
    if not drawn or view.region is not None or view.mask is not None or view.tile is not None:
        return [(view, pictures)]
    middle = np.zeros(ODD[0], bool)
    middle[20:-30, 40:-10] = True
    tiled = replace(view, tile=max(16, min(ODD[0]) * 2 // 3), overlap=40)
    square = size[0] == size[1]
    more = [(replace(view, mask=middle), pictures[:2]), (tiled, pictures[2:6])]
    return [(view, pictures), *(more if square else [])]


def as_rows(found: Parity) -> list[tuple[str, str]]:
    """For people."""
    rows: Mapping[str, str] = {
        "pictures compared": f"{found.pictures}",
        "scores differ by": f"{found.score:.1e}",
        "maps differ by": f"{found.map:.1e}" + (f", {100 * found.apart:.2g} % of pixels" if found.apart else ""),
        "other regions": f"{found.regions}",
        "verdicts flipped": "no calibration" if found.verdicts is None else f"{found.verdicts}",
        "types that are others": "" if found.types is None else f"{found.types}",
        "image AUROC": "" if found.auroc is None else f"{found.auroc:.4f}, before {found.auroc_before:.4f}",
    }
    return [row for row in rows.items() if row[1]]
