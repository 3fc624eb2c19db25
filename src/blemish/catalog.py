"""Every method by name: the one table behind `blemish list`, the command line, the docs and the contract tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Literal, NamedTuple

from blemish.encoders import TINY
from blemish.encoders.checkpoints.names import examples
from blemish.errors import BadInput, UnknownName
from blemish.fields import annotations_of, require_kind
from blemish.types import Capability, Detector, Encoder

Need = Literal["none", "optional", "required"]


class Card(NamedTuple):
    """Where a method lives, what it learns from, what it needs, and where it was published."""

    where: str  # "module:Class"
    paper: str
    essence: str
    task: Literal["detect", "classify", "video"] = "detect"
    normal: Need = "none"  # good parts that it is shown
    labelled: Need = "none"  # parts with defects that it is shown, their masks or types
    weak: bool = False  # defects without masks teach it too
    named: bool = False  # types of labelled defects teach it: its argument `defects` are their names
    balanced: bool = False  # it learns several products at once, each equally often
    together: bool = False  # it compares the pictures of a batch, which are of one product then
    twins: bool = False  # it is shown each good part once more with a made defect, see `examples.BatchSettings`
    augmentation: str = ""  # makes the defects it is trained on, unless another does: see `synth.augment`
    auxiliary: bool = False  # trained first, on pictures of other products
    trained: bool = False  # by gradients: `blemish train`
    scores: Literal["one", "set", "online"] = "one"  # a picture alone, a set of them together, or as they come
    needs: frozenset[Capability] = frozenset()  # what an encoder must be able to do, see `Encoder.can`
    words: tuple[str, ...] = ()  # arguments that are words
    reconstructed: tuple[str, ...] = ()  # what the paper does not say and we chose

    @property
    def learns_from(self) -> str:
        """In words: "nothing", "good parts", "nothing or good parts", ..."""
        required, optional = ([what for what, need in self._sources() if need == n] for n in ("required", "optional"))
        first = " and ".join(required) or "nothing"
        return " or ".join([first, *optional]) if not required else ", perhaps ".join([first, *optional])

    @property
    def encoders(self) -> str:
        """Which ones it runs on: "any", or what they must do and some that can."""
        wanted = ", ".join(sorted(self.needs))
        return f"{wanted}: {', '.join(found for found in examples(self.needs) if found != TINY)}" if wanted else "any"

    def row(self) -> tuple[str, ...]:
        """The cells of a table of methods, see COLUMNS."""
        together = {"one": "one picture", "set": "a set together", "online": "a stream"}[self.scores]
        return self.learns_from, together, ", ".join(sorted(self.needs)) or "nothing", self.paper, self.essence

    def _sources(self) -> list[tuple[str, Need]]:
        trained: Need = "required" if self.auxiliary else "none"
        return [("other products", trained), ("good parts", self.normal), ("labelled defects", self.labelled)]


class Situation(NamedTuple):
    """What a user has, at the least, and which methods can begin with that."""

    title: str
    advice: str
    fits: Callable[[Card], bool]

    def methods(self) -> dict[str, Card]:
        """By name."""
        return {name: card for name, card in METHODS.items() if self.fits(card)}


SITUATIONS = (
    Situation(
        "Nothing but words",
        "They need an encoder that reads sentences and say at once what is odd for a product of that name; a few good "
        "parts make them better.",
        lambda card: not card.trained and card.normal != "required" and card.scores == "one",
    ),
    Situation(
        "Pictures without labels",
        "They judge pictures by each other, most of which must be good.",
        lambda card: not card.trained and card.scores != "one",
    ),
    Situation(
        "Good parts",
        "They learn in one look at each part and can be taught more later; begin here.",
        lambda card: not card.trained and card.normal == "required" and card.scores == "one",
    ),
    Situation(
        "Good parts, and time to train",
        "Trained by `blemish train` on the parts they will inspect, with labelled defects if there are any; worth it "
        "where defects were collected or pictures must be judged quickly.",
        lambda card: card.trained and not card.auxiliary,
    ),
    Situation(
        "Labelled defects of other products",
        "Trained once by `blemish train` on public or older data with masks, and then used on products they "
        "have never seen.",
        lambda card: card.trained and card.auxiliary,
    ),
)
"""Each method stands in exactly one: the one that asks for least."""

COLUMNS = ("learns from", "scores", "asks of an encoder", "paper", "essence")

METHODS = {
    "aa-clip": Card(
        "blemish.detectors.aa_clip:AACLIP",
        "arXiv:2503.06661",
        "adapters teach first the texts what an anomaly is, and then the patches to lie near them",
        labelled="required",
        auxiliary=True,
        trained=True,
        needs=frozenset({"text", "prompts"}),
        words=("product",),
    ),
    "ada-clip": Card(
        "blemish.detectors.ada_clip:AdaCLIP",
        "arXiv:2407.15795",
        "layers through trained linear heads against words; each picture changes the tokens that both towers read",
        labelled="required",
        auxiliary=True,
        trained=True,
        needs=frozenset({"text", "prompts", "seams"}),
        words=("product",),
    ),
    "adapt-clip": Card(
        "blemish.detectors.adapt_clip:AdaptCLIP",
        "arXiv:2505.09926",
        "an adapter of pictures, one of texts, and one that compares places with those of good parts, if any",
        normal="optional",
        labelled="required",
        together=True,
        auxiliary=True,
        trained=True,
        needs=frozenset({"text", "prompts"}),
    ),
    "af-clip": Card(
        "blemish.detectors.af_clip:AFCLIP",
        "arXiv:2507.19949",
        "neighbourhoods through a trained attention against learned sentences, and against good parts if any",
        normal="optional",
        labelled="required",
        auxiliary=True,
        trained=True,
        needs=frozenset({"text", "prompts"}),
    ),
    "anomaly-clip": Card(
        "blemish.detectors.anomaly_clip:AnomalyCLIP",
        "arXiv:2310.18961",
        "patches against learned sentences that name no product",
        labelled="required",
        auxiliary=True,
        trained=True,
        needs=frozenset({"text", "prompts"}),
    ),
    "anomaly-dino": Card(
        "blemish.detectors.anomaly_dino:AnomalyDINO",
        "arXiv:2405.14529",
        "nearest patch of a few rotated good parts",
        normal="required",
    ),
    "anomaly-vfm": Card(
        "blemish.detectors.anomaly_vfm:AnomalyVFM",
        "arXiv:2601.20524",
        "a transformer's attention that learns a little, and a decoder of masks, trained on made defects too",
        labelled="optional",
        augmentation="drawn+draem+nsa",
        auxiliary=True,
        trained=True,
        needs=frozenset({"seams"}),
    ),
    "april-gan": Card(
        "blemish.detectors.april_gan:APRILGAN",
        "arXiv:2305.17382",
        "layers through trained linear heads against words, and against good parts if there are any",
        normal="optional",
        labelled="required",
        auxiliary=True,
        trained=True,
        needs=frozenset({"text"}),
        words=("product",),
    ),
    "clip-ada": Card(
        "blemish.detectors.clip_ada:CLIPADA",
        "arXiv:2403.09493",
        "one learned sentence that means simulated defects, for all products; regions looked at again",
        normal="required",
        labelled="optional",
        balanced=True,
        augmentation="draem+perlin+nsa",
        trained=True,
        needs=frozenset({"text", "prompts"}),
        reconstructed=("layers and heads", "offsets and temperatures", "losses", "refinement of regions", "schedule"),
    ),
    "clip-mdc": Card(
        "blemish.detectors.clip_mdc:CLIPMDC",
        "J. Intell. Manuf. 2026",
        "map, score and named defects in one pass of a light backbone; labels of any kind, or none",
        normal="required",
        labelled="optional",
        weak=True,
        named=True,
        augmentation="draem+perlin",
        trained=True,
        needs=frozenset({"text"}),
        words=("product", "defects"),
        reconstructed=("backbone and layers", "heads", "losses and their weights", "regions", "teacher", "schedule"),
    ),
    "dinomaly": Card(
        "blemish.detectors.dinomaly:Dinomaly",
        "arXiv:2405.14325",
        "what a decoder that saw good parts alone cannot rebuild of an encoder's layers",
        normal="required",
        trained=True,
    ),
    "found-ad": Card(
        "blemish.detectors.found_ad:FoundAD",
        "arXiv:2510.01934",
        "what a small transformer, shown a few good parts with and without defects, makes of patches as they should be",
        normal="required",
        balanced=True,
        twins=True,
        augmentation="foundad",
        trained=True,
    ),
    "glass": Card(
        "blemish.detectors.glass:GLASS",
        "arXiv:2407.09359",
        "patches judged by a network trained on good ones, on these moved by gradient ascent, and on made defects",
        normal="required",
        labelled="optional",
        augmentation="glass",
        trained=True,
    ),
    "leclip": Card(
        "blemish.detectors.leclip:LECLIP",
        "2025, code lyy70/LECLIP",
        "pictures, and windows of them seen larger, against learned sentences that name no product",
        labelled="required",
        auxiliary=True,
        trained=True,
        needs=frozenset({"text", "prompts"}),
    ),
    "multi-ads": Card(
        "blemish.detectors.multi_ads:MultiADS",
        "arXiv:2504.06740",
        "layers through trained linear heads against words for each type of defect, and against good parts if any",
        normal="optional",
        labelled="required",
        named=True,
        auxiliary=True,
        trained=True,
        needs=frozenset({"text"}),
        words=("product", "defects"),
    ),
    "musc": Card(
        "blemish.detectors.musc:MuSc",
        "arXiv:2401.16753",
        "patches that no patch of most other pictures of the set is like",
        normal="optional",
        scores="set",
    ),
    "mvfa": Card(
        "blemish.detectors.mvfa:MVFA",
        "arXiv:2403.12570",
        "what adapters inside the tower say on the way, against words, and against good parts if there are any",
        normal="optional",
        labelled="required",
        auxiliary=True,
        trained=True,
        needs=frozenset({"text"}),
        words=("product",),
    ),
    "padim": Card(
        "blemish.detectors.padim:PaDiM",
        "arXiv:2011.08785",
        "a Gaussian at every place of an aligned part",
        normal="required",
    ),
    "patchcore": Card(
        "blemish.detectors.patchcore:PatchCore",
        "arXiv:2106.08265",
        "nearest patch in a coreset of many good parts",
        normal="required",
    ),
    "prompt-ad": Card(
        "blemish.detectors.prompt_ad:PromptAD",
        "arXiv:2404.05231",
        "sentences learned from a few good parts alone, and their patches",
        normal="required",
        trained=True,
        needs=frozenset({"text", "prompts"}),
        words=("product", "defects"),
    ),
    "rad": Card(
        "blemish.detectors.rad:RAD",
        "arXiv:2601.22763",
        "nearest patch about the same place of the good parts that look most alike",
        normal="required",
    ),
    "rare-clip": Card(
        "blemish.detectors.rare_clip:RareCLIP",
        "ICCV 2025",
        "patches that are rare in the stream so far, good parts first if any, and words through trained heads",
        normal="optional",
        labelled="required",
        auxiliary=True,
        trained=True,
        scores="online",
        needs=frozenset({"text"}),
    ),
    "scf-ad": Card(
        "blemish.detectors.scf_ad:SCFAD",
        "yikuizhai/SCF-AD",
        "adapted patches against learned sentences and the same place of a few good parts; trained by made defects",
        normal="required",
        augmentation="cutpaste+draem",
        trained=True,
        needs=frozenset({"text", "prompts"}),
        words=("product", "defects"),
        reconstructed=("layers", "sentences", "made defects", "losses", "score of a picture", "schedule"),
    ),
    "subspace-ad": Card(
        "blemish.detectors.subspace_ad:SubspaceAD",
        "CVPR 2026",
        "distance to the principal subspace of good patches",
        normal="required",
    ),
    "supersimplenet": Card(
        "blemish.detectors.supersimplenet:SuperSimpleNet",
        "arXiv:2408.03143",
        "heads trained on noise in features, and on labelled defects if there are any",
        normal="required",
        labelled="optional",
        trained=True,
    ),
    "tab": Card(
        "blemish.detectors.tab:TAB",
        "arXiv:2312.09480",
        "every patch against words, those of defects too, and against good parts if any",
        normal="optional",
        needs=frozenset({"text"}),
        words=("product", "defects"),
    ),
    "uniadet": Card(
        "blemish.detectors.uniadet:UniADet",
        "arXiv:2601.05552",
        "free weights of every layer in place of words, and good parts if there are any",
        normal="optional",
        labelled="required",
        auxiliary=True,
        trained=True,
        reconstructed=("temperature", "shares of picture and map", "fusion with good parts", "schedule"),
    ),
    "winclip": Card(
        "blemish.detectors.winclip:WinCLIP",
        "arXiv:2303.14814",
        "windows against words, and against good parts if there are any",
        normal="optional",
        needs=frozenset({"text", "windows"}),
        words=("product",),
    ),
}


def card(name: str) -> Card:
    """The method's row; raises UnknownName with the names there are."""
    if name not in METHODS:
        raise UnknownName(f"no method {name!r}: choose from {', '.join(METHODS)}")
    return METHODS[name]


def method(name: str) -> type[Any]:
    """The method's class, imported now."""
    module, _, attribute = card(name).where.partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


def detector(name: str, encoder: str | Encoder, arguments: Mapping[str, Any]) -> Detector:
    """A detector by name, where its encoder lies; raises BadInput for an argument that it does not have."""
    require_arguments(name, arguments)
    from blemish.devices import beside

    found: Detector = method(name)(encoder, **arguments)
    return beside(found, encoder)


def require_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise BadInput for an argument that the method does not have, or a value that is of another kind."""
    known = annotations_of(method(name))  # type: ignore[arg-type]  # a class can be hashed
    if unknown := sorted(set(arguments) - set(known)):
        raise BadInput(f"{name} takes no {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
    for key, value in arguments.items():
        require_kind(f"{key} of {name}", value, known[key])
