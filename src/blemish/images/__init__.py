"""Pictures in and out: any file a camera or a colleague delivers becomes a tensor, and a map becomes a picture."""

from blemish.images.loading import Loaded, load, resize
from blemish.images.overlays import colours, overlay, save_picture
from blemish.images.reading import MAX_PIXELS, SUFFIXES, read, unit
from blemish.images.regions import Region, crop, fill, place, read_mask
from blemish.images.streams import batches, decode, find, keyed_batches
from blemish.images.tiling import blend, cut, tiles

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Loaded",
    "Region",
    "batches",
    "blend",
    "colours",
    "crop",
    "cut",
    "decode",
    "fill",
    "find",
    "keyed_batches",
    "load",
    "overlay",
    "place",
    "read",
    "read_mask",
    "resize",
    "save_picture",
    "tiles",
    "unit",
]
