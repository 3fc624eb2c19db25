"""The published encoders that can be asked for by name: where they lie, and what their tensors do not say."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from blemish.encoders import DEFAULT, TINY
from blemish.errors import UnknownName
from blemish.types import Capability

OPEN_CLIP_FILE = "open_clip_model.safetensors"

Kind = Literal["tab", "clip", "dino", "dinov2", "vit", "resnet", "test"]

CAN: dict[Kind, frozenset[Capability]] = {
    "tab": frozenset({"text", "prompts", "windows"}),
    "clip": frozenset({"text", "prompts", "windows", "seams"}),
    "test": frozenset({"text", "prompts", "windows", "seams"}),
    "dino": frozenset({"windows", "seams"}),
    "dinov2": frozenset({"windows", "seams"}),
    "vit": frozenset({"windows", "seams"}),
    "resnet": frozenset(),
}
EXAMPLES = (DEFAULT, "ViT-B-16", "ViT-L-14-336", "RN50", "dinov2-base", TINY)


@dataclass(frozen=True, slots=True)
class Published:
    """One row: a model on the hub."""

    name: str
    kind: Kind
    repository: str
    file: str = "model.safetensors"
    licence: str = ""
    archive: str = ""  # name of the file its makers publish themselves, and the sha256 they state for it
    sha256: str = ""
    quick_gelu: bool = False

    @property
    def can(self) -> frozenset[Capability]:
        """As the encoder itself declares once it is loaded."""
        if self.kind == "clip" and self.name.startswith("RN"):
            return frozenset({"text", "prompts"})
        return CAN[self.kind]


def _openai(name: str, repository: str, archive: str, sha256: str) -> Published:
    return Published(name, "clip", repository, OPEN_CLIP_FILE, "MIT", archive, sha256, quick_gelu=True)


def _clip(name: str, repository: str, licence: str = "MIT", *, quick_gelu: bool = False) -> Published:
    return Published(name, "clip", repository, OPEN_CLIP_FILE, licence, quick_gelu=quick_gelu)


def _image(name: str, kind: Kind, repository: str, licence: str = "Apache-2.0") -> Published:
    return Published(name, kind, repository, licence=licence)


# Sums of OpenAI's archives as stated in the addresses they are published under.
TABLE: tuple[Published, ...] = (
    Published(DEFAULT, "tab", "", "", "Apache-2.0"),
    Published(TINY, "test", "", "", "Apache-2.0"),
    _openai("RN50", "timm/resnet50_clip.openai", "RN50.pt",
            "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
    _openai("RN101", "timm/resnet101_clip.openai", "RN101.pt",
            "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599"),
    _openai("RN50x4", "timm/resnet50x4_clip.openai", "RN50x4.pt",
            "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd"),
    _openai("RN50x16", "timm/resnet50x16_clip.openai", "RN50x16.pt",
            "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa"),
    _openai("RN50x64", "timm/resnet50x64_clip.openai", "RN50x64.pt",
            "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c"),
    _openai("ViT-B-32", "timm/vit_base_patch32_clip_224.openai", "ViT-B-32.pt",
            "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    _openai("ViT-B-16", "timm/vit_base_patch16_clip_224.openai", "ViT-B-16.pt",
            "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    _openai("ViT-L-14", "timm/vit_large_patch14_clip_224.openai", "ViT-L-14.pt",
            "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    _openai("ViT-L-14-336", "timm/vit_large_patch14_clip_336.openai", "ViT-L-14-336px.pt",
            "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),
    _clip("ViT-B-16-plus-240", "timm/vit_base_patch16_plus_clip_240.laion400m_e31"),
    _clip("ViT-B-16-plus-240/laion400m_e32", "timm/vit_base_patch16_plus_clip_240.laion400m_e32"),
    _clip("ViT-B-32/laion400m_e32", "timm/vit_base_patch32_clip_224.laion400m_e32", quick_gelu=True),
    _clip("ViT-B-32/laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
    _clip("ViT-B-32/datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K"),
    _clip("ViT-B-16/laion400m_e32", "timm/vit_base_patch16_clip_224.laion400m_e32"),
    _clip("ViT-B-16/laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"),
    _clip("ViT-B-16/datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K"),
    _clip("ViT-L-14/laion2b_s32b_b82k", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K"),
    _clip("ViT-L-14/datacomp_xl_s13b_b90k", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K"),
    _clip("ViT-H-14", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
    _image("dinov2-small", "dinov2", "facebook/dinov2-small"),
    _image("dinov2-base", "dinov2", "facebook/dinov2-base"),
    _image("dinov2-large", "dinov2", "facebook/dinov2-large"),
    _image("dinov2-giant", "dinov2", "facebook/dinov2-giant"),
    _image("dinov2-with-registers-small", "dinov2", "facebook/dinov2-with-registers-small"),
    _image("dinov2-with-registers-base", "dinov2", "facebook/dinov2-with-registers-base"),
    _image("dinov2-with-registers-large", "dinov2", "facebook/dinov2-with-registers-large"),
    _image("dinov2-with-registers-giant", "dinov2", "facebook/dinov2-with-registers-giant"),
    _image("dino-vits8", "dino", "timm/vit_small_patch8_224.dino"),
    _image("dino-vits16", "dino", "timm/vit_small_patch16_224.dino"),
    _image("vit_tiny_patch16_224", "vit", "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
    _image("vit_small_patch16_224", "vit", "timm/vit_small_patch16_224.augreg_in21k_ft_in1k"),
    _image("vit_base_patch16_224", "vit", "timm/vit_base_patch16_224.augreg2_in21k_ft_in1k"),
    _image("wide_resnet50_2", "resnet", "timm/wide_resnet50_2.tv_in1k", "BSD-3-Clause"),
    _image("resnet18", "resnet", "timm/resnet18.tv_in1k", "BSD-3-Clause"),
)  # fmt: skip
DEFAULT_TAGS = {
    "ViT-B-16-plus-240/laion400m_e31": "ViT-B-16-plus-240",
    "ViT-H-14/laion2b_s32b_b79k": "ViT-H-14",
} | {f"{row.name}/openai": row.name for row in TABLE if row.archive}
"""open_clip's name with its tag, of the rows that go by the name alone."""


def rows() -> list[tuple[str, str, str, str]]:
    """Name, kind, where from and licence of every encoder that goes by a name."""
    local = {TINY: "generated", DEFAULT: "in the package"}
    return [(row.name, row.kind, local.get(row.name, row.repository), row.licence) for row in TABLE]


def examples(needs: Collection[Capability]) -> list[str]:
    """Names of some encoders that can do all of that; one with random weights only where there is no other."""
    found = [row.name for name in EXAMPLES for row in TABLE if row.name == name and set(needs) <= row.can]
    return [name for name in found if name != TINY] or found


def is_published(name: str) -> bool:
    """Whether the table has that name."""
    return DEFAULT_TAGS.get(name, name) in {row.name for row in TABLE}


def find_row(name: str) -> Published:
    """The row of a name, in open_clip's spelling; raises UnknownName with the whole table."""
    wanted = DEFAULT_TAGS.get(name, name)
    for row in TABLE:
        if row.name == wanted:
            return row
    raise UnknownName(
        f"no encoder is called {name!r}. Give one of {', '.join(row.name for row in TABLE)}; or the path of a "
        "checkpoint, as ./model.safetensors, or of its folder; or hf-hub:<organisation>/<repository>"
    )


def find_archive(file: str) -> Published | None:
    """The row whose makers publish a file of that name."""
    return next((row for row in TABLE if row.archive == file), None)
