"""Search by faiss, an optional package."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from blemish.errors import MissingExtra


def exact_index(rows: Tensor) -> Any:
    """faiss's exact index of (M, D) rows by Euclidean distance."""
    try:
        import faiss
    except ImportError as error:
        raise MissingExtra("search='faiss' needs faiss: pip install 'blemish[faiss]'") from error
    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows.cpu().numpy())
    return index
