"""Protocols of measuring: "standard", as a detector is used, and "published", as the authors of some methods measured.

They scale scores by the lowest and the highest value of the very set that is measured, which no picture alone allows.
"""

from __future__ import annotations

from typing import Literal

from blemish import catalog
from blemish.errors import BadInput

Protocol = Literal["standard", "published"]
SCALED = "as published: scores are scaled by the test set itself, for comparison alone; not attainable in use"


def check_protocol(protocol: Protocol, method: str) -> None:
    """Raise BadInput for a method whose scores its authors do not scale; "" is one without a name in the catalogue."""
    if protocol == "standard" or (method and catalog.card(method).scaled):
        return
    others = ", ".join(f"{name} ({card.scaled})" for name, card in catalog.METHODS.items() if card.scaled)
    raise BadInput(
        f"the authors of {method or 'this method'} do not scale scores by the test set, so the protocol published "
        f"would measure the same: leave it out; it is for {others}"
    )
