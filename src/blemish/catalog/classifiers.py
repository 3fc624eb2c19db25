"""A card a classifier."""

from __future__ import annotations

from blemish.catalog.cards import Card

CLASSIFIERS = {
    "fine-to-coarse": Card(
        "blemish.classifiers.fine_to_coarse:FineToCoarse",
        "sewer defects, 2025",
        "windows of patches give context to larger ones, by words and examples; several types a picture",
        task="classify",
        labelled="optional",
        needs=frozenset({"text"}),
        words=("product", "words"),
        reconstructed=("windows", "fusion", "how it learns"),
    ),
    "coop": Card(
        "blemish.classifiers.coop:CoOp",
        "arXiv:2109.01134",
        "sentences with learned words around the name of each type",
        task="classify",
        labelled="required",
        needs=frozenset({"text", "prompts"}),
    ),
    "gedt-opt": Card(
        "blemish.classifiers.gedt_opt:GEDTOPT",
        "GEDT + OPT",
        "defects speak for their neighbours, and all of a set are assigned at once by optimal transport",
        task="classify",
        labelled="required",
        scores="set",
        words=("product", "words"),
        reconstructed=("the graph and its diffusion", "optimal transport", "the prior"),
    ),
    "linear-probe": Card(
        "blemish.classifiers.linear_probe:LinearProbe",
        "arXiv:2103.00020",
        "logistic regression on what all depths of an encoder see",
        task="classify",
        labelled="required",
    ),
    "mvrec": Card(
        "blemish.classifiers.mvrec:MVREC",
        "arXiv:2412.16897",
        "a cache of examples, seen in crops round each region, near, far and beside it",
        task="classify",
        labelled="required",
    ),
    "nearest": Card(
        "blemish.classifiers.nearest:Nearest",
        "10.1109/TPAMI.2013.83",
        "the mean of each type's examples, or the nearest examples, on what all depths of an encoder see",
        task="classify",
        labelled="required",
    ),
    "prompt-images": Card(
        "blemish.classifiers.prompt_images:PromptImages",
        "10.1111/mice.12954",
        "sentences about each type, and what examples have in common, together",
        task="classify",
        labelled="optional",
        needs=frozenset({"text"}),
        words=("product", "words"),
        reconstructed=("how words and pictures are fused",),
    ),
    "ridge": Card(
        "blemish.classifiers.ridge:Ridge",
        "Rifkin 2003",
        "least squares with a penalty, in closed form, on what all depths of an encoder see",
        task="classify",
        labelled="required",
        reconstructed=("what is described of a picture",),
    ),
    "tip-adapter": Card(
        "blemish.classifiers.tip_adapter:TipAdapter",
        "arXiv:2207.09519",
        "words, and a cache of examples whose keys may be trained",
        task="classify",
        labelled="required",
        needs=frozenset({"text"}),
        words=("product", "words"),
    ),
    "words": Card(
        "blemish.classifiers.words:Words",
        "arXiv:2103.00020",
        "sentences with the name, the definition and the attributes of each type",
        task="classify",
        needs=frozenset({"text"}),
        words=("product", "words"),
    ),
}
