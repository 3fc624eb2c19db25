"""What `benchmarks/claims.py` found of a method's own block on a scene made for it, and of its learning."""

from __future__ import annotations

# tables: claimed
MEASURED: dict[str, tuple[str, ...]] = {
    "adp": (
        "better than with regularise=0.0",
        "no better than before 250 steps of training (held out) or with self_tune=0.0",
        "worse than before 250 steps of training (at home)",
    ),
    "anomaly-nlp": (
        "better than before 250 steps of training (held out)",
        "no better than before 250 steps of training (at home)",
        "no better than with purify=False in image AUROC",
        "no better than with purify=False in precision of the clean set",
        "no better than with term=cross-entropy",
    ),
    "attribute-clip": (
        "better than before 250 steps of training",
        "no better than with bridge=False or with components=1",
    ),
    "clip-core": (
        "no better than with metric=euclidean or with plus=False",
        "worse than before 250 steps of training",
    ),
    "clip-dsa": ("no better than before 250 steps of training or with noise=0.0",),
    "code-clip": (
        "better than before 250 steps of training",
        "no better than with decouple=False",
    ),
    "dcs": ("better than before 250 steps of training or with segment=none",),
    "dma-sap": (
        "better than before 250 steps of training",
        "no better than with align=False or with pooling=class",
    ),
    "dyc-clip": ("no better than before 250 steps of training or with dynamic=False",),
    "fe-clip": ("better than before 250 steps of training or with frequency=None",),
    "fp-clip": (
        "better than before 250 steps of training",
        "no better than with foreground=False",
    ),
    "ftpa-dmm": (
        "better than before 250 steps of training (held out)",
        "no better than with modulate=False or with refine=False",
        "worse than before 250 steps of training (at home)",
    ),
    "g-anomaly": (
        "better than before 250 steps of training",
        "worse than with graph=False",
    ),
    "genclip": (
        "better than before 250 steps of training",
        "no better than with branches=query or with term_weights=False",
    ),
    "hieclip": (
        "better than before 250 steps of training",
        "worse than with weights=equal",
    ),
    "ia-clip": (
        "better than before 250 steps of training",
        "no better than with focal=0.0 or with triplet=0.0",
    ),
    "iad-clip": ("worse than with adapt_steps=0",),
    "normal-variation": (
        "better than before 250 steps of training",
        "no better than with normals=1",
    ),
    "ov-as": (
        "better than before 250 steps of training",
        "no better than with shots=0",
    ),
    "ov-iad": ("better than before 250 steps of training or with words=names",),
    "pro-clip": (
        "better than before 250 steps of training",
        "no better than with prompts=False",
    ),
    "scale-clip": (
        "better than before 250 steps of training",
        "worse than with agreement=False",
    ),
    "sea-clip": (
        "better than before 250 steps of training (held out)",
        "worse than before 250 steps of training (at home) or with decoder=False",
    ),
    "semantic-splicing": (
        "better than before 250 steps of training",
        "no better than with margin=0.0",
    ),
    "text-adapted-medical": (
        "better than before 250 steps of training",
        "no better than with text_adapter=False",
    ),
    "tgrf-clip": ("better than with guide=False",),
    "uniclip-ad": ("no better than before 250 steps of training or with rank=0",),
}
# tables: end
"""A method that is not here is not measured yet."""

NAMED = {
    "linear-probe": (0.64, 0.75, 0.80, 0.86),
    "nearest": (0.63, 0.74, 0.77, 0.79),
    "prompt-images": (0.64, 0.75, 0.81, 0.87),
    "ridge": (0.65, 0.75, 0.81, 0.87),
    "tip-adapter": (0.32, 0.33, 0.33, 0.35),
    "words": (0.32, 0.32, 0.32, 0.32),
}
"""Shares of pictures that a classifier named right by 1, 3, 5 and 10 examples of each type: the mean of the four sets
of `benchmarks/defect_types.py` and five splits of each, by the default encoder. One that is not here is not measured on
whole pictures.
"""


def describe_accuracy(name: str) -> str:
    """How often it was right by few examples, beside the default classifier."""
    if name not in NAMED:
        return ""
    own, usual = (", ".join(f"{share:.2f}" for share in NAMED[each]) for each in (name, "ridge"))
    beside = "" if name == "ridge" else f"; ridge {usual}"
    learns = "" if len({*NAMED[name]}) > 1 else ", which it does not learn from"
    said = f"right by 1, 3, 5 and 10 examples of each type{learns}: {own}{beside}"
    return f"{said} (default encoder; benchmarks/RESULTS.md)"
