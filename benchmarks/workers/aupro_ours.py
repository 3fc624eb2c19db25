"""blemish's AUPRO. argv: folder with maps.npy and masks.npy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from timing import peak_mib, report, seconds

from blemish.metrics import pixel

folder = Path(sys.argv[1])
maps, masks = np.load(folder / "maps.npy"), np.load(folder / "masks.npy")
before = peak_mib()
taken = seconds(lambda: pixel.aupro(pixel.rank_pixels(maps, masks)))
report(aupro=taken, memory=peak_mib() - before, value=pixel.aupro(pixel.rank_pixels(maps, masks)))
