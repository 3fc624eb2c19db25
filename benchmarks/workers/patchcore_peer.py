"""anomalib's coreset and search. argv: folder with fit.npy and query.npy."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from anomalib.models.components import KCenterGreedy
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from timing import peak_mib, report, seconds

folder = Path(sys.argv[1])
rows, queries = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("fit", "query"))
before = peak_mib()
torch.manual_seed(0)
# The model's search, without the network that it would build.
model = SimpleNamespace(euclidean_dist=PatchcoreModel.euclidean_dist)


def fit() -> None:
    model.memory_bank = KCenterGreedy(embedding=rows, sampling_ratio=0.1).sample_coreset()


def search(query: torch.Tensor) -> torch.Tensor:
    return PatchcoreModel.nearest_neighbors(model, query, 1)[0]


with torch.inference_mode():
    fitting = seconds(fit, repeats=1, warm=0)
    most = peak_mib()
    asking = seconds(lambda: [search(query) for query in queries])
    covered = float(search(rows[::50]).max())
report(fit=fitting, query=[taken / len(queries) for taken in asking], memory=most - before, radius=covered)
