"""What a card says of a method, and the situations of a user by which methods are grouped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from blemish.encoders import TINY
from blemish.encoders.checkpoints.names import examples
from blemish.types import Capability

Need = Literal["none", "optional", "required"]
Grade = Literal["", "abstract", "fragment", "title"]
GRADES: dict[Grade, str] = {
    "": "",
    "abstract": "reconstructed from the abstract",
    "fragment": "reconstructed from a fragment of the abstract",
    "title": "reconstructed from the title",
}
"""How much of a paper was known to whoever wrote its method here; "": the paper or its code."""


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
    scaled: str = ""  # when its authors scale scores by a whole test set, see `evaluation.protocol`
    words: tuple[str, ...] = ()  # arguments that are words
    vocabulary: str = ""  # argument that names types of defects, others of which may be asked for once it is trained
    no_graph: str = ""  # why it cannot be exported
    graph_with: tuple[str, ...] = ()  # arguments, as "name=value", with one of which it can be all the same
    reconstructed: tuple[str, ...] = ()  # what the paper does not say and we chose
    grade: Grade = ""  # what was known of the paper
    worth: str = ""  # what measuring its own block showed, where that is to be known before choosing
    second: str = ""  # argument that names a second encoder, whose part the first one plays otherwise

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
        found = f"{wanted}: {', '.join(each for each in examples(self.needs) if each != TINY)}" if wanted else "any"
        return f"{found}, and perhaps a second one by `{self.second}`" if self.second else found

    @property
    def summary(self) -> str:
        """The essence, and how much of the paper was known if not all."""
        return f"{self.essence} ({GRADES[self.grade]})" if self.grade else self.essence

    @property
    def explanation(self) -> tuple[str, ...]:
        """Lines about what is not the paper's, and about what it was found to be worth."""
        chosen = (f"chosen here: {', '.join(self.reconstructed)}",) if self.reconstructed else ()
        return chosen + ((self.worth,) if self.worth else ())

    def row(self) -> tuple[str, ...]:
        """The cells of a table of methods, see COLUMNS."""
        together = {"one": "one picture", "set": "a set together", "online": "a stream"}[self.scores]
        return self.learns_from, together, ", ".join(sorted(self.needs)) or "nothing", self.paper, self.summary

    def _sources(self) -> list[tuple[str, Need]]:
        trained: Need = "required" if self.auxiliary else "none"
        return [("other products", trained), ("good parts", self.normal), ("labelled defects", self.labelled)]


class Situation(NamedTuple):
    """What a user has, at the least, and which methods can begin with that."""

    title: str
    advice: str
    fits: Callable[[Card], bool]

    def methods(self, cards: Mapping[str, Card]) -> dict[str, Card]:
        """Those of them, by name."""
        return {name: card for name, card in cards.items() if self.fits(card)}


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
