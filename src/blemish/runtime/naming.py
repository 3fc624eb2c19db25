"""The classifier of a deployed recipe: regions that its graph has found -> what they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.calibration.prediction_sets import Sureness
from blemish.classification.calls import Named, Shown, call_defects, say_words
from blemish.classification.names import Names, Severity
from blemish.classification.regions import Inside, find_places
from blemish.images import Places
from blemish.runtime.graph import GraphNamer


class DeployedNamer:
    """As `calls.RegionNamer` says; `shown` are the examples that defects are compared with in words."""

    def __init__(self, graph: GraphNamer, names: Names, shown: Shown | None) -> None:
        self._graph, self._names, self._shown = graph, names, shown

    @property
    def sureness(self) -> Sureness:
        """How sure its types are."""
        return self._names.sureness

    @property
    def severities(self) -> Mapping[str, Severity]:
        """What follows from a type, of those that have one."""
        return self._names.severities()

    def name_regions(self, picture: NDArray[Any], places: Sequence[Places], regions: Sequence[Inside]) -> list[Named]:
        """Each by what is seen of its places."""
        return [self.name(places, each)[0] for each in regions]

    def name(self, places: Sequence[Places], region: Inside) -> tuple[Named, NDArray[np.float32]]:
        """What one region is called, and its logits (K,)."""
        grid, core = find_places(places, region)
        seen, logits, chosen = self._graph(grid[None, ..., :-1], core[None])
        called = call_defects(logits, seen[:, None], self._names.known, self.sureness, self._shown)
        return (say_words(called, self._graph.words, chosen) if chosen else called)[0], logits[0]
