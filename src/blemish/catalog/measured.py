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
        "no better than with shots=0 instead of shots=5",
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

# tables: looked_at
LOOKED_AT: dict[str, tuple[str, ...]] = {
    "adp": (
        "magnetic_tile, 4 good parts: 0.520 and 0.218 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 0.931 and 0.534 (patchcore 1.000 and 0.741)",
    ),
    "anomaly-nlp": (
        "magnetic_tile, 4 good parts: 0.567 and 0.222 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 0.960 and 0.571 (patchcore 1.000 and 0.741)",
    ),
    "attribute-clip": (
        "magnetic_tile, words alone: 0.531 and 0.178 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.906 and 0.331 (winclip 0.950 and 0.490)",
    ),
    "clip-core": (
        "magnetic_tile, 4 good parts: 0.632 and 0.123 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 0.983 and 0.777 (patchcore 1.000 and 0.741)",
    ),
    "clip-dsa": (
        "magnetic_tile, 4 good parts: 0.524 and 0.230 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 0.863 and 0.538 (patchcore 1.000 and 0.741)",
    ),
    "code-clip": (
        "magnetic_tile, words alone: 0.486 and 0.136 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.971 and 0.368 (winclip 0.950 and 0.490)",
    ),
    "dcs": (
        "magnetic_tile, words alone: 0.571 and 0.214 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.914 and 0.335 (winclip 0.950 and 0.490)",
    ),
    "dma-sap": (
        "magnetic_tile, words alone: 0.562 and 0.173 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.807 and 0.338 (winclip 0.950 and 0.490)",
    ),
    "dyc-clip": (
        "magnetic_tile, words alone: 0.525 and 0.221 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.898 and 0.328 (winclip 0.950 and 0.490)",
    ),
    "fe-clip": (
        "magnetic_tile, words alone: 0.524 and 0.206 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.907 and 0.387 (winclip 0.950 and 0.490)",
    ),
    "fp-clip": (
        "magnetic_tile, words alone: 0.515 and 0.151 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.952 and 0.355 (winclip 0.950 and 0.490)",
    ),
    "ftpa-dmm": (
        "magnetic_tile, 4 good parts: 0.552 and 0.213 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 0.982 and 0.627 (patchcore 1.000 and 0.741)",
    ),
    "g-anomaly": (
        "magnetic_tile, words alone: 0.501 and 0.207 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.956 and 0.518 (winclip 0.950 and 0.490)",
    ),
    "genclip": (
        "magnetic_tile, words alone: 0.497 and 0.215 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.900 and 0.337 (winclip 0.950 and 0.490)",
    ),
    "hieclip": (
        "magnetic_tile, words alone: 0.517 and 0.142 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.963 and 0.428 (winclip 0.950 and 0.490)",
    ),
    "ia-clip": (
        "magnetic_tile, words alone: 0.465 and 0.141 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.982 and 0.565 (winclip 0.950 and 0.490)",
    ),
    "iad-clip": (
        "magnetic_tile, words alone: 0.526 and 0.185 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.913 and 0.513 (winclip 0.950 and 0.490)",
        "magnetic_tile, 4 good parts: 0.529 and 0.195 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 0.943 and 0.588 (patchcore 1.000 and 0.741)",
    ),
    "normal-variation": (
        "magnetic_tile, words alone: 0.486 and 0.178 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.936 and 0.260 (winclip 0.950 and 0.490)",
    ),
    "ov-as": (
        "magnetic_tile, words alone: 0.497 and 0.163 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.962 and 0.470 (winclip 0.950 and 0.490)",
    ),
    "ov-iad": (
        "magnetic_tile, words alone: 0.512 and 0.219 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.913 and 0.416 (winclip 0.950 and 0.490)",
    ),
    "pro-clip": (
        "magnetic_tile, words alone: 0.525 and 0.212 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.903 and 0.362 (winclip 0.950 and 0.490)",
        "magnetic_tile, 4 good parts: 0.553 and 0.220 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 0.982 and 0.578 (patchcore 1.000 and 0.741)",
    ),
    "scale-clip": (
        "magnetic_tile, words alone: 0.520 and 0.212 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.913 and 0.412 (winclip 0.950 and 0.490)",
    ),
    "sea-clip": (
        "magnetic_tile, 4 good parts: 0.692 and 0.156 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 1.000 and 0.835 (patchcore 1.000 and 0.741)",
    ),
    "semantic-splicing": (
        "magnetic_tile, 4 good parts: 0.556 and 0.226 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 0.936 and 0.597 (patchcore 1.000 and 0.741)",
    ),
    "text-adapted-medical": (
        "magnetic_tile, words alone: 0.545 and 0.117 (winclip 0.534 and 0.197)",
        "mvtec_bottle, words alone: 0.853 and 0.282 (winclip 0.950 and 0.490)",
        "magnetic_tile, 4 good parts: 0.637 and 0.160 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 1.000 and 0.579 (patchcore 1.000 and 0.741)",
    ),
    "tgrf-clip": (
        "magnetic_tile, 4 good parts: 0.587 and 0.169 (patchcore 0.669 and 0.298)",
        "mvtec_bottle, 4 good parts: 1.000 and 0.741 (patchcore 1.000 and 0.741)",
    ),
}
# tables: end
"""Image AUROC and pixel AP on few pictures of two open sets, by the default encoder and few steps of training: means
over seeds, and those of a plain method by as many good parts of the same.
"""

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
