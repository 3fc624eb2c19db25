"""The nouns of the package: everything else turns one of these into another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

GOOD = "good"
"""The label of a part without a defect; every other non-empty label is a defect type, and "" is unknown."""

Capability = Literal["text", "windows", "prompts", "seams"]
"""What only some encoders can do: a protocol below says what each one means."""
Attention = Literal["qkv", "vv", "qq+kk+vv", "echo"]
Between: TypeAlias = "Callable[[Tensor, int], Tensor]"
"""between(tokens, depth) -> the tokens that go on."""
Matrices: TypeAlias = "Callable[[int, str, Tensor], Tensor]"
"""matrices(depth, name, weight) -> the one to use, for an attention's "qkv" (3C, C) and "out" (C, C)."""
Prompt: TypeAlias = "Sequence[str | Tensor]"
"""The parts of a sentence in their order: words as text, learned ones as (n, prompt_width)."""
Head: TypeAlias = "Callable[[Tensor], Tensor]"
"""(..., C) -> (..., D)."""
Scale: TypeAlias = "Callable[[str, Tensor], Tensor]"
"""scale(name, scores) -> what the detector goes on with: see `evaluation.protocol`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture on disk and what is known about it."""

    image: Path
    label: str = ""
    masks: tuple[Path, ...] = ()  # of its defects; joined, they are the truth
    category: str = ""

    @property
    def is_anomalous(self) -> bool:
        """True for a labelled defect; False for good parts and for unknowns."""
        return self.label not in ("", GOOD)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a picture is resized for a detector: stretched to one shape, or its shorter side set and its aspect kept."""

    side: int = 224
    keep_aspect: bool = False
    multiple: int = 1
    crop: int | None = None  # of the resized picture only the middle is seen, a square of that side
    pad: bool = False  # instead, the longer side is set, and the picture stands in the middle of a square
    aspect: float = 1.0  # width / height of that one shape, whose shorter side is `side`; 1 is a square


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures and what is known about them; what is not known is None."""

    images: Tensor  # (N, 3, H, W) in [0, 1]
    masks: Tensor | None = None  # bool (N, H, W), True where there is a defect
    labels: Tensor | None = None  # bool (N,), True for a part with a defect
    types: tuple[str, ...] | None = None  # of each picture: GOOD, a type of defect, or "" where it is unknown
    names: tuple[str, ...] = ()  # of each picture, for messages
    products: tuple[str, ...] | None = None  # what each picture shows, in words
    known: Tensor | None = None  # bool (N,), whose masks say where all defects are; None: those of every picture
    features: Features | None = None  # what a frozen tower saw in these images, where that was kept; they are NaN then
    twins: Tensor | None = None  # int64 (N,), which picture shows the same without its made defect; None: its own
    near: Batch | None = None  # a close-up of each picture, round its defect if it has one, where that is asked for

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors there."""

        def there(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device)

        seen = self.features
        if seen is not None:
            seen = Features(seen.image.to(device), tuple(each.to(device) for each in seen.patches))
        return replace(
            self,
            images=self.images.to(device),
            masks=there(self.masks),
            labels=there(self.labels),
            known=there(self.known),
            features=seen,
            twins=there(self.twins),
            near=None if self.near is None else self.near.to(device),
        )


class Features(NamedTuple):
    """What an encoder sees; the patch grid is in the shape, never in a side variable."""

    image: Tensor  # (N, D)
    patches: tuple[Tensor, ...]  # one (N, h, w, C) per requested layer


class Prediction(NamedTuple):
    """Raw scores, read by name: higher is more anomalous, never rescaled.

    A detector that names defects has `types: tuple[str, ...]`, whose order is that of the K scores, and
    `type_prompts: Mapping[str, str]`, words for each and for an unknown one (""), if it says regions in words.
    """

    image_score: Tensor  # (N,)
    anomaly_map: Tensor  # (N, H, W), the size of the input
    type_scores: Tensor | None = None  # (N, K), higher is more of that type
    type_map: Tensor | None = None  # int64 (N, H, W), number of the likeliest type of each pixel, -1 for none
    places: Tensor | None = None  # (N, h, w, C), what a classifier sees, for regions that are found later


@runtime_checkable
class Encoder(Protocol):
    """Images (N, 3, H, W) in [0, 1] -> Features; positions are resized and pixels normalised inside."""

    name: str
    sha256: str  # of the file it was loaded from; "" when there is none
    can: frozenset[Capability]  # what it can do beyond this protocol
    image_size: int  # the side it was trained at, pixels
    patch_size: int  # both sides of an input must be multiples of it
    depth: int  # layers are numbered 1..depth
    width: int  # D, of the image embedding
    widths: tuple[int, ...]  # C of each layer

    def __call__(self, images: Tensor, *, layers: Sequence[int] = ()) -> Features:
        """Patch features are raw outputs of the named layers."""


class SeamEncoder(Encoder, Protocol):
    """The capability "seams": what happens in and between its transformer blocks can be changed by arguments."""

    norm: Head  # the last one, which `projected` patches pass: (..., C) -> (..., C)

    def __call__(
        self,
        images: Tensor,
        *,
        layers: Sequence[int] = (),
        projected: bool = False,
        attention: Attention = "qkv",
        last: int = 0,
        between: Between | None = None,
        extra: Mapping[int, Tensor] | None = None,
        normed: bool = True,
        matrices: Matrices | None = None,
    ) -> Features:
        """As `encoders.vit.VisionTransformer.forward` says of each; every encoder of ours has this signature."""


class TextEncoder(Encoder, Protocol):
    """The capability "text": its image embedding can be compared with embeddings of sentences."""

    def project(self, patches: Tensor) -> Tensor:
        """Raw patches of the last layer in the space of sentences: (..., C) -> (..., D)."""

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """(len(texts), D), not normalised."""


class PromptEncoder(TextEncoder, Protocol):
    """The capability "prompts": it reads sentences with learned words among their own."""

    prompt_width: int  # of a word's vector
    prompt_depth: int  # blocks of the text tower

    def encode_prompts(
        self,
        prompts: Sequence[Prompt],
        *,
        deep: Mapping[int, Tensor] | None = None,
        ahead: Tensor | None = None,
        between: Between | None = None,
        head: Head | None = None,
    ) -> Tensor:
        """(len(prompts), D), not normalised, with gradients to whatever is learned.

        deep: depth -> (n, prompt_width), or (len(prompts), n, prompt_width), learned tokens that replace the first n
            of each sentence, its start token left out, on entering that block.
        ahead: (n, prompt_width) learned tokens in front of each sentence, and of its start token where it has one.
        between: called as `between(tokens, depth)` after every block of the text tower; its result goes on.
        head: (..., prompt_width) -> (..., D), instead of the tower's projection, behind its last norm.
        """


class WindowEncoder(TextEncoder, Protocol):
    """The capability "windows", and "text": it also looks at sub-sequences of an image's patches."""

    def encode_windows(self, images: Tensor, windows: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Image embedding of each window alone: (W_s, k) patch numbers per scale -> one (N, W_s, D) per scale."""


@runtime_checkable
class RegionEncoder(Encoder, Protocol):
    """An encoder that can be shown a region beside the picture, if its checkpoint has the weights (AlphaCLIP)."""

    sees_regions: bool  # whether it has them

    def encode_regions(self, images: Tensor, regions: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) and a region of each, (N, H, W) in [0, 1] -> image embeddings (N, D)."""


class Detector(Protocol):
    """Images (N, 3, H, W) in [0, 1] -> Prediction."""

    geometry: Geometry

    def __call__(self, images: Tensor) -> Prediction:
        """The prediction of each image does not depend on the others in the batch."""


class ArrayPrediction(NamedTuple):
    """A `Prediction` as arrays, in the same units; numbers that are not whole are float32."""

    image_score: NDArray[Any]  # (N,)
    anomaly_map: NDArray[Any]  # (N, H, W)
    type_scores: NDArray[Any] | None = None  # (N, K)
    type_map: NDArray[Any] | None = None  # (N, H, W)
    places: NDArray[Any] | None = None  # (N, h, w, C)


@runtime_checkable
class ArrayDetector(Protocol):
    """A detector that needs no torch."""

    geometry: Geometry

    def predict_arrays(self, images: NDArray[Any]) -> ArrayPrediction:
        """Of images (N, 3, H, W), float32 in [0, 1]; of each it does not depend on the others in the batch."""


@runtime_checkable
class Learner(Detector, Protocol):
    """A detector that learns from good parts, see `fitting`: its memories keep what it extracts."""

    def extract(self, batch: Batch) -> tuple[tuple[Tensor, ...], ...]:
        """What pictures of good parts teach, tensors for each memory; in each as many rows for every picture, in order.

        What is extracted of a picture does not depend on the others in the batch.
        """


class Comparer(Learner, Protocol):
    """A learner of a set: where it is shown no good parts, it compares the pictures to be inspected with each other."""

    pictures: int  # it remembers at most so many


@runtime_checkable
class Follower(Detector, Protocol):
    """A detector of streams: its scores depend on the pictures before, in their order."""

    online: bool  # whether a stream is to be followed; otherwise all are scored by what it remembers now

    def follow(self, images: Tensor) -> Prediction:
        """As when called, but image by image, each of which is remembered before the next is scored."""


@runtime_checkable
class Consolidator(Learner, Protocol):
    """A learner that remembers only some of the rows that were learned together."""

    def consolidate(self, rows: Tensor) -> Tensor:
        """Numbers of the rows (M, ...) to remember."""


class TypedExamples(NamedTuple):
    """What a classifier sees of pictures, or of regions in them, whose types are known."""

    seen: Tensor  # (M, V, D): each in V views
    types: Tensor  # bool (M, K): which of the classifier's types each has


@runtime_checkable
class Classifier(Protocol):
    """Names types of defects: what it sees of pictures, or of regions in them -> a score of each of its types.

    It sees by an encoder that stays as it is: `look` at whole pictures, or `places` of pictures that a detector has
    seen as well, of which `gather` keeps those of a region. All three describe alike.
    """

    types: tuple[str, ...]
    geometry: Geometry
    several: bool  # one defect may have several types: a score stands for itself, not against the others

    def look(self, images: Tensor) -> Tensor:
        """Whole pictures (N, 3, H, W) in [0, 1] -> (N, D)."""

    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, h, w, C)."""

    def gather(self, places: Tensor, weights: Tensor) -> Tensor:
        """Of each picture's places (N, h, w, C) those of one region, by its share of each, (N, h, w) -> (N, D)."""

    def fit(self, examples: TypedExamples) -> Classifier:
        """Learn from these and forget what it knew; returns itself."""

    def __call__(self, seen: Tensor) -> Tensor:
        """Of (N, V, D), each in V views: logits (N, K), higher is more of that type."""


@runtime_checkable
class Reader(Classifier, Protocol):
    """A classifier that compares with words, and can say which of them decided."""

    @property
    def sayings(self) -> Sequence[str]:
        """All that is said of types."""

    def choose_words(self, seen: Tensor, numbers: Tensor) -> Tensor:
        """Of what is said of the types of these numbers (N,) what fits defects best, (N, V, D): its numbers (N,)."""


@runtime_checkable
class Cropper(Classifier, Protocol):
    """A classifier that looks at crops of a picture round a region, at the picture's own resolution: its views.

    Neither are they mirrored, nor is it told a region by its places in the whole picture where there is the picture.
    """

    def crop(self, picture: Tensor, region: Tensor) -> tuple[Tensor, Tensor]:
        """Of a picture (3, H, W), uint8 or in [0, 1], and a bool region in it (H, W): what it looks at of both.

        Crops (V, 3, s, s) in [0, 1], and the region in each (V, s, s) in [0, 1].
        """

    def look_inside(self, crops: Tensor, regions: Tensor) -> Tensor:
        """(V, 3, s, s), (V, s, s) -> (V, D), as `look` describes pictures."""
