"""What is told of progress, and an interruption in the middle of it."""

from __future__ import annotations

from collections.abc import Mapping

from blemish.progress import NOTHING, Advance


class Told:
    """`watch` of a test: keeps the stages and what was measured; one step may be interrupted by Ctrl-C."""

    def __init__(self, interrupted: int = 0) -> None:
        self.interrupted, self.stages = interrupted, list[tuple[str, int, int]]()
        self.losses = list[dict[str, float]]()

    @property
    def totals(self) -> list[float]:
        """The whole loss of each step."""
        return [each["total"] for each in self.losses]

    @property
    def advanced(self) -> list[str]:
        """The stage of each call, and how many it was said to have."""
        return [f"{name} {total}" for name, total, _ in self.stages]

    def __call__(self, stage: str, total: int, done: int = 0, /) -> Advance:
        step = done

        def advance(measured: Mapping[str, float] = NOTHING, /) -> None:
            nonlocal step
            step += 1
            self.stages.append((stage, total, step))
            if measured:
                self.losses.append(dict(measured))
            if step == self.interrupted:
                raise KeyboardInterrupt

        return advance
