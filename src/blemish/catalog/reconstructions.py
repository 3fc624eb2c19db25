"""A card a detector of which no code is public: known by an abstract, a fragment of one, or a title."""

from __future__ import annotations

from blemish.catalog.cards import Card, Grade
from blemish.catalog.measured import LOOKED_AT, MEASURED
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


def _at_home(
    where: str,
    paper: str,
    essence: str,
    chosen: tuple[str, ...],
    *,
    augmentation: str = "",
    words: tuple[str, ...] = ("product",),
    needs: frozenset[Capability] = PROMPTS,
) -> Card:
    """One that is trained on good parts of what it inspects, and made defects where it learns from any."""
    return Card(
        f"blemish.detectors.{where}",
        paper,
        essence,
        normal="required",
        labelled="optional" if augmentation else "none",
        trained=True,
        augmentation=augmentation,
        words=words,
        needs=needs,
        reconstructed=chosen,
        grade="abstract",
    )


def describe_worth(name: str) -> str:
    """What was found of its own block and of its learning, or that nothing was yet."""
    kinds = {
        "on generated scenes": MEASURED,
        "image AUROC and pixel AP of a short look at real pictures": LOOKED_AT,
    }
    found = [f"{kind}: {'; '.join(lines[name])}" for kind, lines in kinds.items() if name in lines]
    return f"{'. '.join(found)} (benchmarks/RESULTS.md)" if found else "not measured yet"


CARDS = {
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
    "ov-as": _on_others(
        "ov_as:OVAS",
        "OV-AS",
        "patches through a trained map against sentences of any types of defects, and what a few of them looked like",
        ("no segmenter of its own", "one linear map for the tower", "how shown defects count", "losses", "schedule"),
    )._replace(vocabulary="vocabulary"),
    "ov-iad": _on_others(
        "ov_iad:OVIAD",
        "OV-IAD",
        "places against sentences of any types of defects, by their names and by other words for them",
        ("a list of words for a language model", "sentences", "losses", "schedule"),
        grade="title",
    )._replace(vocabulary="vocabulary"),
    "pro-clip": _on_others(
        "pro_clip:ProCLIP",
        "Pro-CLIP",
        "learned sentences that name no product, and adapted differences from a few good parts, if any",
        ("Res2CLIP's margins", "the adapter", "how both maps are joined", "schedule"),
        grade="fragment",
    )._replace(normal="optional"),
    "adp": _at_home(
        "adp:ADP",
        "IEEE Access 12, 2024",
        "a word for the product, inverted from a few good parts, in a perfect and in a damaged sentence",
        ("inversion into the text tower", "mixtures of good parts for generated pictures", "weights", "schedule"),
    ),
    "anomaly-nlp": _at_home(
        "anomaly_nlp:AnomalyNLP",
        "Electronics 14(20):4016",
        "learned sentences from labels of which some are wrong, which optimal transport finds",
        ("temperature and rounds of the transport", "losses of maps", "made defects", "schedule"),
        words=(),
        augmentation="draem+perlin+nsa",
    ),
    "clip-core": _at_home(
        "clip_core:CLIPCore",
        "CLIP-Core",
        "Mahalanobis distance to good places behind a trained linear layer, and learned sentences",
        ("MH-PatchCore's covariance, which leaves a layer before it little to change", "noise", "losses", "schedule"),
        words=(),
    ),
    "clip-dsa": _at_home(
        "clip_dsa:CLIPDSA",
        "ICIC 2025",
        "places and their windows told from the same with noise, and by words",
        ("neighbourhoods for windows", "noise", "how words teach", "schedule"),
        needs=frozenset({"text"}),
    ),
    "ftpa-dmm": _at_home(
        "ftpa_dmm:FTPADMM",
        "FTPA and DMM",
        "written sentences that attend to the picture, and good parts, joined by a gate",
        ("attention", "the gate and what it sees", "made defects", "schedule"),
        augmentation="draem+perlin+nsa",
    ),
    "sea-clip": _at_home(
        "sea_clip:SeaCLIP",
        "Sea-CLIP",
        "how far two encoders' places lie from the good ones they match, made finer by a decoder",
        ("sizes of the decoder", "what plays DINOv2 where none is given", "made defects", "schedule"),
        words=(),
        augmentation="draem+perlin+nsa",
        needs=frozenset(),
    )._replace(second="other"),
    "semantic-splicing": _at_home(
        "semantic_splicing:SemanticSplicing",
        "semantic splicing",
        "good parts and sentences, adapted so that sentences with a defect spliced in lie farther away",
        ("adapters", "margin", "sentences", "schedule"),
    ),
    "tgrf-clip": Card(
        "blemish.detectors.tgrf_clip:TGRFCLIP",
        "TGRF-CLIP",
        "what places have more than the good places they match, and how much of it words call a defect",
        normal="required",
        needs=frozenset({"text"}),
        reconstructed=("Res2CLIP's maps and weights", "how places are matched", "the score of the picture"),
        grade="fragment",
    ),
}

RECONSTRUCTIONS = {name: card._replace(worth=describe_worth(name)) for name, card in CARDS.items()}
