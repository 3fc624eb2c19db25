"""Pictures in and out: any file a camera or a colleague delivers becomes a tensor, and a map becomes a picture."""

from blemish.images.arrays import rgb
from blemish.images.finding import find
from blemish.images.framing import Region, crop, frame, input_size, matching_regions, place, visible
from blemish.images.headers import Header, read_header
from blemish.images.masks import fill, read_region_mask
from blemish.images.overlays import colours, overlay, save_picture
from blemish.images.reading import MAX_PIXELS, SUFFIXES, read, resize, turn, unit
from blemish.images.seen_places import Places, WorstPlaces, places_of
from blemish.images.streams import Source, decode, keyed_batches, read_source, source_of
from blemish.images.tiling import Mosaic, cut, tiles

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Header",
    "Mosaic",
    "Places",
    "Region",
    "Source",
    "WorstPlaces",
    "colours",
    "crop",
    "cut",
    "decode",
    "fill",
    "find",
    "frame",
    "input_size",
    "keyed_batches",
    "matching_regions",
    "overlay",
    "place",
    "places_of",
    "read",
    "read_header",
    "read_region_mask",
    "read_source",
    "resize",
    "rgb",
    "save_picture",
    "source_of",
    "tiles",
    "turn",
    "unit",
    "visible",
]
