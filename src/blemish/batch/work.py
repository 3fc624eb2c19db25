"""What a worker does: the pictures of a part -> the file of its results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from blemish.batch.archives import Piece, pictures
from blemish.batch.results import Form, part_writer
from blemish.batch.targets import Target, target_of
from blemish.classification.names import DefectType
from blemish.errors import BadData, BadInput
from blemish.images import Unreadable
from blemish.inspection import inspect
from blemish.notices import gather
from blemish.progress import no_progress
from blemish.recipes.recipe import Recipe, load
from blemish.runs.plan import InspectionRun
from blemish.runs.record import line_of, unreadable_line


class Work(NamedTuple):
    """What every worker of a batch is told, as plain values."""

    recipe: str  # its file
    out: str
    form: Form = "jsonl"
    encoder: str | None = None
    device: str = "auto"
    scale: float | None = None  # millimetres a pixel
    batch_size: int = 8
    threads: int = 0  # of each worker; 0: as many as there are
    hash: str = ""  # of the recipe, which each worker reads anew; "": whatever it is


def plan_of_recipe(
    recipe: Recipe,
    *,
    encoder: str | None = None,
    device: str = "auto",
    scale: float | None = None,
    defects: Sequence[DefectType] = (),
    threads: int = 0,
) -> InspectionRun:
    """The run of a frozen recipe, by its graph where it holds one and else by torch; threads of a graph, 0: all."""
    if recipe.deployed:
        from blemish.runtime.running import by_graph

        return by_graph(recipe, scale=scale, defects=defects, threads=threads)
    from blemish.devices import device_of_name
    from blemish.runs.methods import by_recipe

    return by_recipe(recipe, encoder=encoder, device=device_of_name(device), scale=scale, defects=defects)


def plan_of_work(work: Work) -> InspectionRun:
    """The run of which each part is a piece."""
    return plan_of_recipe(
        load(work.recipe), encoder=work.encoder, device=work.device, scale=work.scale, threads=work.threads
    )


def piece_name(number: int) -> str:
    """The file that says which pictures a part has."""
    return f"pictures/part-{number:08d}.json"


def result_name(number: int, form: Form) -> str:
    """The file of what was found in them."""
    return f"results/part-{number:08d}.{form}"


class Worker:
    """Holds the detector, and inspects part after part."""

    def __init__(self, work: Work) -> None:
        self.work, self.target = work, target_of(work.out)
        self.plan = plan_of_work(work)
        if work.hash not in ("", self.plan.settings["recipe"]):
            raise BadInput(
                f"{work.recipe} is another recipe here than where the batch began: put that one back, and go on by the "
                "same command with --resume"
            )
        if work.threads and not (self.plan.recipe and self.plan.recipe.deployed):
            _limit_torch(work.threads)
        self.detector, _, self.view = self.plan.make(no_progress, [], suggest=False)
        self.decide = self.plan.decision(self.detector, None)

    def __call__(self, number: int) -> list[str]:
        """Put the results of a part in place; returns what is said beside them."""
        piece = read_piece(self.target, number)
        with (
            gather() as notices,
            self.target.written(result_name(number, self.work.form)) as path,
            part_writer(path, self.work.form) as lines,
        ):
            stream = inspect(self.detector, pictures(piece), view=self.view, batch_size=self.work.batch_size)
            for result in stream:
                if isinstance(result, Unreadable):
                    lines.add(unreadable_line(result))
                else:
                    lines.add(line_of(self.decide(result), self.plan.settings))
        return notices.lines()


def write_piece(target: Target, number: int, piece: Piece) -> None:
    """Keep which pictures a part has."""
    target.put(piece_name(number), json.dumps(piece._asdict()) + "\n")


def read_piece(target: Target, number: int) -> Piece:
    """The inverse of `write_piece`; raises BadData for a file that is damaged."""
    try:
        said = json.loads(target.read(piece_name(number)))
        return Piece(said["kind"], said["at"], tuple(said["names"]), said["group"])
    except (ValueError, TypeError, KeyError) as error:
        raise BadData(f"{target.place}/{piece_name(number)} is damaged: begin again in another --out") from error


def _limit_torch(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
