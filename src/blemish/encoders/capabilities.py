"""What an encoder must be, what it must be able to do, and inputs of a size that it takes."""

from __future__ import annotations

from collections.abc import Collection

from blemish.encoders.checkpoints.names import examples
from blemish.errors import BadInput
from blemish.types import Capability, Encoder, Geometry

REQUIRED = ("name", "sha256", "can", "image_size", "patch_size", "depth", "width", "widths", "__call__")
MORE: dict[Capability, tuple[str, ...]] = {
    "text": ("project", "encode_text"),
    "windows": ("encode_windows",),
    "prompts": ("encode_prompts", "prompt_width", "prompt_depth"),
    "seams": ("norm",),
}
"""What an encoder with each capability has besides."""
LACKS: dict[Capability, str] = {
    "text": "only sees pictures and reads no sentences",
    "windows": "cannot look at windows of a picture",
    "prompts": "cannot read learned words",
    "seams": "has no transformer blocks to reach into",
}


def require(encoder: Encoder, needs: Collection[Capability] = ()) -> Encoder:
    """The encoder; raises BadInput with what it cannot do and who can, or with the attribute that an object lacks."""
    if missing := [part for part in REQUIRED if not hasattr(encoder, part)]:
        raise BadInput(f"{_called(encoder)} is no encoder, it has no {_joined(missing)}: see blemish.types.Encoder")
    if lacking := [LACKS[need] for need in LACKS if need in needs and need not in encoder.can]:
        others = ", ".join(examples(needs))
        raise BadInput(f"{_called(encoder)} {_joined(lacking)}: choose one that can, such as {others}")
    if missing := [part for need in needs for part in MORE[need] if not hasattr(encoder, part)]:
        raise BadInput(f"{_called(encoder)} says it can do {_joined(sorted(needs))}, and has no {_joined(missing)}")
    return encoder


def geometry(
    encoder: Encoder,
    image_size: int | None = None,
    *,
    keep_aspect: bool = False,
    crop: int | None = None,
    pad: bool = False,
) -> Geometry:
    """Inputs of whole patches of that encoder, at its own size if no other is given; raises BadInput."""
    side, multiple = encoder.image_size if image_size is None else image_size, encoder.patch_size
    if side < multiple:
        raise BadInput(f"image_size={side}: {_called(encoder)} sees patches of {multiple} pixels, give that or more")
    if crop is not None and not (multiple <= crop <= side and crop % multiple == 0):
        raise BadInput(f"crop={crop}: give a multiple of {multiple} pixels that is no larger than image_size={side}")
    if pad and (keep_aspect or crop is not None):
        raise BadInput("a picture that is padded to a square is neither cropped nor of another shape: choose one")
    return Geometry(side, keep_aspect, multiple, crop, pad)


def _called(encoder: Encoder) -> str:
    """Its name, or its class where it has none."""
    return getattr(encoder, "name", "") or f"an object of class {type(encoder).__name__}"


def _joined(words: Collection[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
