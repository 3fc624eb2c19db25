"""A card a detector of which no code is public: known by an abstract, a fragment of one, or a title."""

from __future__ import annotations

from blemish.catalog.cards import Card, Grade
from blemish.types import Capability

PROMPTS: frozenset[Capability] = frozenset({"text", "prompts"})


def _on_others(
    where: str,
    paper: str,
    essence: str,
    chosen: tuple[str, ...],
    *,
    grade: Grade = "abstract",
    no_graph: str = "",
    graph_with: tuple[str, ...] = (),
) -> Card:
    """One that is trained on labelled defects of other products."""
    return Card(
        f"blemish.detectors.{where}",
        paper,
        essence,
        labelled="required",
        auxiliary=True,
        trained=True,
        needs=PROMPTS,
        no_graph=no_graph,
        graph_with=graph_with,
        reconstructed=chosen,
        grade=grade,
    )


RECONSTRUCTIONS = {
    "dyc-clip": _on_others(
        "dyc_clip:DyCCLIP",
        "DyC-CLIP",
        "each picture says words of its own, in both towers, before the learned ones",
        ("how many words", "attention that makes them", "where they enter", "losses", "schedule"),
        grade="fragment",
        no_graph="each picture changes the words that the text tower reads",
    ),
    "fe-clip": _on_others(
        "fe_clip:FECLIP",
        "FE-CLIP, ICCV 2025",
        "adapters in the tower that see the grid of patches in frequencies, and how much each band has",
        ("sizes and places of adapters", "bands", "prompts", "losses", "schedule"),
    ),
    "fp-clip": _on_others(
        "fp_clip:FPCLIP",
        "FP-CLIP",
        "one pair of learned sentences for the part, which counts where it is, and one for the whole view",
        ("how the part is found", "how both maps are joined", "sentences", "losses", "schedule"),
        grade="title",
    ),
    "genclip": _on_others(
        "genclip:GenCLIP",
        "arXiv:2504.14919",
        "learned words with and without tokens of the picture; the product's name counts by how well it fits",
        ("how many tokens", "how names are weighed", "how branches are joined", "schedule"),
        no_graph="each picture changes the words that the text tower reads",
    )._replace(words=("product",)),
    "hieclip": _on_others(
        "hieclip:HieCLIP",
        "HieCLIP",
        "levels of the tower, each against sentences of its own, weighed by what the picture is like",
        ("levels and heads", "what weighs them", "joint decision", "losses", "schedule"),
    ),
    "ia-clip": _on_others(
        "ia_clip:IACLIP",
        "IA-CLIP",
        "learned sentences for pictures and others for places, bound by a triplet; hard places count most",
        ("sentences", "margin", "weights of the terms", "schedule"),
    ),
    "attribute-clip": _on_others(
        "attribute_clip:AttributeCLIP",
        "Attribute-aware CLIP",
        "learned sentences behind a bridge of their own; a place against the others of its component",
        ("width of the bridge", "how components are compared", "losses", "schedule"),
        no_graph="it groups the patches of each picture",
        graph_with=("components=1",),
    ),
    "code-clip": _on_others(
        "code_clip:CoDeCLIP",
        "CoDe-CLIP",
        "places without what all of their picture shares, contrasted with learned sentences",
        ("maps of what is shared and what is not", "losses and their weights", "schedule"),
        grade="fragment",
    ),
    "dcs": _on_others(
        "dcs:DCS",
        "DCS",
        "fine learned sentences; boxes round what they find are segmented by colours",
        ("sentences", "what proposes boxes and what segments them", "no dual-path interaction", "schedule"),
        no_graph="it looks again where its own map says, which is somewhere else in every picture",
        graph_with=("segment=none",),
    ),
    "dma-sap": _on_others(
        "dma_sap:DMASAP",
        "CLIP-DINOv2 fusion",
        "patches attend to those of another encoder, level by level; the picture is pooled by its own map",
        ("sizes of attention", "levels", "what plays DINOv2 where none is given", "losses", "schedule"),
    )._replace(second="other"),
    "g-anomaly": _on_others(
        "g_anomaly:GAnomaly",
        "G-Anomaly",
        "a pyramid of graphs of like patches, each against learned sentences",
        ("neighbours, blocks and scales", "graph convolutions", "losses", "schedule"),
    ),
    "normal-variation": _on_others(
        "normal_variation:NormalVariation",
        "Normal-variation-aware multi-prompt CLIP",
        "several learned sentences of what is good compete, so that odd but good parts pass",
        ("how many sentences", "what keeps them apart", "convolutions", "losses", "schedule"),
        grade="fragment",
    ),
    "scale-clip": _on_others(
        "scale_clip:ScaleCLIP",
        "Scale-aware optimised CLIP",
        "patches at two scales in one pass, which must agree before a region counts",
        ("scales", "how they agree", "sentences", "losses", "schedule"),
        grade="fragment",
    ),
    "text-adapted-medical": _on_others(
        "text_adapted_medical:TextAdaptedMedical",
        "Text-adapted few-shot anomaly detection for medical images",
        "adapters in the image tower and one of the sentences, and against good pictures if any",
        ("adapters", "banks of good pictures and how they are joined", "losses", "schedule"),
        grade="fragment",
    )._replace(normal="optional"),
    "iad-clip": Card(
        "blemish.detectors.iad_clip:IADCLIP",
        "IAD-CLIP",
        "states in words, and patches adapted at test time to each picture alone; no training",
        normal="optional",
        needs=frozenset({"text"}),
        words=("product",),
        no_graph="it adapts itself to each picture by gradients",
        graph_with=("adapt_steps=0",),
        reconstructed=("AnoVL's constants", "the score of the picture", "what good parts add"),
        grade="abstract",
    ),
    "uniclip-ad": Card(
        "blemish.detectors.uniclip_ad:UniCLIPAD",
        "UniCLIP-AD",
        "one tower whose attention learns a little, by good parts of all products and made defects",
        normal="required",
        labelled="optional",
        balanced=True,
        augmentation="draem+perlin+nsa",
        trained=True,
        needs=PROMPTS | {"seams"},
        reconstructed=("rank and places of the updates", "made defects", "sentences", "losses", "schedule"),
        grade="abstract",
    ),
}
