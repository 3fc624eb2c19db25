"""What `benchmarks/claims.py` found of a method's own block; a test says when this is old."""

from __future__ import annotations

MEASURED = {
    "attribute-clip": "not shown to be better than with components=1 or bridge=False",
    "code-clip": "not shown to be better than with decouple=False",
    "dcs": "better than with segment=none",
    "dma-sap": "not shown to be better than with align=False or pooling=class",
    "fe-clip": "not shown to be better than with frequency=None",
    "fp-clip": "not shown to be better than with foreground=False",
    "g-anomaly": "worse than with graph=False",
    "hieclip": "not shown to be better than with weights=equal",
    "ia-clip": "not shown to be better than with triplet=0.0 or focal=0.0",
    "iad-clip": "worse than with adapt_steps=0",
    "ov-as": "not shown to be better than with shots=0",
    "ov-iad": "not shown to be better than with words=names",
    "scale-clip": "worse than with agreement=False",
}
"""On the scene made for it; a method that is not here is not measured yet."""
