"""Pictures in and out: any file a camera or a colleague delivers becomes an array, and a map becomes a picture."""

from blemish.images.arrays import rgb
from blemish.images.components import components
from blemish.images.finding import find
from blemish.images.framing import Region, crop, frame, input_size, resize, scale, visible
from blemish.images.headers import Header, read_header
from blemish.images.masks import fill, read_region_mask
from blemish.images.overlays import colours, overlay, save_picture
from blemish.images.placing import area, linear, matching_regions, nearest, place
from blemish.images.reading import MAX_PIXELS, SUFFIXES, read, turn, unit
from blemish.images.results import Inspected, Unreadable, keep_readable, peak_of
from blemish.images.seen_places import Places, WorstPlaces, places_of
from blemish.images.streams import Source, decode, keyed_batches, read_source, source_of
from blemish.images.tiling import Mosaic, cut, tiles
from blemish.images.view import WHOLE, View

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "WHOLE",
    "Header",
    "Inspected",
    "Mosaic",
    "Places",
    "Region",
    "Source",
    "Unreadable",
    "View",
    "WorstPlaces",
    "area",
    "colours",
    "components",
    "crop",
    "cut",
    "decode",
    "fill",
    "find",
    "frame",
    "input_size",
    "keep_readable",
    "keyed_batches",
    "linear",
    "matching_regions",
    "nearest",
    "overlay",
    "peak_of",
    "place",
    "places_of",
    "read",
    "read_header",
    "read_region_mask",
    "read_source",
    "resize",
    "rgb",
    "save_picture",
    "scale",
    "source_of",
    "tiles",
    "turn",
    "unit",
    "visible",
]
