"""What a run found, as one HTML file to look at: no network, no server, nothing beside it."""

from blemish.report.items import About, Item
from blemish.report.similar_parts import GoodParts
from blemish.report.writer import Writer

__all__ = ["About", "GoodParts", "Item", "Writer"]
