"""blemish's coreset and search. argv: folder with fit.npy and query.npy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from timing import peak_mib, report, seconds

from blemish.blocks.coreset import coreset
from blemish.blocks.memory import MemoryBank

folder = Path(sys.argv[1])
rows, queries = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("fit", "query"))
before, bank = peak_mib(), MemoryBank("euclidean")


def fit() -> None:
    chosen = coreset(rows, len(rows) // 10, generator=torch.Generator().manual_seed(0))
    bank.hold(rows[chosen])


with torch.inference_mode():
    fitting = seconds(fit, repeats=1, warm=0)
    most = peak_mib()
    asking = seconds(lambda: [bank.nearest(query) for query in queries])
    covered = float(bank.distance(rows[::50]).max())
report(fit=fitting, query=[taken / len(queries) for taken in asking], memory=most - before, radius=covered)
