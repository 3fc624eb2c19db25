"""anomalib's AUPRO. argv: folder with maps.npy and masks.npy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from anomalib.metrics.aupro import _AUPRO
from timing import peak_mib, report, seconds

folder = Path(sys.argv[1])
maps, masks = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("maps", "masks"))
masks, before = masks.long(), peak_mib()


def aupro() -> float:
    metric = _AUPRO()
    metric.update(maps, masks)
    return float(metric.compute())


taken = seconds(aupro)
report(aupro=taken, memory=peak_mib() - before, value=aupro())
